//! Published ports: who reaches them, and under which address.

use network::firewall::{Policy, Port, Protocol};

use crate::world::{CLIENT4, CLIENT6, HOST4, HOST6, PROXY, World, ask_udp, has, ip};

/// A host whose own firewall lets nothing in but answers and what IPv6 needs to find neighbours.
struct Deny {
    program: &'static str,
    deny: &'static str,
    allow: &'static str,
}

const NFT: Deny = Deny {
    program: "nft",
    deny: "nft 'table inet hostpolicy { chain input { type filter hook input priority 0; policy drop; iif lo accept; ct state established,related accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; }; }'",
    allow: "nft add rule inet hostpolicy input meta l4proto { tcp, udp } th dport 8080 accept",
};

/// The same through iptables in one of its two shapes.
const fn iptables(program: &'static str) -> Deny {
    Deny {
        program,
        deny: "for t in $IPT $IP6T; do $t -A INPUT -i lo -j ACCEPT && $t -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT && $t -P INPUT DROP || exit 1; done; $IP6T -A INPUT -p icmpv6 -j ACCEPT",
        allow: "for t in $IPT $IP6T; do $t -A INPUT -p tcp --dport 8080 -j ACCEPT && $t -A INPUT -p udp --dport 8080 -j ACCEPT || exit 1; done",
    }
}

fn obeys(deny: &Deny) {
    if !has(deny.program) {
        return;
    }
    let six = deny.program.replace("iptables", "ip6tables");
    let line = |line: &str| format!("IPT={}; IP6T={six}; {line}", deny.program);
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let container = world.container(30, 2);
    container.machine.serve(80);
    let mut ports = container.published(Protocol::Tcp, 8080, 80).to_vec();
    ports.extend(container.published(Protocol::Udp, 8080, 80));
    world.publish(&container, &ports);

    let reaches = |target: &str| (world.client.call(target), world.client.call_udp(target));
    let (v4, v6) = (format!("{HOST4}:8080"), format!("[{HOST6}]:8080"));
    let seen = |address: &str| (Some(ip(address)), Some(ip(address)));
    assert_eq!(reaches(&v4), seen(CLIENT4), "no host policy");
    assert_eq!(reaches(&v6), seen(CLIENT6), "no host policy");

    if let Err(error) = world.host.try_run(&line(deny.deny)) {
        eprintln!("skipped: {} does not work here: {error}", deny.program);
        return;
    }
    assert_eq!(reaches(&v4), (None, None), "denied");
    assert_eq!(reaches(&v6), (None, None), "denied");
    world.host.run(&line(deny.allow));
    assert_eq!(reaches(&v4), seen(CLIENT4), "allowed");
    assert_eq!(reaches(&v6), seen(CLIENT6), "allowed");
}

#[test]
fn a_published_port_obeys_an_nft_input_chain() {
    obeys(&NFT);
}

#[test]
fn a_published_port_obeys_iptables_nft() {
    obeys(&iptables("iptables-nft"));
}

#[test]
fn a_published_port_obeys_iptables_legacy() {
    obeys(&iptables("iptables-legacy"));
}

#[test]
fn under_the_open_policy_no_input_chain_is_asked() {
    let world = World::new(Policy::Open);
    world.network(30, |_| {});
    let container = world.container(30, 2);
    container.machine.serve(80);
    world.publish(&container, &container.published(Protocol::Tcp, 8080, 80));
    if has("nft") {
        world.host.run(NFT.deny);
    }
    assert_eq!(
        world.client.call(&format!("{HOST4}:8080")),
        Some(ip(CLIENT4))
    );
    assert_eq!(
        world.client.call(&format!("[{HOST6}]:8080")),
        Some(ip(CLIENT6))
    );
    assert_eq!(world.client.call(&format!("{HOST4}:8081")), None);
}

#[test]
fn a_port_of_one_address_is_reached_there_only() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let container = world.container(30, 2);
    container.machine.serve(80);
    world.host.run("ip addr add 10.9.1.9/24 dev h0");
    let at = |host: &str, host_port| Port {
        host: Some(ip(host)),
        proto: Protocol::Tcp,
        host_port,
        target: (container.v4, 80).into(),
    };
    world.publish(&container, &[at("10.9.1.9", 8080), at("127.0.0.1", 8081)]);
    assert_eq!(world.client.call("10.9.1.9:8080"), Some(ip(CLIENT4)));
    assert_eq!(world.client.call("10.9.1.1:8080"), None);
    assert_eq!(world.client.call("10.9.1.9:8081"), None);
    // A client on the link that sends to 127.0.0.1 gets nothing, whatever it routes.
    world.client.run("ip link set lo down; ip addr flush dev lo; echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip route add 127.0.0.1/32 via 10.9.1.1 table local; true");
    assert_eq!(world.client.call("127.0.0.1:8081"), None);
    world.publish(&container, &[]);
    assert_eq!(world.client.call("10.9.1.9:8080"), None, "withdrawn");
}

