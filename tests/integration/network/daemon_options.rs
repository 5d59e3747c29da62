//! What the daemon is told of networks: dockerd's options for the default bridge, and defaults of the others.

use std::net::IpAddr;

use testkit::Engine;
use testkit::lan::FAR;

use super::support::{at, idle, ip, lies_in, other_end, show_bridged, subnets, web};

/// The bridge that a container is on, as the host calls it.
fn bridge_of(lan: &testkit::Lan, container: &testkit::Container<'_>) -> String {
    let end = other_end(&lan.host, &container.place(), "eth0");
    end["master"].as_str().expect("a bridge").to_owned()
}

#[test]
fn the_bridge_has_the_address_the_part_and_the_way_out_that_it_is_told() {
    let lan = testkit::lan();
    let engine = lan.engine_with(&[
        "--bip",
        "10.61.0.1/16",
        "--fixed-cidr",
        "10.61.7.0/28",
        "--default-gateway",
        "10.61.0.254",
    ]);
    let one = idle(&engine, "--name one");
    let two = idle(&engine, "--name two");
    for container in [&one, &two] {
        let address = container.place().v4("eth0");
        assert!(lies_in(address, "10.61.7.0/28"), "{address}");
        assert!(container.place().addresses("eth0").contains(&(address, 16)));
        assert_eq!(container.place().default_routes()[0].0, ip("10.61.0.254"));
    }
    let bridge = bridge_of(&lan, &one);
    assert!(lan.host.addresses(&bridge).contains(&(ip("10.61.0.1"), 16)));
    assert_eq!(subnets(&engine, "bridge")[0], "10.61.0.0/16");
    // The neighbour that is called the way out is no container's.
    let all: Vec<IpAddr> = (0..10)
        .map(|_| idle(&engine, "").place().v4("eth0"))
        .collect();
    assert!(!all.contains(&ip("10.61.0.254")));
}

#[test]
fn a_part_alone_is_the_whole() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older, and goes beyond the part");
    }
    let lan = testkit::lan();
    let engine = lan.engine_with(&[
        "--fixed-cidr",
        "10.63.4.0/24",
        "--fixed-cidr-v6",
        "fd00:63::/80",
    ]);
    let one = idle(&engine, "--name one");
    assert!(lies_in(one.place().v4("eth0"), "10.63.4.0/24"));
    assert!(one.place().v6("eth0").to_string().starts_with("fd00:63::"));
    assert_eq!(subnets(&engine, "bridge"), ["10.63.4.0/24", "fd00:63::/80"]);
}

#[test]
fn containers_on_the_bridge_are_kept_apart_but_for_links() {
    for shown in ["1", "0"] {
        let lan = testkit::lan();
        show_bridged(&lan.host, shown);
        if Engine::is_peer() && shown == "0" {
            return testkit::skip("the peer's walls need it");
        }
        let engine = lan.engine_with(&["--icc=false"]);
        let one = web(&engine, "one", "--expose 80");
        let _hidden = one.place.serve("hidden", 81);
        let two = web(&engine, "two", "");
        let friend = web(&engine, "friend", "--link one:x");
        let first = at(one.ip(), 80);
        assert!(!two.place.reaches_somehow(first), "{shown}");
        assert!(!two.place.reaches_somehow(at(friend.ip(), 80)), "{shown}");
        assert!(
            friend.place.who_tcp(first).is_some(),
            "{shown}: a link opens"
        );
        assert!(
            !friend.place.reaches_somehow(at(one.ip(), 81)),
            "{shown}: what is exposed and nothing else"
        );
        assert!(
            !one.place.reaches_somehow(at(friend.ip(), 80)),
            "{shown}: in one direction"
        );
        let _far = lan.world.serve("far", 7000);
        assert!(two.place.reaches(at(FAR, 7000)));
        // Networks of the user's are open.
        engine.ok("network create net");
        let (aa, bb) = (
            web(&engine, "aa", "--network net"),
            web(&engine, "bb", "--network net"),
        );
        assert!(aa.place.reaches(at(bb.ip(), 80)));
        engine.ok("rm -f friend");
        let late = web(&engine, "late", "");
        assert!(
            !late.place.reaches_somehow(first),
            "{shown}: no hole is left"
        );
    }
}

#[test]
fn ports_are_published_where_the_daemon_says() {
    let lan = testkit::lan();
    let engine = lan.engine_with(&["--ip", "127.0.0.1"]);
    let _one = web(&engine, "one", "-p 8080:80");
    assert_eq!(engine.ok("port one 80"), "127.0.0.1:8080");
    assert!(lan.host.who_tcp(at(ip("127.0.0.1"), 8080)).is_some());
    assert!(!lan.client.reaches_somehow(at(lan.host.ip, 8080)));
    let _two = web(&engine, "two", "-p 0.0.0.0:8081:80");
    assert!(lan.client.who_tcp(at(lan.host.ip, 8081)).is_some());
}

