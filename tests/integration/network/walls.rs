//! Others' firewalls that let nothing through: passed where they leave it to their end, told where they cannot be.

use std::io::Write;
use std::process::Stdio;

use testkit::lan::{FAR, FAR6};
use testkit::{Engine, Lan};

use super::support::{Web, at, web};

fn ours() -> Option<(Lan, Engine)> {
    if Engine::is_peer() {
        testkit::skip("the peer has rules of its own in one of them only");
        return None;
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    Some((lan, engine))
}

fn goes_out(one: &Web<'_>) -> bool {
    one.place.reaches_somehow(at(FAR, 7000)) && one.place.reaches_somehow(at(FAR6, 7000))
}

#[test]
fn a_last_rule_that_rejects_everything_is_passed_by_containers_alone() {
    let Some((lan, engine)) = ours() else {
        return;
    };
    let _far = lan.world.serve("far", 7000);
    for end in [
        "reject with icmpx type admin-prohibited",
        "drop",
        "counter log prefix \"no \" reject",
    ] {
        let wall = format!(
            "table inet wall {{ chain forward {{ type filter hook forward priority 10; \
             ct state established,related accept; iifname lo accept; {end}; }}; }}"
        );
        // Before the container is there, and behind its back.
        lan.host.nft(&wall);
        let one = web(&engine, "one", "-p 8080:80");
        testkit::eventually("a wall is passed", || goes_out(&one));
        assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some(), "{end}");
        lan.host.nft("delete table inet wall");
        lan.host.nft(&wall);
        testkit::eventually("a new wall is passed too", || goes_out(&one));
        // What is dropped by a rule of its own stays dropped.
        lan.host.nft(&format!(
            "insert rule inet wall forward ip daddr {FAR} drop"
        ));
        assert!(!one.place.reaches_somehow(at(FAR, 7000)), "{end}");
        lan.host.nft("delete table inet wall");
        engine.ok("rm -f one");
        drop(one);
    }
}

#[test]
fn a_last_rule_of_iptables_is_passed_too() {
    let Some((lan, engine)) = ours() else {
        return;
    };
    let reject = "iptables-nft -A FORWARD -j REJECT --reject-with icmp-host-prohibited";
    if lan.host.try_sh(reject).code != 0 {
        return testkit::skip("no iptables-nft here");
    }
    lan.host.sh("ip6tables-nft -A FORWARD -j REJECT");
    let _far = lan.world.serve("far", 7000);
    let one = web(&engine, "one", "-p 8080:80");
    assert!(goes_out(&one));
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    // The administrator's program still reads and changes its table.
    let listed = lan.host.sh("iptables-nft -S FORWARD");
    assert!(
        listed.lines().last().is_some_and(|l| l.contains("REJECT")),
        "{listed}"
    );
    drop(one);
    drop(engine);
    let left = lan.host.sh("iptables-nft -S FORWARD");
    assert_eq!(left.lines().count(), 2, "ours go: {left}");
}

#[test]
fn a_table_that_is_its_owners_alone_is_told_with_what_to_do() {
    let Some((lan, engine)) = ours() else {
        return;
    };
    let mut owner = lan.host.command("nft");
    let mut owner = owner
        .arg("-i")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("nftables is installed");
    let mut words = owner.stdin.take().expect("it is piped");
    let wall = "table inet firewalld { flags owner; chain filter_FORWARD { type filter hook forward priority 10; policy accept; ct state established,related accept; reject; }; }\n";
    words.write_all(wall.as_bytes()).expect("it listens");
    testkit::eventually("the wall stands", || {
        lan.host.sh("nft list tables").contains("firewalld")
    });
    let is_owned = lan
        .host
        .sh("nft list table inet firewalld")
        .contains("owner");
    if is_owned {
        drop(web(&engine, "one", ""));
        let log = engine.daemon_log();
        let told = |log: &str| {
            log.lines()
                .filter(|l| l.contains("NftablesTableOwner"))
                .count()
        };
        assert_eq!(told(&log), 1, "{log}");
        drop(web(&engine, "two", ""));
        assert_eq!(told(&engine.daemon_log()), 1, "once");
    } else {
        testkit::skip("this nft knows no owners");
    }
    drop(words);
    drop(owner.wait());
}

#[test]
fn the_older_kind_of_iptables_is_told_with_what_to_do() {
    let Some((lan, engine)) = ours() else {
        return;
    };
    let both = "iptables-legacy -P FORWARD DROP && ip6tables-legacy -A FORWARD -j REJECT";
    if lan.host.try_sh(both).code != 0 {
        return testkit::skip("no iptables-legacy here");
    }
    let _far = lan.world.serve("far", 7000);
    let one = web(&engine, "one", "");
    assert!(
        !one.place.reaches_somehow(at(FAR, 7000)),
        "it is in the way"
    );
    let log = engine.daemon_log();
    for program in [" iptables-legacy", " ip6tables-legacy"] {
        let advice = format!("{program} -I FORWARD -i BRIDGE -j ACCEPT");
        assert_eq!(
            log.lines().filter(|l| l.contains(&advice)).count(),
            1,
            "{log}"
        );
    }
    drop(web(&engine, "two", ""));
    assert_eq!(
        engine
            .daemon_log()
            .matches("drops what containers send")
            .count(),
        2,
        "once"
    );
    // Done as it says, it works, and nobody is told any more.
    let end = super::support::other_end(&lan.host, &one.place, "eth0");
    let bridge = end["master"].as_str().expect("a bridge");
    for program in ["iptables-legacy", "ip6tables-legacy"] {
        lan.host.sh(&format!(
            "{program} -I FORWARD -i {bridge} -j ACCEPT; {program} -I FORWARD -o {bridge} -j ACCEPT"
        ));
    }
    assert!(goes_out(&one));
}
