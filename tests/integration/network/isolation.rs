//! Walls: between networks, around internal ones, against lies about addresses, before the host's services and our API.

use testkit::lan::{FAR, FAR6};
use testkit::{Engine, Place};

use super::support::{at, idle, listener, other_end, show_bridged, web};

#[test]
fn networks_do_not_reach_each_other() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create aa");
    engine.ok("network create bb");
    let on = |name: &'static str| web(&engine, &format!("on-{name}"), &format!("--network {name}"));
    let (aa, bb, default) = (on("aa"), on("bb"), on("bridge"));
    let all = [("aa", &aa), ("bb", &bb), ("bridge", &default)];
    for (from, one) in all {
        for (to, other) in all {
            if from == to {
                continue;
            }
            for (address, _) in other.place.addresses("eth0") {
                assert!(
                    !one.place.reaches_somehow(at(address, 80)),
                    "{from} to {to} by {address}"
                );
            }
            let ping = engine
                .cli(&format!("exec on-{from} ping -c 1 -W 1 {}", other.ip()))
                .run();
            assert_ne!(ping.code, 0, "{from} pings {to}");
        }
    }
    // Who is in both reaches both, and is no road between them.
    let both = idle(&engine, "--name both --network aa");
    engine.ok("network connect bb both");
    assert!(both.place().reaches(at(aa.ip(), 80)) && both.place().reaches(at(bb.ip(), 80)));
    aa.place.sh(&format!(
        "ip route add {} via {}",
        bb.ip(),
        both.place().v4("eth0")
    ));
    both.place().sh("echo 1 >/proc/sys/net/ipv4/ip_forward");
    assert!(
        Engine::is_peer()
            || !aa.place.reaches_somehow(at(bb.ip(), 80))
            || both.place().sysctl("ipv4.ip_forward").as_deref() == Some("1"),
        "a container forwards only when its own administrator says so"
    );
}

#[test]
fn an_internal_network_has_no_way_out_or_in() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --internal --subnet 10.94.0.0/24 walled");
    let one = web(&engine, "one", "--network walled -p 8080:80");
    let two = web(&engine, "two", "--network walled");
    assert!(
        one.place.reaches(at(two.ip(), 80)),
        "inside it is a network"
    );
    assert_eq!(one.place.a("two"), [two.ip()]);
    if !Engine::is_peer() {
        assert_eq!(one.place.default_routes(), [], "and nothing leads out");
    }
    let _far = lan.world.serve("far", 7000);
    let end = other_end(&lan.host, &one.place, "eth0")["master"].clone();
    let gateway = lan
        .host
        .addresses(end.as_str().expect("a bridge"))
        .first()
        .map(|(ip, _)| *ip);
    // A program with rights over its network makes a road; the host does not go along.
    if let Some(gateway) = gateway {
        one.place
            .sh(&format!("ip route replace default via {gateway}"));
    } else {
        one.place.sh("ip route replace default dev eth0");
    }
    assert!(!one.place.reaches_somehow(at(FAR, 7000)));
    assert!(!one.place.reaches_somehow(at(lan.client.ip, 7000)));
    // Nor by words that wait for no answer.
    let receiver = listener(&lan.world);
    one.place.within(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
        drop(socket.send_to(b"a secret", at(FAR, 4000)));
    });
    let heard = receiver.recv_from(&mut [0; 64]);
    assert!(heard.is_err(), "{heard:?}");
    lan.client
        .sh(&format!("ip route add 10.94.0.0/24 via {}", lan.host.ip));
    assert!(!lan.client.reaches_somehow(at(one.ip(), 80)));
    if !Engine::is_peer() {
        assert!(
            !lan.client.reaches_somehow(at(lan.host.ip, 8080)),
            "not by a port either"
        );
        assert!(!one.place.reaches_somehow(at(FAR6, 7000)));
    }
    engine.ok("network create open");
    let stranger = web(&engine, "stranger", "--network open");
    assert!(!stranger.place.reaches_somehow(at(one.ip(), 80)));
    assert!(!one.place.reaches_somehow(at(stranger.ip(), 80)));
}

