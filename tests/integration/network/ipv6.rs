//! IPv6: without options where the host has it, and no trouble where it has not.

use testkit::lan::{FAR6, Plan};
use testkit::{Engine, Lan};

use super::support::{at, endpoint, idle, ip, lies_in, network, subnets, web};

#[test]
fn both_families_without_options() {
    if Engine::is_peer() {
        return testkit::skip("the peer wants options");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create dual");
    assert_eq!(network(&engine, "dual")["EnableIPv6"], true);
    for name in ["bridge", "dual"] {
        let one = web(
            &engine,
            &format!("one-{name}"),
            &format!("--network {name}"),
        );
        let two = web(
            &engine,
            &format!("two-{name}"),
            &format!("--network {name}"),
        );
        let address = one.place.v6("eth0");
        assert!(lies_in(address, "fd00::/8"), "{address}");
        let subnet = subnets(&engine, name)[1].clone();
        assert!(
            subnet.ends_with("/64") && lies_in(address, &subnet),
            "{subnet}"
        );
        let told = endpoint(&engine, &format!("one-{name}"), name);
        assert_eq!(told["GlobalIPv6Address"], address.to_string());
        assert_eq!(told["GlobalIPv6PrefixLen"], 64);
        let gateway = one
            .place
            .default_routes()
            .into_iter()
            .find(|(ip, _)| ip.is_ipv6());
        assert_eq!(
            told["IPv6Gateway"],
            gateway.expect("a way out").0.to_string()
        );
        assert!(two.place.reaches(at(address, 80)));
        let _far = lan.world.serve("far", 7000);
        let seen = one.place.who_tcp(at(FAR6, 7000)).expect("far away");
        assert_eq!(seen.client, lan.host.ip6, "by the host's address");
        let flags = one.place.sh("ip -6 addr show dev eth0");
        assert!(!flags.contains("tentative"), "usable at once: {flags}");
    }
    assert_ne!(subnets(&engine, "bridge")[1], subnets(&engine, "dual")[1]);
}

#[test]
fn ones_own_subnet_and_address() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --ipv6 --subnet 10.92.0.0/24 --subnet fd12:3456::/64 --gateway fd12:3456::99 own");
    let one = web(
        &engine,
        "one",
        "--network own --ip6 fd12:3456::7 --ip 10.92.0.7",
    );
    assert_eq!(one.place.v6("eth0"), ip("fd12:3456::7"));
    assert_eq!(one.ip(), ip("10.92.0.7"));
    assert!(
        one.place
            .default_routes()
            .contains(&(ip("fd12:3456::99"), "eth0".to_owned()))
    );
    let two = web(&engine, "two", "--network own");
    assert!(two.place.reaches(at(ip("fd12:3456::7"), 80)));
    assert_eq!(two.place.aaaa("one"), [ip("fd12:3456::7")]);
    let error = engine.fails(
        125,
        "run --rm --network own --ip6 fd12:3456::7 busybox true",
    );
    assert!(error.contains("Address already in use"), "{error}");
    let hosts = one.container.read("/etc/hosts");
    assert!(hosts.contains("fd12:3456::7\t"), "{hosts}");
}

#[test]
fn who_does_not_want_it_does_not_get_it() {
    if Engine::is_peer() {
        return testkit::skip("the peer has none anyway");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --ipv6=false plain");
    assert_eq!(network(&engine, "plain")["EnableIPv6"], false);
    assert_eq!(subnets(&engine, "plain").len(), 1);
    let one = web(&engine, "one", "--network plain");
    assert!(
        one.place
            .addresses("eth0")
            .iter()
            .all(|(ip, _)| ip.is_ipv4())
    );
    let two = idle(&engine, "--network plain");
    let reply = two.place().lookup("one", testkit::dns::kind::AAAA);
    assert_eq!(
        (reply.code, reply.answers.len()),
        (0, 0),
        "it exists, without such an address"
    );
}

#[test]
fn a_host_without_ipv6_is_served_with_the_other_and_told_when_asked() {
    let lan = Lan::new(&Plan {
        ipv6: false,
        ..Plan::default()
    });
    let engine = lan.engine();
    engine.ok("network create plain");
    let one = web(&engine, "one", "--network plain -p 8080:80 -p 8080:80/udp");
    assert!(
        one.place
            .addresses("eth0")
            .iter()
            .all(|(ip, _)| ip.is_ipv4())
    );
    assert!(lan.client.reaches(at(lan.host.ip, 8080)));
    let _default = web(&engine, "two", "-p 8081:80 -p 8081:80/udp");
    assert!(lan.client.reaches(at(lan.host.ip, 8081)));
    if Engine::is_peer() {
        return;
    }
    super::support::unchanged(&lan.host, "a network that cannot be", || {
        let error = engine.refuses("network create --ipv6 --subnet fd12:3456::/64 six");
        assert!(error.contains("IPv6"), "{error}");
    });
    engine.fails(1, "network inspect six");
}

#[test]
fn router_advertisements_still_reach_the_uplink() {
    if Engine::is_peer() {
        return testkit::skip("the peer turns them off");
    }
    let lan = testkit::lan();
    lan.host.set_sysctl("ipv6.conf.eth0.accept_ra", "1");
    let engine = lan.engine();
    drop(idle(&engine, ""));
    assert_eq!(
        lan.host.sysctl("ipv6.conf.all.forwarding").as_deref(),
        Some("1")
    );
    assert_eq!(
        lan.host.sysctl("ipv6.conf.eth0.accept_ra").as_deref(),
        Some("2")
    );
}
