//! Published ports from everywhere: outside, the host itself, other containers; and whom the server sees.

use std::io::{Read, Write};
use std::time::Duration;

use testkit::Engine;

use super::support::{at, idle, ip, web};

const PORTS: &str = "-p 8080:80 -p 8080:80/udp";

#[test]
fn from_outside_and_the_client_is_seen() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let one = web(&engine, "one", PORTS);
    for (from, address) in [(&lan.client, lan.client.ip), (&lan.other, lan.other.ip)] {
        for seen in [
            from.who_tcp(at(lan.host.ip, 8080)).expect("TCP"),
            from.who_udp(at(lan.host.ip, 8080)).expect("UDP"),
        ] {
            assert_eq!((seen.server.as_str(), seen.client), ("one", address));
        }
    }
    if Engine::is_peer() {
        return;
    }
    let seen = lan.client.who_tcp(at(lan.host.ip6, 8080)).expect("IPv6");
    assert_eq!(seen.client, lan.client.ip6);
    assert_eq!(
        lan.client
            .who_udp(at(lan.host.ip6, 8080))
            .expect("IPv6")
            .client,
        lan.client.ip6
    );
    // Through any address the host has or gets.
    lan.host.sh("ip addr add 198.51.100.21/24 dev eth0");
    assert_eq!(
        lan.client
            .who_tcp(at(ip("198.51.100.21"), 8080))
            .expect("TCP")
            .client,
        lan.client.ip
    );
    drop(one);
}

#[test]
fn from_the_host_by_its_own_addresses_and_by_loopback() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    for (number, network) in ["bridge", "net"].iter().enumerate() {
        let port = 8080 + u16::try_from(number).expect("small");
        let name = format!("on-{network}");
        let _one = web(
            &engine,
            &name,
            &format!("--network {network} -p {port}:80 -p {port}:80/udp"),
        );
        let mut addresses = vec![
            lan.host.ip,
            ip("127.0.0.1"),
            ip("127.0.0.9"),
            ip("::1"),
            lan.host.ip6,
        ];
        if Engine::is_peer() {
            addresses.truncate(3);
        }
        for address in addresses {
            let seen = lan.host.ask_tcp(at(address, port), "hello");
            let seen = seen.unwrap_or_else(|e| panic!("TCP {address} {port}: {e}"));
            assert_eq!(seen.server, name);
            if !Engine::is_peer() && !address.is_loopback() {
                assert_eq!(
                    seen.client, address,
                    "the host calls itself by that address"
                );
            }
            if address == ip("127.0.0.9") {
                // A proxy that listens on all of loopback answers from its first address.
                continue;
            }
            let seen = lan.host.ask_udp(at(address, port), "hello");
            assert_eq!(
                seen.unwrap_or_else(|e| panic!("UDP {address} {port}: {e}"))
                    .server,
                name
            );
        }
    }
}

#[test]
fn from_containers_through_the_hosts_address_and_back_to_oneself() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    engine.ok("network create elsewhere");
    let one = web(&engine, "one", &format!("--network net {PORTS}"));
    let neighbour = web(&engine, "neighbour", "--network net");
    let stranger = web(&engine, "stranger", "--network elsewhere");
    let default = web(&engine, "default", "");
    for (name, place) in [
        ("a neighbour", &neighbour.place),
        ("a stranger", &stranger.place),
        ("one on the default bridge", &default.place),
        ("itself", &one.place),
    ] {
        let gateway = place.default_routes()[0].0;
        for address in [lan.host.ip, gateway] {
            let tcp = place.ask_tcp(at(address, 8080), "hello");
            assert_eq!(
                tcp.unwrap_or_else(|e| panic!("TCP, {name}, {address}: {e}"))
                    .server,
                "one"
            );
            if Engine::is_peer() {
                // Its answers come from another address than was asked.
                continue;
            }
            let udp = place.ask_udp(at(address, 8080), "hello");
            assert_eq!(
                udp.unwrap_or_else(|e| panic!("UDP, {name}, {address}: {e}"))
                    .server,
                "one"
            );
        }
    }
}

