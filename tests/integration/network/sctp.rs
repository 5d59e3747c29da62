//! SCTP: published like the others. Packets are made by hand, for kernels that have no sockets of it.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RawProtocol, SocketFlags, SocketType};
use testkit::{Engine, Place};

use super::support::{at, idle};

/// The number of the protocol.
const SCTP: u32 = 132;

fn raw(place: &Place, family: AddressFamily) -> OwnedFd {
    let protocol = RawProtocol::new(SCTP).map(rustix::net::Protocol::from_raw);
    let open = || rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol);
    place
        .within(open)
        .expect("root may send packets of its own")
}

/// The first packet of an association, from port 9 of the sender to `port`. RFC 9260, section 3.3.2.
fn init(port: u16) -> Vec<u8> {
    let mut packet = [&9u16.to_be_bytes()[..], &port.to_be_bytes(), &[0; 8]].concat();
    let (kind, length) = (1u16 << 8, 20u16);
    packet.extend([kind.to_be_bytes(), length.to_be_bytes()].concat());
    packet.extend([7u32, 65536].map(u32::to_be_bytes).concat());
    packet.extend([1u16, 1].map(u16::to_be_bytes).concat());
    packet.extend(1u32.to_be_bytes());
    let sum = crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&sum);
    packet
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

fn send(place: &Place, to: IpAddr, port: u16) {
    let family = if to.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = raw(place, family);
    rustix::net::connect(&socket, &at(to, 0)).expect("a route");
    let mut file = std::fs::File::from(socket);
    file.write_all(&init(port)).expect("it is sent");
}

/// Whether a first packet for `port` comes to a socket within a moment.
fn hears(socket: &OwnedFd, port: u16) -> bool {
    let deadline = Instant::now() + testkit::ms(700);
    let mut file = std::fs::File::from(socket.try_clone().expect("a descriptor"));
    let mut packet = [0; 2048];
    while Instant::now() < deadline {
        let timeout = Some(Duration::from_millis(100));
        let kind = rustix::net::sockopt::Timeout::Recv;
        rustix::net::sockopt::set_socket_timeout(socket, kind, timeout).expect("a socket of ours");
        let len = match file.read(&mut packet) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => panic!("{error}"),
        };
        // IPv4 shows its own header, IPv6 does not.
        let header = if packet[0] >> 4 == 4 && len > 20 {
            20
        } else {
            0
        };
        let body = &packet[header..len];
        if body.get(2..4) == Some(&port.to_be_bytes()[..]) {
            return true;
        }
    }
    false
}

#[test]
fn what_is_sent_to_a_published_port_arrives_at_the_containers() {
    if Engine::is_peer() {
        return testkit::skip("the peer needs the kernel's own sockets for it");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    let one = idle(&engine, "--name one -p 8132:132/sctp -p 8133:133/tcp");
    assert_eq!(
        engine.ok("port one 132/sctp"),
        "0.0.0.0:8132\n[::]:8132",
        "told as published"
    );
    let place = one.place();
    for (family, to) in [
        (AddressFamily::INET, lan.host.ip),
        (AddressFamily::INET6, lan.host.ip6),
    ] {
        let ear = raw(&place, family);
        send(&lan.client, to, 8132);
        assert!(hears(&ear, 132), "{to}: to the container, at its own port");
        send(&lan.client, to, 8134);
        send(&lan.client, to, 8133);
        assert!(
            !hears(&ear, 133),
            "{to}: what is not published stays outside"
        );
    }
    // The host's own policy holds for it as for the others.
    lan.host.nft("table inet filter { chain input { type filter hook input priority 0; policy drop; meta l4proto ipv6-icmp accept; }; }");
    let ear = raw(&place, AddressFamily::INET);
    send(&lan.other, lan.host.ip, 8132);
    assert!(!hears(&ear, 132), "closed by the host");
    lan.host
        .nft("add rule inet filter input sctp dport 8132 accept");
    send(&lan.other, lan.host.ip, 8132);
    assert!(hears(&ear, 132), "opened by the host");
    let error = engine.fails(125, "run --rm -p 8132:1/sctp busybox true");
    assert!(
        error.contains("8132") && error.contains("already allocated"),
        "{error}"
    );
}
