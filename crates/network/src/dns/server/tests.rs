//! A resolver in a namespace of its own, and servers of the test's on the host's loopback.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::message::tests::{addresses, is_truncated, query, rcode};
use super::super::{ADDRESS, Entry, Followed, Servers, View, Zone};
use super::{MAX_FORWARDS, Running, Server};
use crate::namespace::{Namespace, within};

const A: u16 = 1;
const AAAA: u16 = 28;
const LONG: Duration = Duration::from_secs(10);

/// A container's resolver and the means to ask it from inside.
struct Stage {
    runtime: tokio::runtime::Runtime,
    namespace: Namespace,
    resolver: Running,
}

impl Stage {
    fn new(view: View) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("an event loop");
        let namespace = Namespace::make().expect("a namespace needs root");
        let resolver =
            Server::start(runtime.handle(), namespace.as_fd(), view).expect("a resolver");
        Self {
            runtime,
            namespace,
            resolver,
        }
    }

    /// A socket in the container, connected to its resolver.
    fn udp(&self) -> UdpSocket {
        let port = self.resolver.ports().udp;
        let socket = within(self.namespace.as_fd(), move || {
            let socket = UdpSocket::bind((ADDRESS, 0)).expect("a port");
            socket.connect((ADDRESS, port)).expect("connect");
            socket.set_read_timeout(Some(LONG)).expect("a timeout");
            socket
        });
        socket.expect("enter")
    }

    fn tcp(&self) -> TcpStream {
        let port = self.resolver.ports().tcp;
        let stream = within(self.namespace.as_fd(), move || {
            let stream = TcpStream::connect((ADDRESS, port)).expect("connect");
            stream.set_read_timeout(Some(LONG)).expect("a timeout");
            stream
        });
        stream.expect("enter")
    }

    fn ask(&self, packet: &[u8]) -> Vec<u8> {
        let socket = self.udp();
        socket.send(packet).expect("send");
        receive(&socket)
    }

    fn addresses(&self, name: &str, kind: u16) -> (u16, Vec<String>) {
        let reply = self.ask(&query(name, kind, None));
        let found = addresses(&reply).iter().map(ToString::to_string).collect();
        (rcode(&reply), found)
    }
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut reply = vec![0; 65_536];
    let got = socket.recv(&mut reply).expect("an answer");
    reply.truncate(got);
    reply
}

fn exchange(stream: &mut TcpStream, packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).expect("short");
    stream
        .write_all(&[&length.to_be_bytes(), packet].concat())
        .expect("write");
    read_framed(stream).expect("an answer")
}

fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).ok()?;
    Some(reply)
}

fn zone(names: &[(&str, &[&str])]) -> Arc<Zone> {
    let zone = Zone::new("front");
    for (name, addresses) in names {
        let entry = Entry {
            names: vec![(*name).to_owned()],
            addresses: addresses
                .iter()
                .map(|a| a.parse().expect("an address"))
                .collect(),
            ports: Vec::new(),
        };
        zone.insert(name, entry);
    }
    Arc::new(zone)
}

/// What a server of the test's does with a query: change it into a reply, or keep silent.
type Manner = fn(Vec<u8>) -> Option<Vec<u8>>;

/// A server on the host's loopback, by UDP and TCP on one port.
struct Upstream {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _threads: [JoinHandle<()>; 2],
}

fn upstream(manner: Manner) -> Upstream {
    let (udp, tcp) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = tcp.local_addr().expect("an address");
        if let Ok(udp) = UdpSocket::bind(address) {
            break (udp, tcp);
        }
    };
    let address = tcp.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let by_udp = thread::spawn(move || {
        let mut packet = vec![0; 65_536];
        while let Ok((got, client)) = udp.recv_from(&mut packet) {
            count.fetch_add(1, Ordering::SeqCst);
            if let Some(reply) = manner(packet[..got].to_vec()) {
                let _ = udp.send_to(&reply, client);
            }
        }
    });
    let by_tcp = thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.expect("a connection");
            if let Some(reply) = read_framed(&mut stream).and_then(manner) {
                let length = u16::try_from(reply.len()).expect("short");
                let _ = stream.write_all(&[&length.to_be_bytes(), &reply[..]].concat());
            }
        }
    });
    Upstream {
        address,
        asked,
        _threads: [by_udp, by_tcp],
    }
}

