//! A published port obeys the host's own input policy, whoever wrote it and however.

use testkit::{Engine, Host, Lan};

use super::support::{Web, at, web};

const PORTS: &str = "-p 8080:80 -p 8080:80/udp";

/// What a careful administrator loads: nothing comes in but answers, loopback and ssh.
const DENY: &str = "
    table inet filter {
        chain input {
            type filter hook input priority 0; policy drop;
            iifname lo accept
            ct state established,related accept
            ip protocol icmp accept
            meta l4proto ipv6-icmp accept
            tcp dport 22 accept
        }
    }";

/// The port is closed to the outside, by either family and protocol.
#[track_caller]
fn is_closed(lan: &Lan) {
    for address in [lan.host.ip, lan.host.ip6] {
        assert!(
            !lan.client.reaches_somehow(at(address, 8080)),
            "{address} is open"
        );
    }
}

/// The port is open to the outside, and the client is seen.
#[track_caller]
fn is_open(lan: &Lan) {
    for (address, client) in [(lan.host.ip, lan.client.ip), (lan.host.ip6, lan.client.ip6)] {
        let tcp = lan.client.ask_tcp(at(address, 8080), "hello");
        assert_eq!(
            tcp.unwrap_or_else(|e| panic!("TCP {address}: {e}")).client,
            client
        );
        let udp = lan.client.ask_udp(at(address, 8080), "hello");
        assert_eq!(
            udp.unwrap_or_else(|e| panic!("UDP {address}: {e}")).client,
            client
        );
    }
}

/// The host itself reaches the port whatever the outside may.
#[track_caller]
fn is_open_to_the_host(host: &Host) {
    for address in [host.ip, [127, 0, 0, 1].into(), host.ip6] {
        assert!(host.who_tcp(at(address, 8080)).is_some(), "{address}");
    }
}

fn ours(args: &[&str]) -> Option<(Lan, Engine)> {
    if Engine::is_peer() {
        testkit::skip("the peer goes around the host's policy, which is the hole to be closed");
        return None;
    }
    let lan = testkit::lan();
    let engine = lan.engine_with(args);
    Some((lan, engine))
}

#[test]
fn default_deny_by_nft_closes_it_and_an_accept_opens_it() {
    let Some((lan, engine)) = ours(&[]) else {
        return;
    };
    lan.host.nft(DENY);
    let one: Web<'_> = web(&engine, "one", PORTS);
    is_closed(&lan);
    is_open_to_the_host(&lan.host);
    lan.host
        .nft("add rule inet filter input tcp dport 8080 accept");
    lan.host
        .nft("add rule inet filter input udp dport 8080 accept");
    is_open(&lan);
    // It goes out as ever.
    let _far = lan.world.serve("far", 7000);
    assert!(one.place.reaches(at(testkit::lan::FAR, 7000)));
    // And closed again, also after the kernel has seen it open.
    lan.host.nft("flush chain inet filter input");
    is_closed(&lan);
}

#[test]
fn a_policy_that_comes_after_the_container_holds_as_well() {
    let Some((lan, engine)) = ours(&[]) else {
        return;
    };
    let _one = web(&engine, "one", PORTS);
    is_open(&lan);
    lan.host.nft(DENY);
    is_closed(&lan);
    is_open_to_the_host(&lan.host);
}

#[test]
fn rules_may_tell_clients_apart() {
    let Some((lan, engine)) = ours(&[]) else {
        return;
    };
    let _one = web(&engine, "one", PORTS);
    lan.host.nft(DENY);
    lan.host.nft(&format!(
        "add rule inet filter input ip saddr {} tcp dport 8080 accept",
        lan.client.ip
    ));
    assert_eq!(
        lan.client
            .who_tcp(at(lan.host.ip, 8080))
            .expect("the one let in")
            .client,
        lan.client.ip
    );
    assert!(
        !lan.other.reaches_somehow(at(lan.host.ip, 8080)),
        "the other is not"
    );
    assert!(
        lan.client.who_udp(at(lan.host.ip, 8080)).is_none(),
        "nor is UDP"
    );
    // A drop in front of an accept counts, in a chain of whatever priority.
    lan.host.nft(&format!(
        "table inet early {{ chain input {{ type filter hook input priority -300; ip saddr {} drop; }}; }}",
        lan.client.ip
    ));
    assert!(!lan.client.reaches_somehow(at(lan.host.ip, 8080)));
}

