//! What a hostile container or neighbour tries; none of it works.

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use testkit::{Engine, Place};

use super::support::{at, idle, ip, listener, other_end, web};

/// Sends one ICMPv6 packet with the hop limit that neighbours demand; the kernel makes its sum.
fn icmp6(place: &Place, from: IpAddr, to: Ipv6Addr, message: &[u8]) {
    let link = place.link("eth0")["ifindex"].as_u64().expect("a number");
    let link = u32::try_from(link).expect("a small one");
    place.within(|| {
        let socket = rustix::net::socket_with(
            AddressFamily::INET6,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(rustix::net::ipproto::ICMPV6),
        )
        .expect("a program with NET_RAW");
        rustix::net::sockopt::set_ipv6_multicast_hops(&socket, 255).expect("an option");
        rustix::net::sockopt::set_ipv6_unicast_hops(&socket, Some(255)).expect("an option");
        let IpAddr::V6(from) = from else {
            panic!("{from} is no IPv6 address");
        };
        let with = |address| std::net::SocketAddrV6::new(address, 0, 0, link);
        rustix::net::bind(&socket, &with(from)).expect("it has that address now");
        rustix::net::connect(&socket, &with(to)).expect("a route");
        let mut file = std::fs::File::from(socket);
        file.write_all(message).expect("it is sent");
    });
}

/// The neighbour advertisement "this address is mine", to everyone, with the wish to be believed. RFC 4861, section 4.4.
fn advertisement(address: IpAddr, mac: &str) -> Vec<u8> {
    let IpAddr::V6(address) = address else {
        panic!("{address} is no IPv6 address");
    };
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(address.octets());
    message.extend([2, 1]);
    message.extend(
        mac.split(':')
            .map(|b| u8::from_str_radix(b, 16).expect("a MAC")),
    );
    message
}

/// A router's advertisement: "the way out is by me", for half an hour. RFC 4861, section 4.2.
const ROUTER: [u8; 16] = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn link_local(place: &Place) -> IpAddr {
    let text = place.sh("ip -6 -o addr show dev eth0 scope link");
    let address = text.split_whitespace().skip_while(|w| *w != "inet6").nth(1);
    let (address, _) = address
        .and_then(|a| a.split_once('/'))
        .expect("a link-local address");
    ip(address)
}

#[test]
fn nobody_takes_anothers_ipv6_address() {
    if Engine::is_peer() {
        return testkit::skip("the peer lets them");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let on = |name: &str| web(&engine, name, "--network net");
    let (liar, victim, friend) = (on("liar"), on("victim"), on("friend"));
    let (target, own) = (victim.place.v6("eth0"), liar.place.v6("eth0"));
    assert!(friend.place.reaches(at(target, 80)));
    // In the other's name.
    liar.place
        .sh(&format!("ip -6 addr add {target}/128 dev eth0 nodad"));
    let receiver = friend
        .place
        .within(|| std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 4000)))
        .expect("a socket");
    receiver
        .set_read_timeout(Some(testkit::ms(400)))
        .expect("ours");
    let say = |from: IpAddr| {
        liar.place.within(|| {
            let socket = std::net::UdpSocket::bind(at(from, 0)).expect("it has it now");
            drop(socket.send_to(b"believe me", at(friend.place.v6("eth0"), 4000)));
        });
    };
    let mut buffer = [0; 64];
    say(own);
    assert!(
        receiver.recv_from(&mut buffer).is_ok(),
        "in its own name it may"
    );
    say(target);
    assert!(
        receiver.recv_from(&mut buffer).is_err(),
        "in another's it is not heard"
    );
    // "It lives with me", to all: the friend still finds the victim, also when it has to ask anew.
    let mac = liar.place.link("eth0")["address"]
        .as_str()
        .expect("a MAC")
        .to_owned();
    for from in [own, link_local(&liar.place)] {
        icmp6(&liar.place, from, ALL_NODES, &advertisement(target, &mac));
    }
    let seen = friend.place.who_tcp(at(target, 80)).expect("the victim");
    assert_eq!(seen.server, "victim");
    friend.place.sh("ip -6 neigh flush dev eth0");
    let seen = friend.place.who_tcp(at(target, 80)).expect("the victim");
    assert_eq!(seen.server, "victim");
}

