//! What the embedded resolver does not know it asks the host's servers, from the host.

use std::net::SocketAddr;

use testkit::dns::{RESOLVER, Server, kind, v4, v6};
use testkit::lan::FAR;
use testkit::{Lan, within};

use super::support::{at, idle, ip, web};

/// A server that answers one name with one address.
fn server(lan: &Lan, at: SocketAddr, answer: &'static str) -> Server {
    Server::start(&lan.world, at, move |name, asked| match (name, asked) {
        ("far.test" | "far.one.test", kind::A) => Some(vec![v4(answer)]),
        ("far.test", kind::AAAA) => Some(vec![v6("2001:db8:fa::9")]),
        ("far.test" | "far.one.test", _) => Some(Vec::new()),
        ("long.test", kind::A) => Some((1..=100).map(|n| v4(&format!("192.0.2.{n}"))).collect()),
        _ => None,
    })
}

#[test]
fn the_hosts_server_is_asked_by_the_host() {
    let lan = testkit::lan();
    let upstream = server(&lan, at(FAR, 53), "192.0.2.1");
    lan.host.set_resolv_conf(&format!("nameserver {FAR}\n"));
    let engine = lan.engine();
    engine.ok("network create net");
    let one = web(&engine, "one", "--network net");
    assert_eq!(one.place.a("far.test"), [ip("192.0.2.1")]);
    assert_eq!(one.place.aaaa("far.test"), [ip("2001:db8:fa::9")]);
    assert_eq!(
        one.place.lookup("no.test", kind::A).code,
        3,
        "the server's word is passed on"
    );
    let asked = upstream.asked();
    assert!(
        asked.iter().all(|asked| asked.by == lan.host.ip),
        "{asked:?}"
    );
    // Own names are not told to strangers.
    assert_eq!(one.place.a("one"), [one.ip()]);
    assert!(!upstream.was_asked("one") && !upstream.was_asked("one.net"));
    let back = one.place.ptr(one.ip());
    assert_eq!(back, ["one.net"]);
    let text = engine.ok("run --rm --network net busybox nslookup far.test");
    assert!(text.contains("192.0.2.1"), "{text}");
}

#[test]
fn answers_that_are_cut_come_whole_over_tcp() {
    let lan = testkit::lan();
    let upstream = server(&lan, at(FAR, 53), "192.0.2.1");
    lan.host.set_resolv_conf(&format!("nameserver {FAR}\n"));
    let engine = lan.engine();
    engine.ok("network create net");
    let place = idle(&engine, "--network net").place();
    let reply = place.lookup("long.test", kind::A);
    assert!(
        reply.is_cut || reply.answers.len() == 100,
        "{} of 100 and no word of it",
        reply.answers.len()
    );
    let whole = place
        .dns_tcp(RESOLVER, "long.test", kind::A)
        .expect("TCP is served");
    assert_eq!((whole.answers.len(), whole.is_cut), (100, false));
    assert!(upstream.asked().iter().any(|asked| asked.over_tcp));
}

#[test]
fn changes_of_the_hosts_file_are_followed() {
    if testkit::Engine::is_peer() {
        return testkit::skip("the peer keeps what it read at the start");
    }
    let lan = testkit::lan();
    lan.world.sh("ip addr add 203.0.113.2/32 dev lo");
    let _first = server(&lan, at(FAR, 53), "192.0.2.1");
    let _second = server(&lan, at(ip("203.0.113.2"), 53), "192.0.2.2");
    lan.host.set_resolv_conf(&format!("nameserver {FAR}\n"));
    let engine = lan.engine();
    engine.ok("network create net");
    let place = idle(&engine, "--network net").place();
    assert_eq!(place.a("far.test"), [ip("192.0.2.1")]);
    lan.host.set_resolv_conf("nameserver 203.0.113.2\n");
    within(testkit::ms(3000), "the new server is asked", || {
        place.a("far.test") == [ip("192.0.2.2")]
    });
    // No server at all for a while, as when a laptop moves.
    lan.host.set_resolv_conf("");
    std::thread::sleep(testkit::ms(1500));
    lan.host.set_resolv_conf(&format!("nameserver {FAR}\n"));
    within(testkit::ms(3000), "the first one again", || {
        place.lookup("far.test", kind::A).addresses() == [ip("192.0.2.1")]
    });
}

#[test]
fn a_server_that_is_silent_costs_a_moment_and_the_next_is_asked() {
    let lan = testkit::lan();
    let _upstream = server(&lan, at(FAR, 53), "192.0.2.1");
    // Nobody is there: packets to it vanish.
    lan.world.sh("ip route add blackhole 203.0.113.99/32");
    lan.host
        .set_resolv_conf(&format!("nameserver 203.0.113.99\nnameserver {FAR}\n"));
    let engine = lan.engine();
    engine.ok("network create net");
    let place = idle(&engine, "--network net").place();
    within(
        std::time::Duration::from_secs(15),
        "the second answers",
        || {
            place
                .dns(RESOLVER, "far.test", kind::A)
                .is_ok_and(|reply| reply.addresses() == [ip("192.0.2.1")])
        },
    );
}

#[test]
fn a_resolver_on_the_hosts_loopback_is_asked_there() {
    let lan = testkit::lan();
    let _local = Server::start(&lan.host, ([127, 0, 0, 53], 53).into(), |name, _| {
        (name == "local.test").then(|| vec![v4("192.0.2.53")])
    });
    lan.host.set_resolv_conf("nameserver 127.0.0.53\n");
    let engine = lan.engine();
    engine.ok("network create net");
    let place = idle(&engine, "--network net").place();
    assert_eq!(place.a("local.test"), [ip("192.0.2.53")]);
}

#[test]
fn a_containers_own_servers_and_search_domains_are_used() {
    let lan = testkit::lan();
    lan.world.sh("ip addr add 203.0.113.2/32 dev lo");
    let hosts = server(&lan, at(FAR, 53), "192.0.2.1");
    let own = server(&lan, at(ip("203.0.113.2"), 53), "192.0.2.2");
    lan.host.set_resolv_conf(&format!("nameserver {FAR}\n"));
    let engine = lan.engine();
    engine.ok("network create net");
    let one = idle(
        &engine,
        "--name one --network net --dns 203.0.113.2 --dns-search one.test --dns-option timeout:2",
    );
    assert_eq!(one.place().a("far.test"), [ip("192.0.2.2")]);
    assert!(own.was_asked("far.test") && !hosts.was_asked("far.test"));
    let text = one.read("/etc/resolv.conf");
    assert!(
        text.contains("search one.test") && text.contains("timeout:2"),
        "{text}"
    );
    let text = one.exec("nslookup far");
    assert!(
        text.contains("192.0.2.2"),
        "through the search domain: {text}"
    );
}

#[test]
fn an_internal_network_forwards_nothing() {
    if testkit::Engine::is_peer() {
        return testkit::skip("the peer is older than CVE-2024-29018");
    }
    let lan = testkit::lan();
    let upstream = server(&lan, at(FAR, 53), "192.0.2.1");
    lan.host.set_resolv_conf(&format!("nameserver {FAR}\n"));
    let engine = lan.engine();
    engine.ok("network create --internal walled");
    let one = web(&engine, "one", "--network walled");
    let asker = idle(&engine, "--network walled").place();
    assert_eq!(asker.a("one"), [one.ip()]);
    let reply = asker.lookup("far.test", kind::A);
    assert!(reply.code != 0 && reply.answers.is_empty(), "{reply:?}");
    assert_eq!(
        upstream.asked(),
        [],
        "a way out for whoever encodes it in names"
    );
}