/// A reply with one address.
fn says(mut packet: Vec<u8>, last: u8) -> Vec<u8> {
    packet[2] |= 0x80;
    packet[3] = 0x80;
    packet[7] = 1;
    packet[11] = 0;
    let end = 12 + packet[12..].iter().position(|b| *b == 0).expect("a name") + 5;
    packet.truncate(end);
    packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    packet
}

fn fails(mut packet: Vec<u8>) -> Vec<u8> {
    packet[2] |= 0x80;
    packet[3] = 0x82;
    packet
}

fn given(servers: &[SocketAddr]) -> View {
    // The test's servers are on the host's loopback: as if the host's own file named them.
    let path = std::env::temp_dir().join(format!(
        "estiva-test-servers-{}-{}",
        std::process::id(),
        servers.first().map_or(0, SocketAddr::port)
    ));
    let followed = Followed::with(path, servers.to_vec());
    View {
        zones: vec![zone(&[
            ("web", &["10.0.0.2", "fd00::2"]),
            ("plain", &["10.0.0.3"]),
        ])],
        servers: Servers::Host(Arc::new(followed)),
        ..View::default()
    }
}

#[test]
fn local_names_are_answered_by_both_ways() {
    let stage = Stage::new(given(&[]));
    assert_eq!(stage.addresses("WEB", A), (0, vec!["10.0.0.2".to_owned()]));
    assert_eq!(
        stage.addresses("web.front", AAAA),
        (0, vec!["fd00::2".to_owned()])
    );
    assert_eq!(stage.addresses("plain", AAAA), (0, vec![]));
    let mut stream = stage.tcp();
    for name in ["web", "plain"] {
        let reply = exchange(&mut stream, &query(name, A, Some(1232)));
        assert_eq!(addresses(&reply).len(), 1, "{name}");
    }
    // What is no query is no end of it.
    let socket = stage.udp();
    for junk in [&[][..], &[0; 3], &[0xff; 4096], &[0; 5000]] {
        let _ = socket.send(junk);
    }
    assert_eq!(stage.addresses("web", A).1.len(), 1);
}

