//! Links, addresses, routes and neighbours against the kernel, each test in a namespace of its own.

use std::net::IpAddr;

use crate::batch::Batch;
use crate::message::Writer;
use crate::route::link::{Change, Ipv4Switch, MacvlanMode, New};
use crate::route::table::Route;
use crate::route::{address, link, neighbour, table};
use crate::socket::Socket;

fn alone<T: Send>(work: impl FnOnce(&Socket) -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                sys::namespace::unshare(sys::namespace::Namespaces::NETWORK).expect("root");
                work(&Socket::route().expect("socket"))
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn send(socket: &Socket, messages: impl IntoIterator<Item = Writer>) {
    let mut batch = Batch::new();
    messages.into_iter().for_each(|message| batch.push(message));
    socket.batch(batch).expect("done");
}

fn new(name: &str) -> New<'_> {
    New {
        name,
        mac: None,
        mtu: None,
        namespace: None,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A bridge, a veth port of it, and the far end up with addresses.
fn network(socket: &Socket) -> (u32, u32) {
    let mac = Some([2, 1, 2, 3, 4, 5]);
    send(
        socket,
        [link::bridge(&New {
            mac,
            mtu: Some(1400),
            ..new("br")
        })],
    );
    let bridge = link::index(socket, "br").expect("made");
    send(
        socket,
        [
            link::veth(&new("near"), &new("far"), Some(bridge)),
            link::change(
                bridge,
                &Change {
                    up: Some(true),
                    alias: Some("mine"),
                    mtu: Some(1400),
                    ipv4: &[(Ipv4Switch::ReversePathFilter, 2)],
                    link_local: Some(false),
                    ..Change::default()
                },
            ),
        ],
    );
    let far = link::index(socket, "far").expect("made");
    send(
        socket,
        [
            link::change(
                far,
                &Change {
                    up: Some(true),
                    ..Change::default()
                },
            ),
            address::add(far, ip("10.9.0.2"), 24),
            address::add(far, ip("fd09::2"), 64),
            table::add_default(ip("10.9.0.1"), None),
            table::add_default(ip("fd09::1"), None),
        ],
    );
    (bridge, far)
}

#[test]
fn a_bridge_with_a_port_is_what_was_asked_for() {
    alone(|socket| {
        let (index, far) = network(socket);
        let bridge = link::find(socket, "br").expect("asked").expect("there");
        assert_eq!(bridge.kind, "bridge");
        assert_eq!(
            (bridge.index, bridge.mtu, bridge.mac),
            (index, 1400, Some([2, 1, 2, 3, 4, 5]))
        );
        assert!(bridge.is_up() && bridge.alias == "mine");
        let near = link::find(socket, "near").expect("asked").expect("there");
        assert_eq!((near.kind.as_str(), near.master), ("veth", Some(index)));
        assert_eq!(near.peer, Some(far));
        assert!(near.port_state.is_some(), "{near:?}");
        assert_eq!(link::find(socket, "none").expect("asked"), None);
        assert_eq!(link::list(socket).expect("listed").len(), 4);
        assert!(link::list(socket).expect("listed")[0].is_loopback());

        send(socket, [link::remove("near")]);
        assert_eq!(link::list(socket).expect("listed").len(), 2, "both ends");
    });
}

#[test]
fn addresses_and_routes_are_listed_and_removed() {
    alone(|socket| {
        let (_, far) = network(socket);
        let addresses = address::list(socket).expect("listed");
        for (text, prefix) in [("10.9.0.2", 24), ("fd09::2", 64)] {
            let expect = address::Address {
                link: far,
                address: ip(text),
                prefix,
            };
            assert!(addresses.contains(&expect), "{text} in {addresses:?}");
        }
        let routes = table::list(socket).expect("listed");
        let defaults: Vec<&Route> = routes
            .iter()
            .filter(|route| route.is_default() && route.is_unicast())
            .collect();
        let gateways: Vec<_> = defaults.iter().filter_map(|route| route.gateway).collect();
        assert_eq!(gateways, [ip("10.9.0.1"), ip("fd09::1")]);
        assert!(defaults.iter().all(|route| route.link == Some(far)));
        let connected = |destination: &str| {
            routes
                .iter()
                .any(|route| route.destination == ip(destination) && route.table == table::MAIN)
        };
        assert!(connected("10.9.0.0") && connected("fd09::"), "{routes:?}");
        assert!(routes.iter().any(|route| route.table == table::LOCAL));

        send(socket, defaults.into_iter().map(table::remove));
        let left = table::list(socket).expect("listed");
        assert!(
            !left
                .iter()
                .any(|route| route.is_default() && route.is_unicast())
        );
        send(socket, [address::remove(far, ip("10.9.0.2"), 24)]);
        let left = address::list(socket).expect("listed");
        assert!(!left.iter().any(|a| a.address == ip("10.9.0.2")));
    });
}

#[test]
fn permanent_neighbours_stand_until_removed() {
    alone(|socket| {
        let (_, far) = network(socket);
        let mac = [2, 0, 0, 0, 0, 7];
        for text in ["10.9.0.7", "fe80::7"] {
            send(socket, [neighbour::set_permanent(far, ip(text), mac)]);
            let found = neighbour::list(socket).expect("listed");
            let found = found.iter().find(|n| n.address == ip(text)).expect(text);
            assert_eq!(
                (found.link, found.mac, found.is_permanent),
                (far, Some(mac), true)
            );
            send(socket, [neighbour::remove(far, ip(text))]);
            let left = neighbour::list(socket).expect("listed");
            assert!(!left.iter().any(|n| n.address == ip(text)));
        }
    });
}

#[test]
fn a_macvlan_is_made_on_its_parent() {
    alone(|socket| {
        let (bridge, _) = network(socket);
        send(
            socket,
            [link::macvlan(&new("mv0"), bridge, MacvlanMode::Private)],
        );
        let made = link::find(socket, "mv0").expect("asked").expect("there");
        assert_eq!((made.kind.as_str(), made.peer), ("macvlan", Some(bridge)));
    });
}