#[test]
fn outside_only_what_is_published_can_be_reached() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let one = web(&engine, "one", "-p 8080:80");
    // A neighbour of the host sends straight to the container, through the host.
    lan.client
        .sh("ip route add 172.16.0.0/12 via 198.51.100.20");
    let _other = one.place.serve("hidden", 81);
    assert!(!lan.client.reaches_somehow(at(one.ip(), 81)));
    if !Engine::is_peer() {
        assert!(
            !lan.client.reaches_somehow(at(one.ip(), 80)),
            "nor what is, but by the host's address"
        );
        let address = one.place.v6("eth0");
        lan.client.sh(&format!(
            "ip -6 route add {address}/128 via {}",
            lan.host.ip6
        ));
        assert!(!lan.client.reaches_somehow(at(address, 80)));
        assert!(!lan.client.reaches_somehow(at(address, 81)));
    }
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    // And what is published on loopback does not hear a neighbour that claims to be there.
    let _two = web(&engine, "two", "-p 127.0.0.1:8081:80");
    // Either may have the kernel take such packets for others than its own, as hosts with Kubernetes do.
    lan.host.set_sysctl("ipv4.conf.eth0.route_localnet", "1");
    lan.client.set_sysctl("ipv4.conf.eth0.route_localnet", "1");
    lan.client
        .sh("ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via 198.51.100.20");
    if !Engine::is_peer() {
        let _guard = lan.host.serve("open", 8082);
        let open = at([127, 0, 0, 1].into(), 8082);
        let answer = lan.client.ask_tcp(open, "good day");
        assert!(answer.is_ok(), "{answer:?}");
        let to = at([127, 0, 0, 1].into(), 8081);
        assert!(lan.client.who_tcp(to).is_none() && lan.client.who_udp(to).is_none());
    }
}

#[test]
fn without_icc_containers_of_the_network_do_not_reach_each_other() {
    for shown in ["1", "0"] {
        let lan = testkit::lan();
        show_bridged(&lan.host, shown);
        if Engine::is_peer() && shown == "0" {
            return testkit::skip("the peer's walls need it");
        }
        let engine = lan.engine();
        engine.ok("network create -o com.docker.network.bridge.enable_icc=false quiet");
        let one = web(&engine, "one", "--network quiet");
        let two = web(&engine, "two", "--network quiet -p 8080:80");
        for (address, _) in two.place.addresses("eth0") {
            assert!(
                !one.place.reaches_somehow(at(address, 80)),
                "{shown}: {address}"
            );
        }
        let _far = lan.world.serve("far", 7000);
        assert!(one.place.reaches(at(FAR, 7000)));
        assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    }
}

/// Takes the address of another container as well, as a program with NET_ADMIN can.
fn pretends(place: &Place, address: std::net::IpAddr) {
    place.sh(&format!("ip addr add {address}/32 dev eth0"));
}

#[test]
fn nobody_speaks_in_anothers_name() {
    if Engine::is_peer() {
        return testkit::skip("the peer lets them");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    for network in ["bridge", "net"] {
        if network == "net" {
            engine.ok("network create net");
        }
        let on = |name: &str| {
            web(
                &engine,
                &format!("{name}-{network}"),
                &format!("--network {network}"),
            )
        };
        let (liar, victim, friend) = (on("liar"), on("victim"), on("friend"));
        let gateway = liar.place.default_routes()[0].0;
        assert!(
            liar.place.reaches(at(friend.ip(), 80)),
            "in its own name it may"
        );
        let receiver = listener(&friend.place);
        let say = |place: &Place, from: std::net::IpAddr| {
            let to = at(friend.ip(), 4000);
            place.within(|| {
                let socket =
                    std::net::UdpSocket::bind(at(from, 0)).expect("it has that address now");
                drop(socket.send_to(b"believe me", to));
            });
        };
        let mut buffer = [0; 64];
        say(&liar.place, liar.ip());
        assert!(receiver.recv_from(&mut buffer).is_ok(), "the way is open");
        for stolen in [victim.ip(), gateway] {
            pretends(&liar.place, stolen);
            say(&liar.place, stolen);
            let heard = receiver.recv_from(&mut buffer);
            assert!(heard.is_err(), "{network}: heard from {stolen}: {heard:?}");
        }
        // It shouts that the victim lives with it; the others go on finding the victim, whose address they know by then.
        assert!(friend.place.reaches(at(victim.ip(), 80)));
        liar.place.sh(&format!(
            "busybox arping -U -c 2 -w 2 -I eth0 {} || true",
            victim.ip()
        ));
        liar.place.sh(&format!(
            "busybox arping -A -c 2 -w 2 -I eth0 {gateway} || true"
        ));
        let seen = friend
            .place
            .who_tcp(at(victim.ip(), 80))
            .expect("the victim answers");
        assert_eq!(seen.server, format!("victim-{network}"));
        let _far = lan.world.serve("far", 7000);
        assert!(
            friend.place.reaches(at(FAR, 7000)),
            "the gateway is where it was"
        );
        // Nor by another's hardware address.
        let mac = victim.place.link("eth0")["address"].clone();
        liar.place.sh(&format!(
            "ip addr flush dev eth0; ip link set eth0 address {}; ip addr add {}/16 dev eth0",
            mac.as_str().expect("a MAC"),
            liar.ip()
        ));
        let before = received(&victim.place);
        for _ in 0..20 {
            say(&liar.place, liar.ip());
        }
        let seen = friend
            .place
            .who_tcp(at(victim.ip(), 80))
            .expect("the victim still answers");
        assert_eq!(seen.server, format!("victim-{network}"));
        assert!(received(&victim.place) > before);
    }
}

#[test]
fn nobody_sees_what_others_say_to_each_other() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let on = |name: &str| web(&engine, name, "--network net");
    let (spy, one, two) = (on("spy"), on("one"), on("two"));
    spy.place.sh("ip link set eth0 promisc on");
    let mut talk = one.place.connect(at(two.ip(), 80)).expect("they talk");
    talk.say("hello").expect("an answer");
    let before = received(&spy.place);
    for _ in 0..200 {
        talk.say("a secret").expect("an answer");
    }
    let overheard = received(&spy.place) - before;
    assert!(
        overheard < 20,
        "{overheard} packets of a talk of at least 400"
    );
}

