//! Links against the kernel, each test on a host of its own: a network namespace that ends with it.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netlink::route::neighbour;

use super::*;
use crate::namespace::{Namespace, within};
use crate::subnet::Subnet;

/// Runs as if on another host.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let host = Namespace::make().expect("root");
    within(host.as_fd(), work).expect("entered")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn spec(name: &str, gateways: &[(&str, u8)]) -> BridgeSpec {
    BridgeSpec {
        name: name.to_owned(),
        gateways: gateways.iter().map(|(a, p)| (ip(a), *p)).collect(),
        mtu: None,
    }
}

fn wire(master: &str, host_name: &str, name: &str, addresses: &[(&str, u8)]) -> Wire {
    Wire {
        kind: WireKind::Bridge {
            master: master.to_owned(),
            host_name: host_name.to_owned(),
        },
        name: name.to_owned(),
        mac: mac_of(ip(addresses[0].0)),
        addresses: addresses.iter().map(|(a, p)| (ip(a), *p)).collect(),
        mtu: None,
    }
}

fn all_of(name: &str) -> Vec<String> {
    let socket = open().expect("socket");
    let index = link::index(&socket, name).expect("there");
    let mut found: Vec<String> = netlink::route::address::list(&socket)
        .expect("listed")
        .iter()
        .filter(|one| one.link == index)
        .map(|one| format!("{}/{}", one.address, one.prefix))
        .collect();
    found.sort();
    found
}

fn gateways() -> Vec<IpAddr> {
    netlink::route::table::list(&open().expect("socket"))
        .expect("listed")
        .iter()
        .filter(|route| route.is_default() && route.is_unicast())
        .filter_map(|route| route.gateway)
        .collect()
}

fn switch(path: &str) -> String {
    let path = format!("/proc/sys/net/{path}");
    fs::read_to_string(&path).expect(&path).trim().to_owned()
}

/// Sends a line there and back.
fn talk(to: SocketAddr, listener: &TcpListener) {
    let mut near = TcpStream::connect_timeout(&to, Duration::from_secs(5)).expect("connected");
    let (mut far, _) = listener.accept().expect("accepted");
    near.write_all(b"ping").expect("written");
    let mut got = [0; 4];
    far.read_exact(&mut got).expect("read");
    assert_eq!(&got, b"ping");
}

#[test]
fn a_bridge_is_made_once_and_made_right_again() {
    alone(|| {
        let mut wanted = spec("br-test", &[("10.9.0.1", 24), ("fd09::1", 64)]);
        wanted.mtu = Some(1400);
        let first = ensure_bridge(&wanted).expect("made");
        assert!(first.is_new);
        let link = find("br-test").expect("asked").expect("there");
        assert!(link.is_up() && link.alias == "estiva" && link.mtu == 1400);
        assert_eq!(
            all_of("br-test"),
            ["10.9.0.1/24", "fd09::1/64", "fe80::1/64"]
        );
        let told = [(ip("10.9.0.1"), 24), (ip("fd09::1"), 64)];
        assert_eq!(addresses_of("br-test").expect("read"), told);
        assert_eq!(addresses_of("br-none").expect("read"), []);
        assert_eq!(switch("ipv6/conf/br-test/accept_ra"), "0");
        let mac = link.mac;

        // Again: nothing changes. With a port of another MTU: neither its MTU nor its address changes.
        assert_eq!(
            ensure_bridge(&wanted).expect("there"),
            Bridge {
                is_new: false,
                ..first
            }
        );
        let container = Namespace::make().expect("root");
        let mut port = wire("br-test", "veth0", "eth0", &[("10.9.0.2", 24)]);
        port.mtu = Some(1300);
        plug_fresh(&container, &[port], &[]).expect("plugged");
        let link = find("br-test").expect("asked").expect("there");
        assert_eq!((link.mac, link.mtu), (mac, 1400));

        // Other addresses: the old ones go.
        ensure_bridge(&spec("br-test", &[("10.8.0.1", 24)])).expect("changed");
        assert_eq!(all_of("br-test"), ["10.8.0.1/24"]);

        assert!(remove_bridge("br-test").expect("removed"));
        assert!(!remove_bridge("br-test").expect("gone"));
        assert_eq!(find("br-test").expect("asked"), None);
    });
}

