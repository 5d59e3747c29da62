//! Networks: who reaches whom, and the world.

use network::firewall::{Policy, Protocol};

use crate::world::{CLIENT4, CLIENT6, HOST4, HOST6, World, addresses, ip};

#[test]
fn a_bridge_network_reaches_itself_and_the_world_and_no_other_network() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    world.network(31, |_| {});
    let one = world.container(30, 2);
    let sibling = world.container(30, 3);
    let stranger = world.container(31, 2);
    for container in [&one, &sibling, &stranger] {
        container.machine.serve(80);
    }
    world.client.serve(80);
    assert_eq!(one.machine.call("172.30.0.3:80"), Some(one.v4));
    assert_eq!(one.machine.call("[fd30::3]:80"), Some(one.v6));
    assert_eq!(one.machine.call_udp("172.30.0.3:80"), Some(one.v4));
    assert_eq!(one.machine.call("172.31.0.2:80"), None, "another network");
    assert_eq!(one.machine.call("[fd31::2]:80"), None, "another network");
    assert_eq!(one.machine.call_udp("172.31.0.2:80"), None);
    // Outward under the host's address.
    assert_eq!(one.machine.call(&format!("{CLIENT4}:80")), Some(ip(HOST4)));
    assert_eq!(
        one.machine.call(&format!("[{CLIENT6}]:80")),
        Some(ip(HOST6))
    );
    assert_eq!(
        one.machine.call_udp(&format!("{CLIENT4}:80")),
        Some(ip(HOST4))
    );
    // Nothing inward, though the client routes everything to this host, which forwards.
    assert_eq!(world.client.call("172.30.0.2:80"), None);
    assert_eq!(world.client.call("[fd30::2]:80"), None);
    assert_eq!(world.client.call_udp("172.30.0.2:80"), None);
}

#[test]
fn an_internal_network_has_no_way_out_or_in() {
    let world = World::new(Policy::HostInput);
    world.network(29, |network| network.internal = true);
    world.network(30, |_| {});
    let inner = world.container(29, 2);
    let sibling = world.container(29, 3);
    let outer = world.container(30, 2);
    for container in [&inner, &sibling, &outer] {
        container.machine.serve(80);
    }
    world.client.serve(80);
    world.publish(&outer, &outer.published(Protocol::Tcp, 8080, 80));
    assert_eq!(inner.machine.call("172.29.0.3:80"), Some(inner.v4));
    for target in [
        format!("{CLIENT4}:80"),
        format!("[{CLIENT6}]:80"),
        "172.30.0.2:80".into(),
        // Nor by way of a published port of a container outside.
        format!("{HOST4}:8080"),
        format!("[{HOST6}]:8080"),
        "172.29.0.1:8080".into(),
    ] {
        assert_eq!(inner.machine.call(&target), None, "{target}");
    }
    // Not even one datagram without an answer.
    world.publish(&outer, &outer.published(Protocol::Udp, 8080, 80));
    let heard = || {
        outer.machine.here(|| {
            let snmp = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("counters");
            let udp = snmp.lines().filter(|line| line.starts_with("Udp:")).nth(1);
            udp.map(str::to_owned).expect("counters of UDP")
        })
    };
    let before = heard();
    assert_eq!(inner.machine.call_udp(&format!("{HOST4}:8080")), None);
    assert_eq!(heard(), before, "nothing came to the container outside");
    assert_eq!(outer.machine.call("172.29.0.2:80"), None);
    assert_eq!(world.client.call("172.29.0.2:80"), None);
}

#[test]
fn without_masquerading_containers_go_out_under_their_own_address() {
    let world = World::new(Policy::HostInput);
    world.network(30, |network| network.masquerade = false);
    let container = world.container(30, 2);
    container.machine.serve(80);
    world.client.serve(80);
    assert_eq!(
        container.machine.call(&format!("{CLIENT4}:80")),
        Some(container.v4)
    );
    assert_eq!(
        container.machine.call(&format!("[{CLIENT6}]:80")),
        Some(container.v6)
    );
    assert_eq!(
        world.client.call("172.30.0.2:80"),
        None,
        "still nothing inward"
    );
}

#[test]
fn containers_of_a_quiet_network_do_not_hear_each_other() {
    let world = World::new(Policy::HostInput);
    world.network(28, |network| network.icc = false);
    let one = world.container(28, 2);
    let other = world.container(28, 3);
    other.machine.serve(80);
    world.client.serve(80);
    world.publish(&other, &other.published(Protocol::Tcp, 8080, 80));
    assert_eq!(one.machine.call("172.28.0.3:80"), None);
    assert_eq!(one.machine.call("[fd28::3]:80"), None);
    assert_eq!(
        one.machine.call(&format!("{CLIENT4}:80")),
        Some(ip(HOST4)),
        "outward"
    );
    assert!(
        one.machine.call(&format!("{HOST4}:8080")).is_some(),
        "what is published"
    );
}

#[test]
fn a_removed_network_leaves_nothing_behind_in_the_sets() {
    let world = World::new(Policy::HostInput);
    let network = world.network(30, |_| {});
    let container = world.container(30, 2);
    world.publish(&container, &container.published(Protocol::Sctp, 8080, 80));
    let count = || {
        let line =
            "nft list table ip estiva; nft list table ip6 estiva; nft list table bridge estiva";
        world
            .host
            .try_run(line)
            .map(|text| text.matches("elements").count())
    };
    if let Ok(count) = count() {
        assert!(count > 10, "{count} sets with something in them");
    }
    world
        .firewall
        .remove_endpoint(&container.endpoint.host_name)
        .expect("endpoint");
    world.firewall.remove_network(&network.id).expect("network");
    world
        .firewall
        .remove_network(&network.id)
        .expect("again, which does nothing");
    if let Ok(count) = count() {
        assert_eq!(count, 0);
    }
    world.firewall.remove_all().expect("all");
    assert_eq!(
        world.host.try_run("nft list ruleset").unwrap_or_default(),
        ""
    );
    let _ = addresses(30, 1);
}
