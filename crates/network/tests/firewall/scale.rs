//! How long changes take, and what nft thinks of them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use network::firewall::{Endpoint, Net, Policy, Port, Protocol};
use network::subnet::Subnet;

use crate::world::{World, has};

fn endpoint(n: u16) -> (Endpoint, Port) {
    let [high, low] = n.to_be_bytes();
    let address = IpAddr::from([172, 30, high, low]);
    let endpoint = Endpoint {
        host_name: format!("veth{n:07x}"),
        mac: [2, 0x42, 172, 30, high, low],
        addresses: vec![address],
    };
    let port = Port {
        host: None,
        proto: Protocol::Tcp,
        host_port: 10_000 + n,
        target: (address, 80).into(),
    };
    (endpoint, port)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn the_thousandth_port_costs_what_the_first_did() {
    let world = World::new(Policy::HostInput);
    let _healer = world.host.here(|| world.firewall.watch()).expect("watch");
    world.network(30, |_| {});
    let mut times = Vec::new();
    for n in 2..1302 {
        let (endpoint, port) = endpoint(n);
        let began = Instant::now();
        world
            .firewall
            .add_endpoint(&endpoint, &[port])
            .expect("add");
        times.push(began.elapsed());
    }
    let first = median(times[..100].to_vec());
    let last = median(times[1200..].to_vec());
    let mut removals = Vec::new();
    for n in 2..1302 {
        let began = Instant::now();
        world
            .firewall
            .remove_endpoint(&endpoint(n).0.host_name)
            .expect("remove");
        removals.push(began.elapsed());
    }
    let removal = median(removals);
    eprintln!(
        "an endpoint with a port: {first:?} at first, {last:?} after 1,200; removed in {removal:?}"
    );
    // Generous: other work may run beside this.
    assert!(
        last < first * 3 + Duration::from_micros(200),
        "{first:?} {last:?}"
    );
    assert!(last < Duration::from_millis(3), "{last:?}");
}

#[test]
fn five_hundred_neighbouring_networks_are_taken_and_given_back() {
    let world = World::new(Policy::HostInput);
    let network = |n: u16| {
        let [high, low] = n.to_be_bytes();
        let v4 = IpAddr::from([10, high, low, 0]);
        let v6: IpAddr = format!("fd00:0:0:{n:x}::").parse().expect("an address");
        Net {
            id: format!("{n}"),
            bridge: format!("br-{n:012x}"),
            subnets: vec![
                Subnet::new(v4, 24).expect("short"),
                Subnet::new(v6, 64).expect("short"),
            ],
            internal: n.is_multiple_of(2),
            masquerade: true,
            routed: Vec::new(),
            unprotected: Vec::new(),
            icc: true,
            gateways: vec![IpAddr::from([10, high, low, 1])],
        }
    };
    let mut times = Vec::new();
    for n in 0..500 {
        let began = Instant::now();
        world.firewall.add_network(&network(n)).expect("add");
        times.push(began.elapsed());
    }
    eprintln!(
        "a network: {:?} at first, {:?} after 450",
        median(times[..50].to_vec()),
        median(times[450..].to_vec())
    );
    let began = Instant::now();
    world.firewall.rebuild().expect("rebuild");
    eprintln!("all made anew in {:?}", began.elapsed());
    // Removed out of order: neighbours' ranges touch.
    for n in (0..500).step_by(3).chain((0..500).step_by(2)).chain(0..500) {
        world
            .firewall
            .remove_network(&format!("{n}"))
            .expect("remove");
    }
}

#[test]
fn nft_prints_our_tables_and_takes_what_it_printed() {
    if !has("nft") {
        return;
    }
    let world = World::new(Policy::HostInput);
    world.network(30, |_| {});
    world.network(29, |network| network.internal = true);
    let container = world.container(30, 2);
    let mut ports = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        ports.extend(container.published(protocol, 8080, 80));
    }
    ports.push(Port {
        host: Some([10, 9, 1, 1].into()),
        proto: Protocol::Tcp,
        host_port: 443,
        target: (container.v4, 8443).into(),
    });
    world.publish(&container, &ports);
    let text = world.host.run("nft list ruleset");
    for line in [
        "iifname \"est-i\" fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @ports_at",
        "iifname \"est-i\" fib daddr type local dnat ip6 to meta l4proto . th dport map @ports",
        "type filter hook input priority 2147483640; policy accept;",
        "dup to 169.254.77.2 device \"est-o\" drop",
        "dup to fe80::2 device \"est-o\" drop",
        "iifname @bridges fib saddr . iif oif missing drop",
        "iifname . oifname @talking accept",
        "ct status dnat ip saddr . ip daddr @hairpin masquerade",
        "tcp . 8080 : 172.30.0.2 . 80",
        "sctp . 8080 : 172.30.0.2 . 80",
        "10.9.1.1 . tcp . 443 : 172.30.0.2 . 8443",
        "tcp . 8080 : fd30::2 . 80",
        "172.30.0.0/16 . \"br-30\"",
        "172.30.0.0/16",
        "\"veth30x2\" . 02:42:ac:1e:00:02",
        "arp saddr ip @assigned4 iifname . arp saddr ip != @owners4 drop",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    // Not the bridge's: what it says of neighbour advertisements has words only in a newer nft.
    let print = "nft list table ip estiva; nft list table ip6 estiva";
    let text = world.host.run(print);
    world.host.run("nft flush ruleset");
    world.host.run(&format!("nft -f - <<'END'\n{text}\nEND"));
    assert_eq!(world.host.run(print), text);
}