#[test]
fn what_others_made_is_left_alone() {
    alone(|| {
        let socket = open().expect("socket");
        let mut plan = Plan::default();
        let new = |name| link::New {
            name,
            mac: None,
            mtu: None,
            namespace: None,
        };
        plan.add(Step::Together, link::bridge(&new("theirs")));
        plan.add(Step::Together, link::veth(&new("v0"), &new("v1"), None));
        plan.carry_out(&socket).expect("made");
        let index = link::index(&socket, "theirs").expect("there");
        let mut plan = Plan::default();
        plan.add(
            Step::Together,
            netlink::route::address::add(index, ip("10.1.0.9"), 24),
        );
        plan.carry_out(&socket).expect("given");

        assert!(
            !ensure_bridge(&spec("theirs", &[("10.1.0.1", 24)]))
                .expect("joined")
                .is_new
        );
        let theirs: Vec<String> = all_of("theirs")
            .into_iter()
            .filter(|address| !address.starts_with("fe80"))
            .collect();
        assert_eq!(theirs, ["10.1.0.1/24", "10.1.0.9/24"]);
        assert!(!remove_bridge("theirs").expect("looked"));
        assert!(find("theirs").expect("asked").is_some());

        let error = ensure_bridge(&spec("v0", &[])).expect_err("a veth");
        assert_eq!(error.to_string(), "existing interface v0 is not a bridge");
        assert_eq!(error.kind(), fault::Kind::Conflict);
        let error = ensure_pair("v0", "v9").expect_err("a foreign veth");
        assert!(matches!(error, Error::InTheWay { .. }), "{error}");
        assert!(find("v0").expect("asked").is_some());
    });
}

#[test]
fn a_bridge_that_cannot_be_had_leaves_nothing() {
    alone(|| {
        let mut wanted = spec("br-bad", &[("10.1.0.1", 24)]);
        wanted.gateways.push((ip("10.1.0.2"), 77));
        let error = ensure_bridge(&wanted).expect_err("no such prefix");
        assert!(
            error
                .to_string()
                .contains("give link br-bad the address 10.1.0.2/77"),
            "{error}"
        );
        assert_eq!(find("br-bad").expect("asked"), None);
        for name in [
            "",
            "a/b",
            "..",
            "all",
            "sixteen-letters-",
            "with space",
            "a:b",
            "br%d",
        ] {
            let error = ensure_bridge(&spec(name, &[])).expect_err(name);
            assert_eq!(error.kind(), fault::Kind::Invalid, "{name}");
        }
    });
}