/// With frames on bridges shown to the ip tables, and without.
fn hairpin(bridge_calls_iptables: bool) {
    let world = World::new(Policy::HostInput);
    let switch = u8::from(bridge_calls_iptables);
    let _ = world.host.try_run(&format!(
        "for f in /proc/sys/net/bridge/bridge-nf-call-ip*; do echo {switch} > $f; done"
    ));
    world.network(30, |_| {});
    world.network(31, |_| {});
    let server = world.container(30, 2);
    let sibling = world.container(30, 3);
    let stranger = world.container(31, 2);
    server.machine.serve(80);
    world.host.serve_as_proxy(8080);
    let mut ports = server.published(Protocol::Tcp, 8080, 80).to_vec();
    ports.extend(server.published(Protocol::Udp, 8080, 80));
    world.publish(&server, &ports);
    for host in [HOST4, &format!("[{HOST6}]"), "172.30.0.1", "[fd30::1]"] {
        let target = format!("{host}:8080");
        for (who, machine) in [
            ("its sibling", &sibling.machine),
            ("another network", &stranger.machine),
        ] {
            let seen = machine
                .call(&target)
                .unwrap_or_else(|| panic!("{who} to {target}"));
            assert_ne!(seen, ip(PROXY), "{who} to {target}");
            assert!(
                machine.call_udp(&target).is_some(),
                "{who} to {target} over UDP"
            );
        }
        // To itself by way of the proxy, which the host's input chains let in or not.
        assert_eq!(
            server.machine.call(&target),
            Some(ip(PROXY)),
            "itself to {target}"
        );
        let seen = world.host.call(&target).expect("the host to itself");
        let own: Vec<_> = [HOST4, HOST6, "172.30.0.1", "fd30::1"].map(ip).to_vec();
        assert!(own.contains(&seen), "{seen}");
        assert!(world.host.call_udp(&target).is_some(), "the host to itself");
    }
    assert_eq!(world.host.call(&format!("{HOST4}:8080")), Some(ip(HOST4)));
    // Every later connection too: the way round is taken by each first packet anew.
    for _ in 0..20 {
        assert!(sibling.machine.call(&format!("{HOST4}:8080")).is_some());
    }
}

#[test]
fn containers_and_the_host_reach_published_ports_by_the_hosts_addresses() {
    hairpin(true);
}

#[test]
fn so_they_do_where_bridged_frames_are_not_shown_to_ip_tables() {
    hairpin(false);
}

#[test]
fn a_containers_way_to_the_hosts_services_obeys_the_host() {
    if !has("nft") {
        return;
    }
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let container = world.container(30, 2);
    world.host.serve(9000);
    assert_eq!(
        container.machine.call(&format!("{HOST4}:9000")),
        Some(container.v4)
    );
    world.host.run(NFT.deny);
    assert_eq!(container.machine.call(&format!("{HOST4}:9000")), None);
    world
        .host
        .run("nft add rule inet hostpolicy input tcp dport 9000 accept");
    assert_eq!(
        container.machine.call(&format!("{HOST4}:9000")),
        Some(container.v4)
    );
}

#[test]
fn the_pair_is_no_back_door() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let container = world.container(30, 2);
    let other = world.container(30, 3);
    container.machine.serve(80);
    world.publish(&container, &container.published(Protocol::Tcp, 8080, 80));
    let next = world.admission.next_hop4;
    // Who sends to the address behind the pair would come out of it, past every input chain.
    assert_eq!(world.client.call(&format!("{next}:8080")), None);
    assert_eq!(other.machine.call(&format!("{next}:8080")), None);
}

#[test]
fn a_client_that_never_stops_asking_reaches_a_port_that_comes_and_moves() {
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    let one = world.container(30, 2);
    let other = world.container(30, 3);
    one.machine.serve_as_proxy(80);
    other.machine.serve(80);
    let target = format!("{HOST4}:8080").parse().expect("an address");
    let socket = world
        .client
        .here(|| std::net::UdpSocket::bind("0.0.0.0:0"))
        .expect("bind");
    assert_eq!(ask_udp(&socket, target), None, "nobody is there");
    world.publish(&one, &one.published(Protocol::Udp, 8080, 80));
    assert_eq!(ask_udp(&socket, target), Some(ip(PROXY)), "the same flow");
    world.publish(&one, &[]);
    world.publish(&other, &other.published(Protocol::Udp, 8080, 80));
    assert_eq!(ask_udp(&socket, target), Some(ip(CLIENT4)), "the same flow");
}
