//! What others take away comes back.

use std::time::{Duration, Instant};

use netlink::nft::{Change, Family, commit, tables};
use netlink::socket::Socket;
use network::firewall::{Firewall, Instance, Policy, Protocol};

use crate::world::{CLIENT4, CLIENT6, HOST4, HOST6, World, has, ip};

const OURS: [Family; 3] = [Family::Ip, Family::Bridge, Family::Ip6];

#[test]
fn a_flushed_ruleset_is_back_within_a_second() {
    let world = World::new(Policy::HostInput);
    let healer = world.host.here(|| world.firewall.watch()).expect("watch");
    world.network(30, |_| {});
    let container = world.container(30, 2);
    container.machine.serve(80);
    world.publish(&container, &container.published(Protocol::Tcp, 8080, 80));
    let stranger = world.host.here(Socket::netfilter).expect("socket");
    for round in 0..3 {
        if has("nft") {
            world.host.run("nft flush ruleset");
        } else {
            let gone = OURS.map(|family| Change::DeleteTable(family, "estiva".into()));
            commit(&stranger, &gone).expect("they were there");
        }
        // By calls: a dump shows tables that are still being made.
        let began = Instant::now();
        while world.client.call(&format!("{HOST4}:8080")) != Some(ip(CLIENT4)) {
            assert!(began.elapsed() < Duration::from_secs(1), "within a second");
        }
        eprintln!(
            "round {round}: healed {:?} after the flush",
            began.elapsed()
        );
        assert_eq!(
            world.client.call(&format!("[{HOST6}]:8080")),
            Some(ip(CLIENT6))
        );
    }
    // A single chain or element is missed as well.
    if has("nft") {
        for line in [
            "nft flush chain ip estiva forward",
            "nft flush set ip estiva published",
            "nft flush map ip estiva ports",
        ] {
            let before = world.host.run("nft list table ip estiva");
            world.host.run(line);
            let began = Instant::now();
            while world.host.run("nft list table ip estiva") != before {
                assert!(began.elapsed() < Duration::from_secs(1), "{line}");
            }
        }
    }
    drop(healer);
    world.firewall.remove_all().expect("all");
    assert_eq!(tables(&stranger).expect("dump"), []);
}

#[test]
fn without_a_healer_the_next_change_puts_all_right() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let container = world.container(30, 2);
    let socket = world.host.here(Socket::netfilter).expect("socket");
    let gone = OURS.map(|family| Change::DeleteTable(family, "estiva".into()));
    commit(&socket, &gone).expect("they were there");
    world.publish(&container, &container.published(Protocol::Tcp, 8080, 80));
    container.machine.serve(80);
    assert_eq!(
        world.client.call(&format!("{HOST4}:8080")),
        Some(ip(CLIENT4))
    );
    commit(&socket, &gone).expect("they were there");
    world
        .firewall
        .remove_endpoint(&container.endpoint.host_name)
        .expect("also a removal");
    assert_eq!(tables(&socket).expect("dump").len(), 3);
}

#[test]
fn a_new_daemon_takes_over_and_connections_go_on() {
    let world = World::new(Policy::HostInput);
    let network = world.network(30, |_| {});
    let container = world.container(30, 2);
    let gone = world.container(30, 3);
    container.machine.serve(80);
    let ports = container.published(Protocol::Udp, 8080, 80);
    world.publish(&container, &ports);
    world.publish(&gone, &gone.published(Protocol::Tcp, 8081, 80));
    let target = format!("{HOST4}:8080").parse().expect("an address");
    let socket = world
        .client
        .here(|| std::net::UdpSocket::bind("0.0.0.0:0"))
        .expect("bind");
    assert_eq!(crate::world::ask_udp(&socket, target), Some(ip(CLIENT4)));
    let successor = world.host.here(|| {
        let instance = Instance {
            table: "estiva".into(),
        };
        Firewall::open(instance, Policy::HostInput, world.admission.clone()).expect("open")
    });
    assert_eq!(
        crate::world::ask_udp(&socket, target),
        Some(ip(CLIENT4)),
        "nothing yet"
    );
    let found = (container.endpoint.clone(), ports.to_vec());
    successor.restore(&[network], &[found]).expect("restore");
    assert_eq!(
        crate::world::ask_udp(&socket, target),
        Some(ip(CLIENT4)),
        "the same flow"
    );
    assert_eq!(
        world.client.call_udp(&format!("{HOST4}:8080")),
        Some(ip(CLIENT4))
    );
    // What the old one had and the new one was not told of is gone.
    if has("nft") {
        let text = world.host.run("nft list table ip estiva");
        assert!(!text.contains("8081"), "{text}");
    }
}

#[test]
fn two_daemons_live_beside_each_other() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let one = world.container(30, 2);
    one.machine.serve(80);
    world.publish(&one, &one.published(Protocol::Tcp, 8080, 80));
    let admission = world
        .host
        .here(|| network::link::ensure_pair("eso-1", "esi-1"))
        .expect("pair");
    let other = World {
        firewall: world.host.here(|| {
            let instance = Instance {
                table: "estiva-00000001".into(),
            };
            Firewall::open(instance, Policy::HostInput, admission.clone()).expect("open")
        }),
        admission,
        ..world
    };
    other.network(31, |_| {});
    let two = other.container(31, 2);
    two.machine.serve(80);
    other.publish(&two, &two.published(Protocol::Tcp, 8081, 80));
    for target in [
        format!("{HOST4}:8080"),
        format!("{HOST4}:8081"),
        format!("[{HOST6}]:8081"),
    ] {
        assert!(other.client.call(&target).is_some(), "{target}");
    }
    assert_eq!(
        one.machine.call("172.31.0.2:80"),
        None,
        "the other's network"
    );
    assert_eq!(
        two.machine.call("172.30.0.2:80"),
        None,
        "the other's network"
    );
    assert!(
        one.machine.call(&format!("{HOST4}:8081")).is_some(),
        "what it publishes"
    );
}

#[test]
fn new_connections_do_not_notice_a_rebuild() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let container = world.container(30, 2);
    container.machine.serve(80);
    world.publish(&container, &container.published(Protocol::Tcp, 8080, 80));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            while !is_over.load(order) {
                let seen = world.client.call(&format!("{HOST4}:8080"));
                let call = calls.fetch_add(1, order);
                assert_eq!(seen, Some(ip(CLIENT4)), "call {call}");
            }
        });
        let mut rebuilds = 0;
        // However slow the machine is: this many of both.
        while rebuilds < 100 || calls.load(order) <= 20 && !caller.is_finished() {
            world
                .host
                .here(|| world.firewall.rebuild())
                .expect("rebuild");
            rebuilds += 1;
            std::thread::sleep(Duration::from_millis(3));
        }
        is_over.store(true, order);
        caller.join().expect("no call failed");
        let calls = calls.load(order);
        eprintln!("{calls} connections while the tables were made anew {rebuilds} times");
    });
}
