//! Containers that say they are someone else.

use network::firewall::Policy;

use crate::world::{CLIENT4, HOST4, World, ip};

#[test]
fn the_address_of_another_container_is_of_no_use() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let victim = world.container(30, 2);
    let thief = world.container(30, 3);
    let witness = world.container(30, 4);
    victim.machine.serve(80);
    witness.machine.serve(80);
    assert_eq!(thief.machine.call("172.30.0.4:80"), Some(thief.v4));
    // Takes the victim's address, answers ARP for it, and is quicker because the victim is silent.
    thief
        .machine
        .run("ip addr add 172.30.0.2/32 dev eth0; ip addr add fd30::2/128 dev eth0 nodad");
    thief.machine.here(|| {
        let socket = std::net::UdpSocket::bind("172.30.0.2:0").expect("it has the address");
        assert_eq!(
            crate::world::ask_udp(&socket, "172.30.0.4:80".parse().expect("one")),
            None
        );
        let socket = std::net::UdpSocket::bind("[fd30::2]:0").expect("it has the address");
        assert_eq!(
            crate::world::ask_udp(&socket, "[fd30::4]:80".parse().expect("one")),
            None
        );
    });
    let mac = mac_text(victim.endpoint.mac);
    for (target, address) in [("172.30.0.2:80", "172.30.0.2"), ("[fd30::2]:80", "fd30::2")] {
        for _ in 0..5 {
            witness.machine.run("ip neigh flush all");
            assert!(
                witness.machine.call(target).is_some(),
                "the victim still answers"
            );
            let neighbour = witness.machine.run(&format!("ip neigh show {address}"));
            assert!(neighbour.contains(&mac), "{neighbour}");
        }
    }
}

#[test]
fn nobody_is_the_gateway_but_the_gateway() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let victim = world.container(30, 2);
    let thief = world.container(30, 3);
    thief
        .machine
        .run("ip addr add 172.30.0.1/32 dev eth0; ip addr add fd30::1/128 dev eth0 nodad");
    world.client.serve(80);
    let bridge = world
        .host
        .run("cat /sys/class/net/br-30/address 2>/dev/null; ip -o link show br-30");
    for _ in 0..5 {
        victim.machine.run("ip neigh flush all");
        assert_eq!(
            victim.machine.call(&format!("{CLIENT4}:80")),
            Some(ip(HOST4))
        );
        let neighbour = victim.machine.run("ip neigh show 172.30.0.1");
        let mac = neighbour.split(' ').nth(4).expect("a hardware address");
        assert!(bridge.contains(mac), "{neighbour} is not of {bridge}");
    }
    // Not even where the gateway itself is silent, so that nobody else could answer.
    world.host.run("ip link set br-30 arp off");
    victim.machine.run("ip neigh flush all");
    assert_eq!(victim.machine.call_udp("172.30.0.1:9"), None);
    assert_eq!(victim.machine.call_udp("[fd30::1]:9"), None);
    let neighbours = victim.machine.run("ip neigh show");
    assert!(!neighbours.contains("lladdr"), "{neighbours}");
}

#[test]
fn the_hardware_address_of_another_container_is_of_no_use() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let victim = world.container(30, 2);
    let thief = world.container(30, 3);
    let witness = world.container(30, 4);
    witness.machine.serve(80);
    victim.machine.serve(80);
    let mac = mac_text(victim.endpoint.mac);
    thief
        .machine
        .run(&format!("ip link set eth0 address {mac}"));
    assert_eq!(thief.machine.call("172.30.0.4:80"), None);
    // And the bridge has not learned that the victim is where the thief is.
    assert!(witness.machine.call("172.30.0.2:80").is_some());
}

#[test]
fn an_address_of_the_world_is_of_no_use() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let thief = world.container(30, 3);
    world.host.serve(9000);
    // Count what comes to the host's service under a stranger's address.
    thief
        .machine
        .run("ip addr add 10.9.1.77/32 dev eth0; ip addr add fd09::77/128 dev eth0 nodad");
    for (own, target) in [
        ("10.9.1.77:0", "10.9.1.1:9000"),
        ("[fd09::77]:0", "[fd09::1]:9000"),
    ] {
        let before = drops(&world);
        thief.machine.here(|| {
            let socket = std::net::UdpSocket::bind(own).expect("it has the address");
            let answer = crate::world::ask_udp(&socket, target.parse().expect("one"));
            assert_eq!(answer, None);
        });
        let after = drops(&world);
        assert_eq!(
            after, before,
            "nothing under {own} came to a socket of the host"
        );
    }
}

/// Datagrams that came to sockets of the host, of both families.
fn drops(world: &World) -> String {
    world.host.here(|| {
        let snmp = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("counters");
        let snmp6 = std::fs::read_to_string("/proc/thread-self/net/snmp6").expect("counters");
        let v4 = snmp.lines().filter(|line| line.starts_with("Udp:")).nth(1);
        let v4 = v4
            .and_then(|line| line.split(' ').nth(1))
            .expect("InDatagrams");
        let v6 = snmp6
            .lines()
            .find(|line| line.starts_with("Udp6InDatagrams"))
            .expect("counter");
        format!("{v4} {v6}")
    })
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
