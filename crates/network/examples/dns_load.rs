//! Asks a resolver for a local name at a steady rate, from inside a container's namespace, and tells how long the answers
//! took. Needs root. `cargo run --release -p estiva-network --example dns_load [queries-a-second [seconds]]`
//!
//! Each query has its time in the plan and is counted from that time on, not from when it was sent: an answer that holds up
//! those behind it is seen. What is measured goes through the namespace's loopback and two wake-ups of a thread; the same is
//! done first with a bare thread in the resolver's place, which is what the machine allows at the time.

use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use network::dns::{ADDRESS, Entry, Server, View, Zone};
use network::namespace::{Namespace, within};

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .map(|n| n.parse::<u32>().expect("a number"));
    let rate = numbers.next().unwrap_or(5000);
    let seconds = numbers.next().unwrap_or(10);
    let zone = Zone::new("front");
    for n in 0..=255u8 {
        let entry = Entry {
            names: vec![format!("web{n}"), "web".to_owned()],
            addresses: vec![IpAddr::from([10, 0, 0, n])],
            ports: Vec::new(),
        };
        zone.insert(&format!("endpoint{n}"), entry);
    }
    let view = View {
        zones: vec![Arc::new(zone)],
        ..View::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("an event loop");
    let namespace = Namespace::make().expect("a namespace needs root");
    let resolver = Server::start(runtime.handle(), namespace.as_fd(), view).expect("a resolver");
    let inside = |work: fn() -> UdpSocket| within(namespace.as_fd(), work).expect("enter");
    let socket = || inside(|| UdpSocket::bind((ADDRESS, 0)).expect("a port"));
    let ask = |name: &str, port: u16| {
        let socket = socket();
        let connected = within(namespace.as_fd(), || socket.connect((ADDRESS, port)));
        connected.expect("enter").expect("connect");
        println!("{name}: {}", load(socket, rate, seconds));
    };

    let floor = socket();
    let port = floor.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((got, client)) = floor.recv_from(&mut packet) {
            packet[7] = 1;
            let _ = floor.send_to(&packet[..got + 16], client);
        }
    });
    ask("a thread that answers anything", port);
    ask("the resolver", resolver.ports().udp);
}

/// Asks at a steady rate, and tells how it went.
fn load(socket: UdpSocket, rate: u32, seconds: u32) -> String {
    let timeout = Some(Duration::from_secs(1));
    socket.set_read_timeout(timeout).expect("a timeout");
    let count = rate * seconds;
    let begin = Instant::now() + Duration::from_millis(100);
    let due = move |n: u32| begin + Duration::from_secs(1) * n / rate;
    let sender = socket.try_clone().expect("a descriptor");
    let send = std::thread::spawn(move || {
        for n in 0..count {
            if let Some(wait) = due(n).checked_duration_since(Instant::now()) {
                std::thread::sleep(wait);
            }
            sender.send(&query(n)).expect("send");
        }
    });
    let mut took = Vec::with_capacity(count as usize);
    let mut packet = [0; 512];
    let mut last = 0;
    while took.len() < count as usize {
        let Ok(got) = socket.recv(&mut packet) else {
            break; // lost, or never answered
        };
        assert!(got > 30 && packet[7] == 1, "one address");
        // The id is the low half of the number; answers come about in order.
        let id = u16::from_be_bytes([packet[0], packet[1]]);
        let near = last & 0xffff_0000 | u32::from(id);
        let wrapped = near + 0x8000 < last;
        let number = if wrapped { near + 0x1_0000 } else { near };
        last = last.max(number);
        took.push(due(number).elapsed());
    }
    send.join().expect("the sender");
    took.sort();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    format!(
        "{} of {count} at {rate}/s: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        took.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}

/// A query for an address of `web0` to `web255`.
fn query(number: u32) -> Vec<u8> {
    let name = format!("web{}", number % 256);
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() as u8];
    packet[..2].copy_from_slice(&(number as u16).to_be_bytes());
    packet.extend_from_slice(name.as_bytes());
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}
