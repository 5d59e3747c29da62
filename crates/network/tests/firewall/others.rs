//! Beside other programs' tables.

use std::time::{Duration, Instant};

use network::firewall::{Policy, Protocol};

use crate::world::{CLIENT4, HOST4, HOST6, World, has, ip};

/// As Docker does it: everything that passes is dropped unless one of its own rules accepts it.
const DROP: &str = "nft 'table ip filter { chain DOCKER-USER { ip saddr 10.9.1.66 drop; }; chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }; }; table ip6 filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }; table inet more { chain output { type filter hook output priority 0; policy drop; oifname \"h0\" accept; oifname \"br-30\" accept; oifname \"lo\" accept; }; }'";

#[test]
fn a_forward_policy_of_drop_is_overcome_and_its_explicit_drops_are_not() {
    if !has("nft") {
        return;
    }
    for policy in [Policy::HostInput, Policy::Open] {
        let world = World::new(policy);
        world.host.run(DROP);
        let network = world.network(30, |_| {});
        let server = world.container(30, 2);
        let sibling = world.container(30, 3);
        server.machine.serve(80);
        world.client.serve(80);
        world.publish(&server, &server.published(Protocol::Tcp, 8080, 80));
        assert_eq!(
            world.client.call(&format!("{HOST4}:8080")),
            Some(ip(CLIENT4))
        );
        assert!(world.client.call(&format!("[{HOST6}]:8080")).is_some());
        assert_eq!(
            sibling.machine.call(&format!("{CLIENT4}:80")),
            Some(ip(HOST4))
        );
        assert!(sibling.machine.call("172.30.0.2:80").is_some());
        // What the administrator drops stays dropped.
        world.client.run("ip addr del 10.9.1.2/24 dev c0 && ip addr add 10.9.1.66/24 dev c0 && ip route add default via 10.9.1.1");
        assert_eq!(world.client.call(&format!("{HOST4}:8080")), None);
        // Gone with the last network.
        world.firewall.remove_network(&network.id).expect("network");
        let left = world
            .host
            .run("nft list table ip filter; nft list table inet more; nft list table ip6 filter");
        assert!(!left.contains("estiva"), "{left}");
    }
}

#[test]
fn iptables_still_reads_its_table_with_our_rules_in_it() {
    if !has("iptables-nft") {
        return;
    }
    let world = World::new(Policy::HostInput);
    world.host.run("iptables-nft -P FORWARD DROP && iptables-nft -N DOCKER-USER && iptables-nft -A FORWARD -j DOCKER-USER");
    world.network(30, |_| {});
    let listed = world.host.run("iptables-nft -S FORWARD");
    assert!(
        listed
            .contains("-A FORWARD -i br-30 -m comment --comment \"estiva: from br-30\" -j ACCEPT"),
        "{listed}"
    );
    assert!(
        listed.contains("-A FORWARD -o br-30 -m comment --comment \"estiva: to br-30\" -j ACCEPT"),
        "{listed}"
    );
    let all = world
        .host
        .run("iptables-nft-save 2>&1; iptables-nft -L 2>&1");
    assert!(!all.contains("incompatible"), "{all}");
}

#[test]
fn rules_appended_later_come_before_ours_again() {
    if !has("nft") {
        return;
    }
    let world = World::new(Policy::HostInput);
    let _healer = world.host.here(|| world.firewall.watch()).expect("watch");
    world.network(30, |_| {});
    world.host.run(DROP);
    let chain = || world.host.run("nft list chain ip filter FORWARD");
    let is_last = |needle: &str| {
        let text = chain();
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| line.len() > 1)
            .collect();
        lines.last().is_some_and(|line| line.contains(needle))
    };
    wait_for(|| is_last("estiva: to br-30"));
    world
        .host
        .run("nft add rule ip filter FORWARD ip daddr 10.0.0.1 drop");
    wait_for(|| is_last("estiva: to br-30"));
    assert_eq!(chain().matches("estiva").count(), 2, "{}", chain());
    world
        .host
        .run("nft 'chain ip filter FORWARD { policy accept; }'");
    wait_for(|| !chain().contains("estiva"));
}

/// Within a second.
fn wait_for(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(1), "within a second");
        std::thread::sleep(Duration::from_millis(10));
    }
}