/// Packets that have come in by `eth0`.
fn received(place: &Place) -> u64 {
    let link = &place.ip("-s link show eth0")[0];
    link["stats64"]["rx"]["packets"].as_u64().expect("a count")
}

#[test]
fn services_of_the_host_are_guarded_by_the_hosts_firewall() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let one = web(&engine, "one", "--network net");
    let _service = lan.host.serve("service", 7000);
    let gateway = one.place.default_routes()[0].0;
    assert!(one.place.reaches(at(gateway, 7000)) && one.place.reaches(at(lan.host.ip, 7000)));
    lan.host.nft("table inet filter { chain input { type filter hook input priority 0; policy drop; iifname lo accept; ct state established,related accept; }; }");
    assert!(!one.place.reaches_somehow(at(gateway, 7000)));
    assert!(!one.place.reaches_somehow(at(lan.host.ip, 7000)));
    assert_eq!(
        one.place.a("one"),
        [one.ip()],
        "its names do not need the host's leave"
    );
    lan.host
        .nft("add rule inet filter input tcp dport 7000 accept");
    assert!(one.place.who_tcp(at(gateway, 7000)).is_some());
}

#[test]
fn the_api_is_not_in_any_containers_reach() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let one = idle(&engine, "--name one --network net -p 8080:80");
    let abstracts = one.place().proc_net("unix");
    assert!(
        !abstracts.contains('@'),
        "a socket by name alone: {abstracts}"
    );
    // Every port that listens on the host answers to no request of the API.
    let gateway = one.place().default_routes()[0].0;
    let mut tried = 0;
    for file in ["tcp", "tcp6"] {
        for socket in lan.host.proc_net(file).lines().skip(1) {
            let fields: Vec<&str> = socket.split_whitespace().collect();
            if fields[3] != "0A" {
                continue;
            }
            let port = fields[1]
                .rsplit(':')
                .next()
                .and_then(|p| u16::from_str_radix(p, 16).ok());
            let port = port.expect("a port");
            assert_eq!(port, 8080, "nothing else of ours listens on the host");
            tried += 1;
        }
    }
    assert!(tried > 0 || Engine::is_peer());
    assert!(one.place().ask_tcp(at(gateway, 2375), "x").is_err());
    // The resolver's sockets are in the container's own namespace and speak DNS only.
    for socket in one.place().proc_net("tcp").lines().skip(1) {
        let fields: Vec<&str> = socket.split_whitespace().collect();
        if fields[3] == "0A" {
            let port = fields[1]
                .rsplit(':')
                .next()
                .and_then(|p| u16::from_str_radix(p, 16).ok());
            let to = at([127, 0, 0, 11].into(), port.expect("a port"));
            let answer = one
                .place()
                .ask_tcp(to, "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
            assert!(answer.is_err(), "{answer:?}");
        }
    }
}
