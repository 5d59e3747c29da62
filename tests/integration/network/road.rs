//! A host that forwards for its containers is no road for others.

use testkit::lan::{FAR, FAR6};
use testkit::{Engine, Lan};

use super::support::{at, idle, web};

/// The client takes the host for its router; whatever the host may say of a shorter way is not believed.
fn send_by_the_host(lan: &Lan) {
    for family in ["ipv4", "ipv6"] {
        for link in ["all", "eth0"] {
            let redirects = format!("{family}.conf.{link}.accept_redirects");
            lan.client.set_sysctl(&redirects, "0");
        }
    }
    lan.client.sh(&format!(
        "ip route add {FAR} via {}; ip -6 route add {FAR6} via {}",
        lan.host.ip, lan.host.ip6
    ));
}

/// Whether the client comes through the host, by either family.
fn passes(lan: &Lan) -> [bool; 2] {
    [FAR, FAR6].map(|to| lan.client.reaches_somehow(at(to, 7000)))
}

fn forwards(lan: &Lan) -> [Option<String>; 2] {
    ["ipv4.ip_forward", "ipv6.conf.all.forwarding"].map(|name| lan.host.sysctl(name))
}

const NO: [bool; 2] = [false, false];
const YES: [bool; 2] = [true, true];

#[test]
fn forwarding_for_containers_lets_nobody_else_through() {
    if Engine::is_peer() {
        return testkit::skip("the peer closes IPv4 only, and leaves it so");
    }
    let lan = testkit::lan();
    send_by_the_host(&lan);
    let far = lan.world.serve("far", 7000);
    assert_eq!(passes(&lan), NO, "the host is no router");
    let before = forwards(&lan);
    let mut engine = lan.engine();
    let one = web(&engine, "one", "-p 8080:80");
    let (place, server) = one.apart();
    assert_eq!(passes(&lan), NO, "nor does it become one");
    assert!(place.reaches(at(FAR, 7000)) && place.reaches(at(FAR6, 7000)));
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    engine.crash_and_restart();
    assert_eq!(passes(&lan), NO, "after a crash as before");
    lan.host.nft("flush ruleset");
    testkit::eventually("ours is healed", || {
        lan.client.who_tcp(at(lan.host.ip, 8080)).is_some()
    });
    assert_eq!(passes(&lan), NO, "and the wall with it");
    // A second engine, which finds forwarding switched on, is no reason to open.
    let second = lan.engine();
    drop(idle(&second, ""));
    assert_eq!(passes(&lan), NO);
    drop(second);
    assert!(
        place.reaches(at(FAR, 7000)),
        "and leaves the first its road"
    );
    drop((server, place, far));
    drop(engine);
    assert_eq!(forwards(&lan), before, "the last one switches it off again");
}

#[test]
fn a_host_that_was_a_router_stays_one() {
    let lan = testkit::lan();
    send_by_the_host(&lan);
    lan.host.set_sysctl("ipv4.ip_forward", "1");
    lan.host.set_sysctl("ipv6.conf.all.forwarding", "1");
    let _far = lan.world.serve("far", 7000);
    assert_eq!(passes(&lan), YES);
    let engine = lan.engine();
    let one = web(&engine, "one", "-p 8080:80");
    if !Engine::is_peer() {
        assert_eq!(passes(&lan), YES);
    }
    assert!(one.place.reaches(at(FAR, 7000)));
    drop(one);
    drop(engine);
    assert_eq!(passes(&lan), YES);
}

#[test]
fn the_switch_opens_the_road() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than the option");
    }
    let lan = testkit::lan();
    send_by_the_host(&lan);
    let _far = lan.world.serve("far", 7000);
    let engine = lan.engine_with(&["--ip-forward-no-drop"]);
    drop(idle(&engine, ""));
    assert_eq!(passes(&lan), YES);
}

#[test]
fn without_leave_to_forward_nothing_is_switched_on_and_it_is_told() {
    let lan = testkit::lan();
    let engine = lan.engine_with(&["--ip-forward=false"]);
    let one = web(&engine, "one", "");
    let two = web(&engine, "two", "");
    assert_eq!(lan.host.sysctl("ipv4.ip_forward").as_deref(), Some("0"));
    assert!(
        one.place.reaches(at(two.ip(), 80)),
        "neighbours all the same"
    );
    let _far = lan.world.serve("far", 7000);
    assert!(!one.place.reaches_somehow(at(FAR, 7000)));
    if !Engine::is_peer() {
        let log = engine.daemon_log();
        assert!(log.contains("--ip-forward=false"), "{log}");
    }
}