#[test]
fn default_deny_by_iptables_of_either_kind() {
    for program in ["iptables-nft", "iptables-legacy"] {
        let Some((lan, engine)) = ours(&[]) else {
            return;
        };
        let six = program.replace("iptables", "ip6tables");
        let both =
            |rule: &str| [program, &six].map(|p| lan.host.try_sh(&format!("{p} {rule}")).code == 0);
        if both("-A INPUT -i lo -j ACCEPT") != [true, true] {
            testkit::skip(&format!("no {program} here"));
            continue;
        }
        let answers = "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
        assert_eq!(both(answers), [true, true]);
        // As anyone who filters IPv6 must: neighbours are found by ICMPv6.
        lan.host
            .sh(&format!("{six} -A INPUT -p ipv6-icmp -j ACCEPT"));
        assert_eq!(both("-P INPUT DROP"), [true, true]);
        let _one = web(&engine, "one", PORTS);
        is_closed(&lan);
        is_open_to_the_host(&lan.host);
        assert_eq!(both("-A INPUT -p tcp --dport 8080 -j ACCEPT"), [true, true]);
        assert_eq!(both("-A INPUT -p udp --dport 8080 -j ACCEPT"), [true, true]);
        is_open(&lan);
    }
}

#[test]
fn a_host_that_forwards_nothing_by_default_still_has_containers_with_a_network() {
    let Some((lan, engine)) = ours(&[]) else {
        return;
    };
    lan.host.nft(
        "table inet admin { chain forward { type filter hook forward priority 0; policy drop; }; }",
    );
    let one = web(&engine, "one", PORTS);
    is_open(&lan);
    let _far = lan.world.serve("far", 7000);
    assert!(one.place.reaches(at(testkit::lan::FAR, 7000)));
    // What the administrator drops by a rule stays dropped.
    lan.host.nft(&format!(
        "insert rule inet admin forward ip daddr {} drop",
        testkit::lan::FAR
    ));
    assert!(!one.place.reaches_somehow(at(testkit::lan::FAR, 7000)));
    engine.remove_all_containers();
}

#[test]
fn the_switch_gives_dockers_behaviour() {
    let Some((lan, engine)) = ours(&["--published-ports=open"]) else {
        return;
    };
    lan.host.nft(DENY);
    let one = web(&engine, "one", PORTS);
    is_open(&lan);
    is_open_to_the_host(&lan.host);
    drop(one);
    drop(engine);
    let Some((lan, engine)) = ours(&["--published-ports=host-policy"]) else {
        return;
    };
    lan.host.nft(DENY);
    let _one = web(&engine, "one", PORTS);
    is_closed(&lan);
}

#[test]
fn exposure_that_would_surprise_is_warned_of_once() {
    let Some((_lan, engine)) = ours(&["--published-ports=open"]) else {
        return;
    };
    drop(web(&engine, "one", "-p 8080:80"));
    let log = engine.daemon_log();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("published-ports"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    drop(web(&engine, "two", "-p 8081:80"));
    let log = engine.daemon_log();
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("published-ports"))
            .count(),
        1,
        "{log}"
    );
}

#[test]
fn a_word_that_is_no_policy_is_refused() {
    let Some((lan, engine)) = ours(&[]) else {
        return;
    };
    let mut command = engine.daemon_command();
    command.arg("--published-ports=sometimes");
    let output = testkit::command::run(&mut command, &[]);
    assert_ne!(output.code, 0);
    assert!(output.error().contains("sometimes"), "{}", output.error());
    drop(lan);
}