#[test]
fn a_port_that_nobody_serves_refuses_at_once() {
    let lan = testkit::lan();
    let engine = lan.engine();
    drop(idle(&engine, "-p 8080:80"));
    let begun = std::time::Instant::now();
    let error = lan
        .client
        .ask_tcp(at(lan.host.ip, 8080), "x")
        .expect_err("nobody serves");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn the_client_is_seen_under_strict_reverse_path_checks_too() {
    if Engine::is_peer() {
        return testkit::skip("the peer's way does not depend on it");
    }
    let lan = testkit::lan();
    lan.host.set_sysctl("ipv4.conf.all.rp_filter", "1");
    lan.host.set_sysctl("ipv4.conf.default.rp_filter", "1");
    let engine = lan.engine();
    let one = web(&engine, "one", PORTS);
    assert_eq!(
        lan.client
            .who_tcp(at(lan.host.ip, 8080))
            .expect("TCP")
            .client,
        lan.client.ip
    );
    assert_eq!(
        lan.client
            .who_udp(at(lan.host.ip, 8080))
            .expect("UDP")
            .client,
        lan.client.ip
    );
    drop(one);
}

/// A server reads all that comes through `to` until its end, and then tells the digest of it.
#[track_caller]
fn digest_comes_back(lan: &testkit::Lan, from: &testkit::Place, to: std::net::SocketAddr) {
    let engine = lan.engine();
    let one = engine.run("-p 8080:80 busybox nc -l -p 80 -e md5sum");
    testkit::eventually("it listens", || {
        let place = one.place();
        ["tcp", "tcp6"]
            .iter()
            .any(|file| place.proc_net(file).contains(":0050 "))
    });
    let bytes: Vec<u8> = (0..4_000_000u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let mut stream = from
        .within(|| std::net::TcpStream::connect(to))
        .expect("it is published");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket of ours");
    stream.write_all(&bytes).expect("all goes");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("half closed");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the answer comes after the end");
    let expected = testkit::image::through("md5sum", &[], &bytes);
    let expected = String::from_utf8_lossy(&expected).into_owned();
    assert_eq!(answer.split(' ').next(), expected.split(' ').next());
}

#[test]
fn much_goes_through_unharmed() {
    let lan = testkit::lan();
    digest_comes_back(&lan, &lan.client, at(lan.host.ip, 8080));
}

#[test]
fn much_goes_through_loopback_unharmed() {
    let lan = testkit::lan();
    digest_comes_back(&lan, &lan.host, at(ip("127.0.0.1"), 8080));
}

#[test]
fn packets_longer_than_the_link_takes_arrive_whole() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let _one = web(&engine, "one", PORTS);
    let long = "0123456789".repeat(400);
    let mut addresses = vec![lan.host.ip];
    if !Engine::is_peer() {
        addresses.push(lan.host.ip6);
    }
    for address in addresses {
        for _ in 0..2 {
            let seen = lan.client.ask_udp(at(address, 8080), &long);
            let seen = seen.unwrap_or_else(|error| panic!("{address}: {error}"));
            assert_eq!(seen.text, long);
        }
    }
}

#[test]
fn two_hundred_clients_at_once_are_all_served() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let _one = web(&engine, "one", PORTS);
    let to = at(lan.host.ip, 8080);
    std::thread::scope(|scope| {
        for number in 0..200 {
            let client = &lan.client;
            scope.spawn(move || {
                let text = format!("number {number}");
                let seen = client.ask_tcp(to, &text);
                assert_eq!(
                    seen.unwrap_or_else(|error| panic!("{text}: {error}")).text,
                    text
                );
            });
        }
    });
}

#[test]
fn a_flow_of_packets_finds_the_next_container() {
    let lan = testkit::lan();
    let engine = lan.engine();
    // One socket, as a client that never stops: for the kernel it stays one connection.
    let socket = lan.client.within(|| std::net::UdpSocket::bind("0.0.0.0:0"));
    let socket = socket.expect("a socket");
    socket.connect(at(lan.host.ip, 8080)).expect("a route");
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("ours");
    let answered_by = |name: &str| {
        let mut buffer = [0; 256];
        drop(socket.send(b"who?"));
        let len = socket.recv(&mut buffer).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..len]).starts_with(&format!("{name} "))
    };
    // Somebody keeps the first one's address, so that the second gets another.
    let first = web(&engine, "first", PORTS);
    testkit::eventually("the first answers", || answered_by("first"));
    drop(first);
    engine.ok("rm -f first");
    assert!(!answered_by("first"));
    drop(idle(&engine, "--name keeper"));
    let _second = web(&engine, "second", PORTS);
    testkit::within(Duration::from_secs(3), "the second answers", || {
        answered_by("second")
    });
}
