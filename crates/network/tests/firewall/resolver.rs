//! Port 53 in a container's namespace.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;

use network::firewall::resolver_redirect;

use crate::world::{Machine, ip};

/// A resolver on 127.0.0.11 that answers `text` to everyone: its UDP and TCP ports.
fn resolver(container: &Machine, text: &'static str) -> (u16, u16) {
    container.here(move || {
        let udp = UdpSocket::bind("127.0.0.11:0").expect("bind");
        let tcp = TcpListener::bind("127.0.0.11:0").expect("bind");
        let ports = (
            udp.local_addr().expect("bound").port(),
            tcp.local_addr().expect("bound").port(),
        );
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(text.as_bytes(), peer);
            }
        });
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let _ = stream.write_all(text.as_bytes());
            }
        });
        ports
    })
}

/// What 127.0.0.11:53 answers by TCP.
fn ask_tcp(container: &Machine) -> String {
    container.here(|| {
        let mut text = String::new();
        let mut stream = TcpStream::connect("127.0.0.11:53").expect("connect");
        stream.read_to_string(&mut text).expect("read");
        text
    })
}

#[test]
fn port_53_leads_to_the_resolver_and_stays_free_for_the_container() {
    let container = Machine::new();
    // A name server of the container's own, on all addresses.
    container.serve(53);
    let (udp, tcp) = resolver(&container, "1.1.1.1");
    resolver_redirect(container.namespace.as_fd(), udp, tcp).expect("redirect");
    assert_eq!(container.call_udp("127.0.0.11:53"), Some(ip("1.1.1.1")));
    assert_eq!(ask_tcp(&container), "1.1.1.1");
    assert_eq!(container.call_udp("127.0.0.1:53"), Some(ip("127.0.0.1")));
    assert_eq!(container.call("127.0.0.1:53"), Some(ip("127.0.0.1")));
    // After the daemon comes back there are other ports.
    let (udp, tcp) = resolver(&container, "2.2.2.2");
    resolver_redirect(container.namespace.as_fd(), udp, tcp).expect("redirect");
    assert_eq!(container.call_udp("127.0.0.11:53"), Some(ip("2.2.2.2")));
    assert_eq!(ask_tcp(&container), "2.2.2.2");
}