#[test]
fn two_containers_talk_over_a_bridge_and_to_the_host() {
    alone(|| {
        ensure_bridge(&spec("br0", &[("10.9.0.1", 24), ("fd09::1", 64)])).expect("made");
        let one = Namespace::make().expect("root");
        let other = Namespace::make().expect("root");
        let gateways_of = [ip("10.9.0.1"), ip("fd09::1")];
        for (container, host, last) in [(&one, "veth1", 2), (&other, "veth2", 3)] {
            let (v4, v6) = (format!("10.9.0.{last}"), format!("fd09::{last}"));
            let wire = wire("br0", host, "eth0", &[(&v4, 24), (&v6, 64)]);
            plug_fresh(container, &[wire], &gateways_of).expect("plugged");
        }
        within(one.as_fd(), || {
            assert_eq!(gateways(), gateways_of);
            let socket = open().expect("socket");
            let link = find_with(&socket, "eth0").expect("asked").expect("there");
            assert_eq!(link.mac, Some([0x02, 0x42, 10, 9, 0, 2]));
            let found = all_of("eth0");
            assert!(found.contains(&"10.9.0.2/24".to_owned()), "{found:?}");
            assert!(found.contains(&"fd09::2/64".to_owned()), "{found:?}");
            assert!(found.iter().any(|a| a.starts_with("fe80::")), "{found:?}");
        })
        .expect("entered");
        for (listen, there) in [("0.0.0.0:80", "10.9.0.3:80"), ("[::]:81", "[fd09::3]:81")] {
            let listener = within(other.as_fd(), || TcpListener::bind(listen))
                .expect("entered")
                .expect("bound");
            let there: SocketAddr = there.parse().expect("an address");
            within(one.as_fd(), || talk(there, &listener)).expect("entered");
            talk(there, &listener);
        }
        let ports: Vec<Option<u8>> = links_with_prefix("veth")
            .expect("listed")
            .iter()
            .map(|link| link.port_state)
            .collect();
        assert_eq!(ports, [Some(3), Some(3)], "both forward");

        assert_eq!(all_of("veth1"), [] as [&str; 0], "a port has none");

        // A namespace takes its links with it.
        drop((one, other));
        let start = Instant::now();
        while !links_with_prefix("veth").expect("listed").is_empty() {
            assert!(start.elapsed() < Duration::from_secs(10), "still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

#[test]
fn the_first_packet_after_plugging_arrives() {
    alone(|| {
        ensure_bridge(&spec("br0", &[("10.9.0.1", 24)])).expect("made");
        let listener = UdpSocket::bind("10.9.0.1:9").expect("bound");
        listener
            .set_read_timeout(Some(Duration::from_secs(3)))
            .expect("set");
        for round in 2..22u8 {
            let container = Namespace::make().expect("root");
            let address = format!("10.9.0.{round}");
            let wire = wire("br0", "veth1", "eth0", &[(&address, 24)]);
            plug_fresh(&container, &[wire], &[]).expect("plugged");
            within(container.as_fd(), || {
                let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
                socket.send_to(b"first", "10.9.0.1:9").expect("sent");
            })
            .expect("entered");
            let start = Instant::now();
            let mut got = [0; 8];
            let (length, _) = listener.recv_from(&mut got).expect("arrived");
            assert_eq!(&got[..length], b"first");
            assert!(
                start.elapsed() < Duration::from_millis(900),
                "only when asked for again, {:?}",
                start.elapsed()
            );
            remove_link("veth1").expect("removed");
        }
    });
}

#[test]
fn a_network_without_ipv6_has_none() {
    alone(|| {
        ensure_bridge(&spec("br0", &[("10.9.0.1", 24)])).expect("made");
        let container = Namespace::make().expect("root");
        let wire = wire("br0", "veth1", "eth0", &[("10.9.0.2", 24)]);
        plug_fresh(&container, &[wire], &[ip("10.9.0.1")]).expect("plugged");
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(all_of("br0"), ["10.9.0.1/24"]);
        let inside = within(container.as_fd(), || all_of("eth0"));
        assert_eq!(inside.expect("entered"), ["10.9.0.2/24"]);
    });
}

#[test]
fn wires_are_plugged_and_unplugged_while_a_container_runs() {
    alone(|| {
        ensure_bridge(&spec("br0", &[("10.9.0.1", 24)])).expect("made");
        ensure_bridge(&spec("br1", &[("10.8.0.1", 24), ("fd08::1", 64)])).expect("made");
        let container = Namespace::make().expect("root");
        let ns = container.as_fd();
        let first = wire("br0", "veth1", "eth0", &[("10.9.0.2", 24)]);
        plug(ns, &[first], &[ip("10.9.0.1")]).expect("plugged");
        let second = wire("br1", "veth2", "eth1", &[("10.8.0.2", 24), ("fd08::2", 64)]);
        plug(ns, &[second], &[ip("fd08::1")]).expect("plugged hot");
        let now = || within(ns, gateways).expect("entered");
        assert_eq!(now(), [ip("10.9.0.1"), ip("fd08::1")]);

        set_gateways(ns, &[ip("10.8.0.1"), ip("fd08::1")]).expect("set");
        assert_eq!(now(), [ip("10.8.0.1"), ip("fd08::1")]);
        set_gateways(ns, &[ip("10.8.0.1"), ip("fd08::1")]).expect("as it is");
        let error = set_gateways(ns, &[ip("10.8.0.1"), ip("172.30.0.1")]).expect_err("nowhere");
        assert!(error.to_string().contains("172.30.0.1"), "{error}");

        assert!(unplug(ns, "eth1").expect("unplugged"));
        assert!(!unplug(ns, "eth1").expect("gone"));
        assert_eq!(find("veth2").expect("asked"), None, "the host's end");
        set_gateways(ns, &[]).expect("none");
        assert_eq!(now(), [] as [IpAddr; 0]);
    });
}

#[test]
fn a_plug_that_fails_leaves_nothing_and_touches_nothing_else() {
    alone(|| {
        ensure_bridge(&spec("br0", &[("10.9.0.1", 24)])).expect("made");
        let container = Namespace::make().expect("root");
        let good = wire("br0", "veth1", "eth0", &[("10.9.0.2", 24)]);
        let links = || links_with_prefix("veth").expect("listed").len();
        let fail = |wires: &[Wire], gateways: &[IpAddr], says: &str| {
            let before = links();
            let error = plug_fresh(&container, wires, gateways).expect_err(says);
            assert!(fault::chain(&error).contains(says), "{error:?}");
            assert_eq!(links(), before);
            error
        };
        let taken_name = wire("br0", "veth1", "eth1", &[("10.9.0.3", 24)]);
        fail(
            &[good.clone(), taken_name],
            &[],
            "make link eth1: netlink message 0 refused",
        );
        fail(
            std::slice::from_ref(&good),
            &[ip("10.7.0.1")],
            "route by default through 10.7.0.1",
        );
        let nowhere = wire("br7", "veth2", "eth0", &[("10.9.0.3", 24)]);
        let error = fail(&[nowhere], &[], "no interface br7");
        assert_eq!(error.kind(), fault::Kind::NotFound);

        plug_fresh(&container, std::slice::from_ref(&good), &[]).expect("plugged after all that");
        // The same once more: what is there stays.
        let error = fail(&[good], &[], "make link eth0");
        assert_eq!(error.kind(), fault::Kind::Conflict);
        assert_eq!(links(), 1);
        let inside = within(container.as_fd(), || all_of("eth0")).expect("entered");
        assert!(inside.contains(&"10.9.0.2/24".to_owned()));
    });
}

#[test]
fn a_macvlan_is_plugged_into_its_parent() {
    alone(|| {
        // Two hosts: `there` is behind the cable whose near end is the parent.
        ensure_bridge(&spec("br0", &[("10.9.0.1", 24)])).expect("made");
        let near = Namespace::make().expect("root");
        let parent = wire("br0", "veth1", "up0", &[("10.9.0.2", 24)]);
        plug_fresh(&near, &[parent], &[]).expect("plugged");
        let container = Namespace::make().expect("root");
        let wire = Wire {
            kind: WireKind::Macvlan {
                parent: "up0".to_owned(),
                mode: MacvlanMode::Bridge,
            },
            name: "eth0".to_owned(),
            mac: mac_of(ip("10.9.0.3")),
            addresses: vec![(ip("10.9.0.3"), 24)],
            mtu: None,
        };
        let plugged = within(near.as_fd(), || {
            plug_fresh(&container, &[wire], &[ip("10.9.0.1")])
        });
        plugged.expect("entered").expect("plugged");
        let listener = TcpListener::bind("10.9.0.1:80").expect("bound");
        within(container.as_fd(), || {
            talk("10.9.0.1:80".parse().expect("an address"), &listener);
        })
        .expect("entered");
    });
}

#[test]
fn the_pair_is_what_the_firewall_needs_and_is_made_right_again() {
    alone(|| {
        let first = ensure_pair("estiva-o", "estiva-i").expect("made");
        assert_eq!(first.next_hop4, std::net::Ipv4Addr::new(169, 254, 77, 2));
        assert_eq!(
            all_of("estiva-o"),
            ["169.254.77.1/30", "fe80::1/64"],
            "no others"
        );
        // Its loose reverse path check fails on a link without any address.
        assert_eq!(all_of("estiva-i"), ["169.254.77.1/32"]);
        let rules = [
            ("ipv4/conf/estiva-i/rp_filter", "2"),
            ("ipv4/conf/estiva-i/forwarding", "1"),
            ("ipv6/conf/estiva-i/forwarding", "1"),
            ("ipv6/conf/estiva-i/accept_ra", "0"),
            ("ipv6/conf/estiva-o/accept_ra", "0"),
        ];
        for (path, value) in rules {
            assert_eq!(switch(path), value, "{path}");
        }
        let inside = find("estiva-i").expect("asked").expect("there");
        let out = find("estiva-o").expect("asked").expect("there");
        assert!(out.is_up() && inside.is_up());
        let known = || {
            let mut known: Vec<_> = neighbour::list(&open().expect("socket"))
                .expect("listed")
                .into_iter()
                .filter(|n| n.link == out.index && n.is_permanent && n.mac == inside.mac)
                .map(|n| n.address)
                .collect();
            known.sort();
            known
        };
        let hops: [IpAddr; 2] = [first.next_hop4.into(), first.next_hop6.into()];
        assert_eq!(known(), hops);

        // Forgotten neighbours come back; the address stays.
        let socket = open().expect("socket");
        let mut plan = Plan::default();
        plan.add(Step::Together, neighbour::remove(out.index, hops[0]));
        plan.carry_out(&socket).expect("removed");
        assert_eq!(ensure_pair("estiva-o", "estiva-i").expect("there"), first);
        assert_eq!(known(), hops);
        assert_eq!(
            find("estiva-o").expect("asked").map(|l| l.index),
            Some(out.index)
        );

        // A second daemon's pair stands beside it, on another range.
        let second = ensure_pair("eso-1", "esi-1").expect("made");
        assert_eq!(second.next_hop4, std::net::Ipv4Addr::new(169, 254, 77, 6));

        // A packet sent to the next hop arrives inside, whatever else the host routes.
        let counter = || {
            let text = fs::read_to_string("/proc/thread-self/net/dev").expect("proc");
            let line = text
                .lines()
                .find(|l| l.contains("estiva-i"))
                .expect("there");
            let received = line.split_whitespace().nth(2).expect("a count");
            received.parse::<u64>().expect("a number")
        };
        let before = counter();
        let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
        socket.send_to(b"x", (first.next_hop4, 9)).expect("sent");
        assert!(counter() > before);
        assert!(remove_link("estiva-o").expect("removed"));
        assert_eq!(find("estiva-i").expect("asked"), None);
    });
}

#[test]
fn the_hosts_ranges_and_its_uplink_are_seen() {
    alone(|| {
        assert_eq!(host_ranges().expect("read"), [] as [Subnet; 0]);
        assert_eq!(uplink_mtu().expect("read"), None);
        let mut uplink = spec("up0", &[("192.0.2.7", 24), ("2001:db8::7", 64)]);
        uplink.mtu = Some(1380);
        ensure_bridge(&uplink).expect("made");
        for line in [
            "add default via 192.0.2.1",
            "add default via 192.0.2.2 metric 5",
            "add 0.0.0.0/1 via 192.0.2.1",
            "add 128.0.0.0/1 via 192.0.2.1",
            "add 10.0.0.0/8 via 192.0.2.1 table 77",
            "add blackhole 172.16.0.0/12",
            "-6 add fd77::/16 via 2001:db8::1",
        ] {
            let (before, words) = match line.strip_prefix("-6 ") {
                Some(rest) => (Some("-6"), rest),
                None => (None, line),
            };
            let status = std::process::Command::new("ip")
                .args(before)
                .arg("route")
                .args(words.split(' '))
                .status()
                .expect("ip, of iproute2");
            assert!(status.success(), "{line}");
        }
        let found: Vec<String> = host_ranges()
            .expect("read")
            .iter()
            .map(Subnet::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "10.0.0.0/8",
                "172.16.0.0/12",
                "192.0.2.0/24",
                "2001:db8::/64",
                "fd77::/16"
            ]
        );
        assert_eq!(uplink_mtu().expect("read"), Some(1380));
    });
}

#[test]
fn forwarding_keeps_the_uplinks_own_routes() {
    alone(|| {
        ensure_bridge(&spec("up0", &[("192.0.2.7", 24)])).expect("made");
        ensure_bridge(&spec("br0", &[("10.9.0.1", 24)])).expect("made");
        fs::write("/proc/sys/net/ipv6/conf/up0/accept_ra", "1").expect("written");
        enable_forwarding(true).expect("enabled");
        for (path, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv6/conf/up0/accept_ra", "2"),
            ("ipv6/conf/br0/accept_ra", "0"),
        ] {
            assert_eq!(switch(path), value, "{path}");
        }
        enable_forwarding(true).expect("as it is");
        assert!(has_ipv6());
        fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").expect("written");
        assert!(!has_ipv6());
    });
}
