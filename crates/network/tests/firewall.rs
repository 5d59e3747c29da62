//! The firewall against real packets: hosts are network namespaces, and what counts is who gets an answer.
#![expect(clippy::print_stderr, reason = "measurements and the reasons of skips")]

mod world;

mod firewall {
    mod admission;
    mod healing;
    mod isolation;
    mod others;
    mod resolver;
    mod scale;
    mod spoofing;
}