#[test]
fn nobody_becomes_the_router_of_others_or_of_the_host() {
    let lan = testkit::lan();
    let engine = lan.engine();
    if Engine::is_peer() {
        return testkit::skip("the peer has no IPv6 here");
    }
    // A host that learns its way out from its router, as most do.
    lan.host.set_sysctl("ipv6.conf.default.accept_ra", "1");
    engine.ok("network create net");
    let liar = idle(&engine, "--name liar --network net").place();
    let friend = idle(&engine, "--name friend --network net").place();
    let ways = |place: &Place| {
        let mut list = place.default_routes();
        list.sort();
        list
    };
    let before = (ways(&lan.host), ways(&friend));
    for _ in 0..3 {
        icmp6(&liar, link_local(&liar), ALL_NODES, &ROUTER);
    }
    std::thread::sleep(testkit::ms(500));
    assert_eq!((ways(&lan.host), ways(&friend)), before);
}

#[test]
fn the_addresses_of_other_bridges_are_no_way_into_their_networks() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create aa");
    engine.ok("network create bb");
    engine.ok("network create --internal shut");
    let spy = web(&engine, "spy", "--network aa");
    let target = web(&engine, "target", "--network bb -p 8080:80");
    let walled = web(&engine, "walled", "--network shut");
    let bridge = |place: &Place| {
        let end = other_end(&lan.host, place, "eth0");
        let name = end["master"].as_str().expect("a bridge").to_owned();
        lan.host.addresses(&name)
    };
    let mine = spy.place.default_routes()[0].0;
    for (address, _) in bridge(&target.place) {
        assert!(
            !spy.place.reaches_somehow(at(address, 80)),
            "{address} is the host, where nothing serves"
        );
    }
    // By name of the host's address as a router, told outright.
    for (name, one) in [("target", &target), ("walled", &walled)] {
        for (address, _) in one.place.addresses("eth0") {
            let family = if address.is_ipv4() { "-4" } else { "-6" };
            let gateway = spy
                .place
                .default_routes()
                .into_iter()
                .map(|(ip, _)| ip)
                .find(|ip| ip.is_ipv4() == address.is_ipv4())
                .unwrap_or(mine);
            spy.place.sh(&format!(
                "ip {family} route replace {address} via {gateway}"
            ));
            assert!(
                !spy.place.reaches_somehow(at(address, 80)),
                "{name} by {address}"
            );
        }
    }
    // What is published is open to all, by the host's address; but not to whom nothing is open.
    assert!(spy.place.who_tcp(at(lan.host.ip, 8080)).is_some());
    if !Engine::is_peer() {
        for (address, _) in bridge(&target.place)
            .into_iter()
            .chain(bridge(&walled.place))
        {
            assert!(
                !walled.place.reaches_somehow(at(address, 8080)),
                "from the internal network by {address}"
            );
        }
        walled.place.sh(&format!(
            "ip route replace default via {}",
            bridge(&walled.place)[0].0
        ));
        assert!(!walled.place.reaches_somehow(at(lan.host.ip, 8080)));
    }
}

#[test]
fn an_internal_network_learns_nothing_of_the_world_by_names() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let server = testkit::dns::Server::start(&lan.world, at(lan.world.ip, 53), |_, _| {
        Some(vec![testkit::dns::v4("192.0.2.66")])
    });
    engine.ok("network create --internal shut");
    engine.ok("network create open");
    let walled = idle(&engine, "--name walled --network shut").place();
    let free = idle(&engine, "--name free --network open").place();
    assert_eq!(free.a("secret.free.test"), [ip("192.0.2.66")]);
    if Engine::is_peer() {
        return testkit::skip("the peer forwards questions out of internal networks");
    }
    // What a container knows could go out as the names it asks for.
    for name in ["secret.walled.test", "walled.example.com"] {
        let reply = walled.lookup(name, testkit::dns::kind::A);
        assert!(reply.answers.is_empty() && reply.code != 0, "{reply:?}");
    }
    assert!(!server.was_asked("secret.walled.test"));
    assert!(server.was_asked("secret.free.test"));
}

#[test]
fn packets_from_outside_in_a_containers_name_are_not_believed() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.68.0.0/24 net");
    let one = web(&engine, "one", "--network net --ip 10.68.0.5");
    let _two = web(&engine, "two", "--network net --ip 10.68.0.6");
    let receiver = listener(&one.place);
    // A neighbour of the host calls itself as a container, and sends to another one, or to the host's published port.
    lan.client.sh(&format!(
        "ip addr add 10.68.0.6/32 dev eth0; ip route add 10.68.0.0/24 via {} src 10.68.0.6",
        lan.host.ip
    ));
    lan.client.within(|| {
        let socket = std::net::UdpSocket::bind("10.68.0.6:0").expect("it has that address now");
        for to in [ip("10.68.0.5"), ip("10.68.0.1"), lan.host.ip] {
            drop(socket.send_to(b"believe me", at(to, 4000)));
        }
    });
    let mut buffer = [0; 64];
    assert!(receiver.recv_from(&mut buffer).is_err());
}

