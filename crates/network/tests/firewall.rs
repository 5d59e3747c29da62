//! The firewall against real packets: hosts are network namespaces, and what counts is who gets an answer.

mod world;

mod firewall {
    mod admission;
    mod healing;
    mod isolation;
    mod others;
    mod scale;
    mod spoofing;
}