#[test]
fn names_are_asked_where_the_daemon_says() {
    let lan = testkit::lan();
    let engine = lan.engine_with(&[
        "--dns=9.9.9.9",
        "--dns=149.112.112.112",
        "--dns-search=corp.test",
        "--dns-opt=timeout:1",
        "--host-gateway-ip=203.0.113.7",
    ]);
    let one = idle(&engine, "--add-host up:host-gateway");
    let conf = one.read("/etc/resolv.conf");
    for line in [
        "nameserver 9.9.9.9",
        "nameserver 149.112.112.112",
        "search corp.test",
        "options timeout:1",
    ] {
        assert!(conf.lines().any(|l| l == line), "{line} in\n{conf}");
    }
    assert!(one.read("/etc/hosts").contains("203.0.113.7\tup"));
    let own = idle(
        &engine,
        "--dns 8.8.8.8 --dns-search own.test --dns-option ndots:2",
    );
    let conf = own.read("/etc/resolv.conf");
    assert!(
        conf.contains("nameserver 8.8.8.8") && conf.contains("search own.test"),
        "{conf}"
    );
    assert!(
        !conf.contains("9.9.9.9") && !conf.contains("corp.test"),
        "{conf}"
    );
}

#[test]
fn subnets_come_from_the_daemons_pools() {
    let lan = testkit::lan();
    let engine = lan.engine_with(&[
        "--default-address-pool",
        "base=10.62.0.0/16,size=24",
        "--default-address-pool",
        "base=10.64.0.0/22,size=24",
    ]);
    let mut seen = Vec::new();
    for n in 0..3 {
        engine.ok(&format!("network create n{n}"));
        let subnet = subnets(&engine, &format!("n{n}"))[0].clone();
        assert!(
            subnet.starts_with("10.62.") && subnet.ends_with("/24"),
            "{subnet}"
        );
        assert!(!seen.contains(&subnet), "{subnet} twice");
        seen.push(subnet);
    }
    let one = idle(&engine, "");
    assert!(
        lies_in(one.place().v4("eth0"), "10.62.0.0/16"),
        "the default bridge as well"
    );
}

#[test]
fn sizes_and_families_are_as_the_daemon_says() {
    let lan = testkit::lan();
    if Engine::is_peer() {
        return testkit::skip("the peer is older than some of these");
    }
    let engine = lan.engine_with(&[
        "--mtu=1390",
        "--ipv6=false",
        "--ip-masq=false",
        "--default-network-opt=bridge=com.docker.network.driver.mtu=1310",
    ]);
    let one = idle(&engine, "");
    assert_eq!(one.place().link("eth0")["mtu"], 1390);
    assert_eq!(one.place().addresses("eth0").len(), 1, "no IPv6");
    lan.world
        .sh(&format!("ip route add 172.16.0.0/12 via {}", lan.host.ip));
    let _far = lan.world.serve("far", 7000);
    let seen = one.place().who_tcp(at(FAR, 7000)).expect("far away");
    assert_eq!(seen.client, one.place().v4("eth0"), "under its own address");
    engine.ok("network create net");
    engine.ok("network create -o com.docker.network.driver.mtu=1320 own");
    for (network, mtu) in [("net", 1310), ("own", 1320)] {
        let container = idle(&engine, &format!("--network {network}"));
        assert_eq!(container.place().link("eth0")["mtu"], mtu, "{network}");
    }
}

#[test]
fn the_same_may_stand_in_the_file() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than some of these");
    }
    let lan = testkit::lan();
    let folder =
        std::env::temp_dir().join(format!("estiva-network-options-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder of ours");
    let file = folder.join("daemon.json");
    let text = serde_json::json!({
        "bip": "10.65.0.1/24",
        "fixed-cidr": "10.65.0.128/25",
        "default-gateway": "10.65.0.9",
        "dns": ["9.9.9.9"],
        "host-gateway-ips": ["203.0.113.8"],
        "default-address-pools": [{"base": "10.62.0.0/16", "size": 26}],
        "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1330"}},
        "mtu": 1400,
    });
    std::fs::write(&file, text.to_string()).expect("a file of ours");
    let engine = lan.engine_with(&["--config-file", file.to_str().expect("text")]);
    let one = idle(&engine, "--add-host up:host-gateway");
    assert!(lies_in(one.place().v4("eth0"), "10.65.0.128/25"));
    assert_eq!(one.place().default_routes()[0].0, ip("10.65.0.9"));
    assert_eq!(one.place().link("eth0")["mtu"], 1400);
    assert!(one.read("/etc/resolv.conf").contains("nameserver 9.9.9.9"));
    assert!(one.read("/etc/hosts").contains("203.0.113.8\tup"));
    engine.ok("network create net");
    assert!(subnets(&engine, "net")[0].ends_with("/26"));
    let two = idle(&engine, "--network net");
    assert_eq!(two.place().link("eth0")["mtu"], 1330);
    drop(engine);
    std::fs::remove_dir_all(folder).expect("ours");
}

#[test]
fn what_cannot_be_ends_the_daemon_with_a_word() {
    if Engine::is_peer() {
        return testkit::skip("our own words");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    for (words, text) in [
        (&["--bip=10.9.0.0/16"][..], "--bip"),
        (
            &["--bip=10.9.0.1/16", "--fixed-cidr=10.8.0.0/24"],
            "10.9.0.1/16",
        ),
        (
            &["--bip=10.9.0.1/16", "--default-gateway=10.8.0.1"],
            "10.8.0.1",
        ),
        (&["--bip=10.9.0.1/16", "--bridge=br0"], "--bridge"),
        (&["--default-address-pool=base=10.0.0.0/8,size=4"], "size 4"),
        (&["--default-network-opt=bridge"], "DRIVER=OPTION=VALUE"),
        (&["--mtu=10"], "68"),
        (&["--dns=here"], "here"),
    ] {
        let mut command = engine.daemon_command();
        let output = testkit::command::run(command.args(words), &[]);
        assert_ne!(output.code, 0, "{words:?}");
        assert!(
            output.error().contains(text),
            "{words:?}: {}",
            output.error()
        );
    }
}