#[test]
fn what_engines_agree_by_is_out_of_other_users_reach() {
    if Engine::is_peer() {
        return testkit::skip("files of our own");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    drop(idle(&engine, ""));
    let script = "stat -c '%a %u %n' /run/estiva-* | grep -v '^600 0 ' || true; ls /run/estiva-*";
    let files = lan.host.sh(script);
    let mut lines = files.lines();
    // A lock that anybody may open anybody may hold; a mark that anybody may write says anything.
    assert!(
        lines
            .next()
            .is_some_and(|l| l.starts_with("/run/estiva-forwarding.")),
        "{files}"
    );
    assert_eq!(lines.next(), Some("/run/estiva-network.lock"), "{files}");
    assert_eq!(lan.host.sh("ls /run/lock"), "");
}

/// Puts a VLAN's tag on what goes by this link and address.
fn tagged(place: &Place, address: &str) {
    place.sh(&format!(
        "ip link add link eth0 name tagged type vlan id 5; ip addr add {address}/24 dev tagged; ip link set tagged up"
    ));
}

#[test]
fn a_vlans_tag_is_no_way_around_the_walls() {
    if Engine::is_peer() {
        return testkit::skip("the peer does not look behind tags");
    }
    let lan = testkit::lan();
    let probe = "ip link add link eth0 name probe type vlan id 5 && ip link del probe";
    if lan.host.try_sh(probe).code != 0 {
        return testkit::skip("this kernel has no VLANs");
    }
    let engine = lan.engine();
    engine.ok("network create open");
    engine.ok("network create -o com.docker.network.bridge.enable_icc=false quiet");
    for (network, may_talk) in [("open", true), ("quiet", false)] {
        let on = |name| {
            web(
                &engine,
                &format!("{name}-{network}"),
                &format!("--network {network}"),
            )
        };
        let (liar, friend, victim) = (on("liar"), on("friend"), on("victim"));
        tagged(&liar.place, "10.99.0.1");
        tagged(&friend.place, "10.99.0.2");
        assert_eq!(
            liar.place.reaches(at(ip("10.99.0.2"), 80)),
            may_talk,
            "{network}"
        );
        if !may_talk {
            continue;
        }
        let receiver = listener(&friend.place);
        // What is asked for the way back does not matter: nothing is.
        friend
            .place
            .sh("for s in all tagged; do echo 0 >/proc/sys/net/ipv4/conf/$s/rp_filter; done");
        liar.place
            .sh(&format!("ip addr add {}/32 dev tagged", victim.ip()));
        let mut buffer = [0; 64];
        for (from, is_heard) in [(ip("10.99.0.1"), true), (victim.ip(), false)] {
            liar.place.within(|| {
                let socket = std::net::UdpSocket::bind(at(from, 0)).expect("its own address now");
                drop(socket.send_to(b"believe me", at(ip("10.99.0.2"), 4000)));
            });
            let heard = receiver.recv_from(&mut buffer);
            assert_eq!(heard.is_ok(), is_heard, "from {from}: {heard:?}");
        }
    }
}

#[test]
fn nothing_leaves_a_network_under_a_strangers_address() {
    if Engine::is_peer() {
        return testkit::skip("the peer passes it on");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let sly = idle(&engine, "--name sly --network net").place();
    let receiver = listener(&lan.world);
    let say = |from: IpAddr| {
        sly.within(|| {
            let socket = std::net::UdpSocket::bind(at(from, 0)).expect("it has that address");
            drop(socket.send_to(b"believe me", at(testkit::lan::FAR, 4000)));
        });
    };
    let mut buffer = [0; 64];
    say(sly.v4("eth0"));
    assert!(receiver.recv_from(&mut buffer).is_ok(), "the way is open");
    let stranger = lan.client.ip;
    sly.sh(&format!("ip addr add {stranger}/32 dev eth0"));
    say(stranger);
    let heard = receiver.recv_from(&mut buffer);
    assert!(heard.is_err(), "heard from {stranger}: {heard:?}");
}