#[test]
fn an_answer_that_is_too_long_is_asked_for_again_by_tcp() {
    let many: Vec<String> = (0..200).map(|n| format!("10.0.1.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut view = given(&[]);
    view.zones = vec![zone(&[("many", &many)])];
    let stage = Stage::new(view);
    let short = stage.ask(&query("many", A, None));
    assert!(is_truncated(&short) && short.len() <= 512);
    let whole = exchange(&mut stage.tcp(), &query("many", A, None));
    assert!(!is_truncated(&whole));
    let mut all: Vec<IpAddr> = addresses(&whole);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200);
}

#[test]
fn other_names_are_asked_for_at_the_servers() {
    let server = upstream(|packet| Some(says(packet, 7)));
    let stage = Stage::new(given(&[server.address]));
    let packet = query("Example.com", A, Some(1232));
    let reply = stage.ask(&packet);
    assert_eq!(reply[..2], packet[..2], "the client's own id");
    assert_eq!(addresses(&reply), [IpAddr::from([192, 0, 2, 7])]);
    let reply = exchange(&mut stage.tcp(), &query("example.com", A, None));
    assert_eq!(addresses(&reply), [IpAddr::from([192, 0, 2, 7])]);
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    stage.addresses("web", A);
    assert_eq!(
        server.asked.load(Ordering::SeqCst),
        1,
        "a local name leaves nobody's house"
    );
}

#[test]
fn what_the_servers_cut_short_stays_marked() {
    let cut: Manner = |packet| {
        let mut reply = says(packet, 7);
        reply[2] |= 2;
        Some(reply)
    };
    let server = upstream(cut);
    let stage = Stage::new(given(&[server.address]));
    assert!(is_truncated(&stage.ask(&query("example.com", A, None))));
    // A server that answers more than was asked for is not let through either.
    let long: Manner = |packet| {
        let mut reply = says(packet, 7);
        reply.resize(3000, 0);
        Some(reply)
    };
    let server = upstream(long);
    let stage = Stage::new(given(&[server.address]));
    assert!(stage.ask(&query("example.com", A, None)).len() <= 512);
}

#[test]
fn the_next_server_is_asked_when_one_is_silent_absent_or_fails() {
    let good = upstream(|packet| Some(says(packet, 9)));
    let silent = upstream(|_| None);
    let failing = upstream(|packet| Some(fails(packet)));
    let lying = upstream(|mut packet| {
        packet[0] ^= 0xff;
        Some(says(packet, 66))
    });
    let absent: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    for first in [silent.address, absent, failing.address, lying.address] {
        let stage = Stage::new(given(&[first, good.address]));
        let begin = Instant::now();
        let found = stage.addresses("example.com", A);
        assert_eq!(found, (0, vec!["192.0.2.9".to_owned()]), "{first}");
        assert!(begin.elapsed() < Duration::from_secs(3), "{first}");
    }
    // When nobody knows, what was said first is told; when nobody says anything, that.
    let stage = Stage::new(given(&[failing.address]));
    assert_eq!(stage.addresses("example.com", A), (2, vec![]));
    let stage = Stage::new(given(&[absent]));
    assert_eq!(stage.addresses("example.com", A), (2, vec![]));
    let stage = Stage::new(View::default());
    assert_eq!(stage.addresses("example.com", A), (2, vec![]));
}

#[test]
fn silent_servers_hold_up_neither_local_names_nor_more_than_is_bounded() {
    let silent = upstream(|_| None);
    let stage = Stage::new(given(&[silent.address]));
    let socket = stage.udp();
    // Some at a time: the packets themselves must not be lost on the way.
    for n in 0..MAX_FORWARDS + 20 {
        socket
            .send(&query(&format!("n{n}.example.com"), A, None))
            .expect("send");
        if n % 16 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    let begin = Instant::now();
    assert_eq!(stage.addresses("web", A).1.len(), 1);
    assert!(begin.elapsed() < Duration::from_millis(500));
    // Those beyond the bound are refused at once.
    for _ in 0..20 {
        assert_eq!(rcode(&receive(&socket)), 2);
    }
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_dns_server_on_the_containers_own_loopback_is_reached_there() {
    let mut view = given(&[]);
    let server = "127.0.0.1:5353".parse().expect("an address");
    view.servers = Servers::Given(vec![server]);
    let stage = Stage::new(view);
    let own = within(stage.namespace.as_fd(), || {
        UdpSocket::bind("127.0.0.1:5353")
    });
    let own = own.expect("enter").expect("a port");
    let serve = thread::spawn(move || {
        let mut packet = [0; 512];
        let (got, client) = own.recv_from(&mut packet).expect("a query");
        own.send_to(&says(packet[..got].to_vec(), 5), client)
            .expect("send");
    });
    assert_eq!(stage.addresses("example.com", A).1, ["192.0.2.5"]);
    serve.join().expect("the server");
}

#[test]
fn a_view_may_change_and_the_end_closes_the_sockets() {
    let stage = Stage::new(View::default());
    assert_eq!(stage.addresses("web", A), (2, vec![]));
    stage.resolver.set_view(given(&[]));
    assert_eq!(stage.addresses("web", A).1.len(), 1);
    let socket = stage.udp();
    let Stage {
        runtime,
        namespace,
        resolver,
    } = stage;
    let ports = resolver.ports();
    drop(resolver);
    let begin = Instant::now();
    let free = || {
        let bound = within(namespace.as_fd(), move || {
            UdpSocket::bind((ADDRESS, ports.udp))
        });
        bound.expect("enter").is_ok()
    };
    while !free() {
        assert!(begin.elapsed() < LONG, "the sockets are still there");
        thread::sleep(Duration::from_millis(5));
    }
    drop((socket, runtime));
}
