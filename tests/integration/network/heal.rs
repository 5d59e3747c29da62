//! Rules that somebody takes away are back within a second.

use std::time::{Duration, Instant};

use testkit::Engine;

use super::support::{at, web};

/// How long the port stays shut after `act`.
#[track_caller]
fn shut_for(lan: &testkit::Lan, act: impl FnOnce()) -> Duration {
    act();
    let begun = Instant::now();
    // A lost packet costs its sender nothing here. Each time from another port: what went to the proxy while the rules
    // were away stays there, for the kernel that is one flow.
    let mut buffer = [0; 256];
    loop {
        let socket = lan
            .client
            .within(|| std::net::UdpSocket::bind("0.0.0.0:0"))
            .expect("a socket");
        socket.connect(at(lan.host.ip, 8080)).expect("a route");
        socket
            .set_read_timeout(Some(Duration::from_millis(30)))
            .expect("a socket of ours");
        drop(socket.send(b"who?"));
        let seen = socket
            .recv(&mut buffer)
            .map(|len| String::from_utf8_lossy(&buffer[..len]).into_owned());
        // Through the proxy, while the rules are away, the client is not seen: that is not yet whole.
        if seen.is_ok_and(|text| text.contains(&lan.client.ip.to_string())) {
            return begun.elapsed();
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it does not come back"
        );
    }
}

#[test]
fn flushing_all_rules_is_healed_within_a_second() {
    if Engine::is_peer() {
        return testkit::skip("the peer's rules stay away until it is restarted");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let one = web(&engine, "one", "-p 8080:80 -p 8080:80/udp");
    let two = web(&engine, "two", "--network net");
    let mut talk = lan
        .client
        .connect(at(lan.host.ip, 8080))
        .expect("a connection");
    talk.say("before").expect("an answer");
    for _ in 0..3 {
        let took = shut_for(&lan, || lan.host.nft("flush ruleset"));
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    assert_eq!(
        lan.client
            .who_tcp(at(lan.host.ip, 8080))
            .expect("TCP")
            .client,
        lan.client.ip
    );
    let _far = lan.world.serve("far", 7000);
    assert!(one.place.reaches(at(testkit::lan::FAR, 7000)));
    assert!(
        !one.place.reaches_somehow(at(two.ip(), 80)),
        "and the walls stand again"
    );
    assert_eq!(two.place.a("two"), [two.ip()]);
    talk.say("after")
        .expect("the connection from before goes on");
}

#[test]
fn a_firewall_reload_keeps_the_new_policy_and_ours() {
    if Engine::is_peer() {
        return testkit::skip("the peer's rules stay away until it is restarted");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    let _one = web(&engine, "one", "-p 8080:80 -p 8080:80/udp");
    let policy = "flush ruleset
        table inet filter {
            chain input {
                type filter hook input priority 0; policy drop;
                iifname lo accept
                ct state established,related accept
                udp dport 8080 accept
            }
            chain forward { type filter hook forward priority 0; policy drop; }
        }";
    let took = shut_for(&lan, || lan.host.nft(policy));
    assert!(took < Duration::from_secs(1), "{took:?}");
    std::thread::sleep(testkit::ms(300));
    assert!(
        lan.client.who_tcp(at(lan.host.ip, 8080)).is_none(),
        "TCP is not let in any more"
    );
    let rules = lan.host.sh("nft list chain inet filter input");
    assert!(rules.contains("policy drop"), "{rules}");
}

#[test]
fn one_of_our_tables_deleted_is_healed_too() {
    if Engine::is_peer() {
        return testkit::skip("the peer's rules stay away until it is restarted");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    let _one = web(&engine, "one", "-p 8080:80 -p 8080:80/udp");
    let tables = lan.host.sh("nft list tables");
    let mut deleted = 0;
    for table in tables
        .lines()
        .filter_map(|line| line.strip_prefix("table "))
    {
        if table.contains(" estiva") {
            let took = shut_for(&lan, || lan.host.nft(&format!("delete table {table}")));
            assert!(took < Duration::from_secs(1), "{table}: {took:?}");
            deleted += 1;
        }
    }
    assert!(deleted >= 2, "{tables}");
    testkit::eventually("all are back", || {
        lan.host.sh("nft list tables") == tables || {
            let now = lan.host.sh("nft list tables");
            tables.lines().all(|table| now.contains(table))
        }
    });
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    if Engine::is_peer() {
        return testkit::skip("the peer's rules are not ours");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    let _one = web(&engine, "one", "-p 8080:80");
    // Handles count every object ever made in a table: a rebuild would show.
    let rules = || lan.host.sh("nft -a list ruleset");
    lan.host
        .nft("table inet admin { chain input { type filter hook input priority 0; }; }");
    std::thread::sleep(testkit::ms(1500));
    let before = rules();
    std::thread::sleep(testkit::ms(1500));
    assert_eq!(rules(), before, "it does not chase its own tail");
}
