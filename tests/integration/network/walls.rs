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
fn an_end_in_a_chain_that_is_jumped_to_is_passed() {
    let Some((lan, engine)) = ours() else {
        return;
    };
    let _far = lan.world.serve("far", 7000);
    let _bad = lan.world.serve("bad", 7001);
    // Chains, and the one of them that ends what nobody has decided on. What goes to port 7001 is dropped by a rule.
    for (shape, chains, place) in [
        (
            "jumped to",
            "chain last { tcp dport 7001 drop; udp dport 7001 drop; counter reject; }
             chain forward { type filter hook forward priority 10; ct state established,related accept; jump last; }",
            "last",
        ),
        (
            "shared out by interfaces, under a policy",
            "chain bad { tcp dport 7001 drop; udp dport 7001 drop; }
             chain home { accept; }
             chain public { jump bad; log prefix \"no \"; drop; }
             chain zones { iifname \"home0\" goto home; iifname { \"eth0\", \"eth1\" } goto public; goto public; }
             chain forward { type filter hook forward priority 10; policy drop; ct state established,related accept; jump zones; reject; }",
            "public",
        ),
        (
            "what is left of each interface",
            "chain bad { tcp dport 7001 drop; udp dport 7001 drop; }
             chain zones { iifname \"eth0\" jump bad; iifname \"eth0\" drop; oifname \"eth0\" jump bad; oifname \"eth0\" reject; jump bad; reject; }
             chain forward { type filter hook forward priority 10; ct state established,related accept; ct status dnat accept; jump zones; reject; }",
            "zones",
        ),
        (
            "shared with what is meant",
            "chain no { counter; log prefix \"no \"; drop; }
             chain forward { type filter hook forward priority 10; ct state established,related accept; meta l4proto { tcp, udp } th dport 7001 jump no; goto no; }",
            "forward",
        ),
        (
            "the policy, after jumps that come back",
            "chain bad { tcp dport 7001 drop; udp dport 7001 drop; return; drop; }
             chain none { }
             chain forward { type filter hook forward priority 10; policy drop; ct state established,related accept; jump none; jump bad; }",
            "forward",
        ),
    ] {
        let wall = format!("table inet wall {{\n{chains}\n}}");
        // Before the container is there, and behind its back.
        lan.host.nft(&wall);
        let one = web(&engine, "one", "-p 8080:80");
        let passed = || {
            testkit::eventually("a wall is passed", || goes_out(&one));
            assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some(), "{shape}");
            assert!(!one.place.reaches_somehow(at(FAR, 7001)), "{shape}");
            let text = lan.host.sh("nft list table inet wall");
            let chain = text.split("chain ").find(|chain| chain.contains("estiva"));
            let chain = chain.unwrap_or_else(|| panic!("{shape}: {text}"));
            assert!(chain.starts_with(&format!("{place} ")), "{shape}: {text}");
            // Where it is the uplink's end, each direction has its own.
            let more = if shape.contains("each interface") { 2 } else { 0 };
            let ours = text.matches("comment \"est").count();
            assert_eq!(ours, 2 + more, "{shape}: {text}");
        };
        passed();
        lan.host.nft("delete table inet wall");
        lan.host.nft(&wall);
        passed();
        // The wall goes, or is no longer come to: so do our rules.
        lan.host
            .nft("insert rule inet wall forward counter accept");
        testkit::eventually("rules of ours go", || {
            !lan.host.sh("nft list table inet wall").contains("comment \"est")
        });
        lan.host.nft("delete table inet wall");
        engine.ok("rm -f one");
        drop(one);
    }
    assert!(!engine.daemon_log().contains("drops what containers send"));
}

#[test]
fn what_somebody_means_to_drop_is_left_alone_and_told() {
    let Some((lan, engine)) = ours() else {
        return;
    };
    let _far = lan.world.serve("far", 7000);
    // The chain lets something through by itself, and what is bad is sent there too.
    let wall = "table inet wall {
        chain no { tcp dport 9 accept; drop; }
        chain forward { type filter hook forward priority 10; ct state established,related accept; meta l4proto { tcp, udp } th dport 7001 jump no; jump no; }
    }";
    lan.host.nft(wall);
    let before = lan.host.sh("nft list table inet wall");
    let one = web(&engine, "one", "");
    assert!(!one.place.reaches_somehow(at(FAR, 7000)));
    assert_eq!(lan.host.sh("nft list table inet wall"), before);
    let log = engine.daemon_log();
    let told = "chain no of table wall drops what containers send";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    // Done as it says, it works.
    let end = super::support::other_end(&lan.host, &one.place, "eth0");
    let bridge = end["master"].as_str().expect("a bridge");
    lan.host.nft(&format!(
        "insert rule inet wall forward iifname {bridge} accept; insert rule inet wall forward oifname {bridge} accept"
    ));
    assert!(goes_out(&one));
    lan.host.nft("delete table inet wall");
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
