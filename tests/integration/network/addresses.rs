//! Subnets, ranges, and addresses of one's own choice.

use testkit::{Container, Engine};

use super::support::{idle, ip, lies_in, subnets, web};

#[test]
fn addresses_come_from_the_range_and_never_those_set_aside() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.88.0.0/24 --ip-range 10.88.0.16/29 --gateway 10.88.0.17 --aux-address a=10.88.0.18 --aux-address b=10.88.0.19 ranged");
    let mut seen = Vec::new();
    // Eight in the range, the gateway and two set aside: the rest may be given.
    for _ in 0..4 {
        let place = idle(&engine, "--network ranged").place();
        let address = place.v4("eth0");
        assert!(lies_in(address, "10.88.0.16/29"), "{address}");
        assert_eq!(place.addresses("eth0")[0].1, 24);
        assert_eq!(place.default_routes()[0].0, ip("10.88.0.17"));
        seen.push(address);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "{seen:?}");
    for taken in ["10.88.0.17", "10.88.0.18", "10.88.0.19"] {
        assert!(!seen.contains(&ip(taken)));
    }
}

#[test]
fn a_network_that_is_full_says_so_and_has_room_again() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.88.1.0/29 full");
    for number in 0..5 {
        drop(idle(&engine, &format!("--name c{number} --network full")));
    }
    let error = engine.fails(
        125,
        "run -d --name one-too-many --network full busybox sleep 60",
    );
    assert!(
        error.contains("no available IPv4 addresses on this network's address pools: full"),
        "{error}"
    );
    engine.ok("rm -f c3 one-too-many");
    drop(idle(&engine, "--name again --network full"));
}

#[test]
fn ones_own_address_and_mac_are_kept_over_a_restart() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.88.2.0/24 mine");
    // The client asks the peer, which is older, for no hardware address at all.
    let mac = match Engine::is_peer() {
        true => "02:42:0a:58:02:4d",
        false => "02:11:22:33:44:55",
    };
    let asked = match Engine::is_peer() {
        true => String::new(),
        false => format!("--mac-address {mac}"),
    };
    let one = web(
        &engine,
        "one",
        &format!("--network mine --ip 10.88.2.77 {asked}"),
    );
    assert_eq!(one.ip(), ip("10.88.2.77"));
    assert_eq!(one.place.link("eth0")["address"], mac);
    let told = one.container.inspect();
    let endpoint = &told["NetworkSettings"]["Networks"]["mine"];
    assert_eq!(endpoint["IPAMConfig"]["IPv4Address"], "10.88.2.77");
    assert_eq!(endpoint["MacAddress"], mac);
    drop(one);
    engine.ok("restart -t 0 one");
    let place = Container::new(&engine, "one".to_owned()).place();
    assert_eq!(place.v4("eth0"), ip("10.88.2.77"));
    assert_eq!(place.link("eth0")["address"], mac);
    // Stopped, the address is free for others; then the owner is refused and nothing else is harmed.
    engine.ok("stop -t 0 one");
    let thief = idle(&engine, "--name thief --network mine --ip 10.88.2.77");
    let error = engine.refuses("start one");
    assert!(error.contains("Address already in use"), "{error}");
    drop(thief);
    engine.ok("rm -f thief");
    engine.ok("start one");
}

#[test]
fn an_address_in_use_is_refused_and_the_container_leaves_nothing() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.88.3.0/24 mine");
    drop(idle(&engine, "--name owner --network mine --ip 10.88.3.5"));
    super::support::unchanged(&lan.host, "an address in use", || {
        let error = engine.fails(
            125,
            "run -d --name thief --network mine --ip 10.88.3.5 busybox sleep 60",
        );
        assert!(error.contains("Address already in use"), "{error}");
        assert!(
            Engine::is_peer() || error.contains("container owner"),
            "by whom: {error}"
        );
        let error = engine.fails(
            125,
            "run -d --name late --network mine --ip 10.88.3.1 busybox sleep 60",
        );
        assert!(error.contains("Address already in use"), "{error}");
        assert!(
            Engine::is_peer() || error.contains("network mine"),
            "by whom: {error}"
        );
    });
    let next = web(&engine, "next", "--network mine --ip 10.88.3.6");
    assert_eq!(next.ip(), ip("10.88.3.6"));
}

#[test]
fn subnets_are_chosen_beside_all_that_the_host_knows() {
    if Engine::is_peer() {
        return testkit::skip("the peer looks at links alone");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    // A VPN that takes the second pool, and a neighbour on another link with the third.
    lan.host.sh("ip route add 172.18.0.0/16 via 198.51.100.1");
    lan.host.sh("ip link add side type veth peer name edis; ip addr add 172.19.0.1/24 dev side; ip link set side up");
    let mut chosen = Vec::new();
    for name in ["n1", "n2", "n3"] {
        engine.ok(&format!("network create {name}"));
        chosen.push(subnets(&engine, name)[0].clone());
    }
    for subnet in &chosen {
        assert!(
            !subnet.starts_with("172.18.") && !subnet.starts_with("172.19."),
            "{chosen:?}"
        );
        assert!(
            !subnet.starts_with("172.17."),
            "the default bridge's: {chosen:?}"
        );
    }
    lan.host.sh("ip link del side");
}

#[test]
fn a_host_whose_vpn_routes_all_private_addresses_still_gets_a_network() {
    if Engine::is_peer() {
        return testkit::skip("the peer gives up");
    }
    let lan = testkit::lan();
    for all in ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"] {
        lan.host.sh(&format!("ip route add {all} via 198.51.100.1"));
    }
    let engine = lan.engine();
    engine.ok("network create beside");
    for network in ["beside", "bridge"] {
        drop(idle(&engine, &format!("--network {network}")));
        let subnet = subnets(&engine, network)[0].clone();
        let address = ip(subnet.split_once('/').expect("a subnet").0);
        for all in [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "198.51.100.0/24",
        ] {
            assert!(!lies_in(address, all), "{subnet}");
        }
    }
    engine.ok("network create --subnet 10.99.0.0/24 asked-for");
    assert_eq!(
        subnets(&engine, "asked-for")[0],
        "10.99.0.0/24",
        "who names one gets it"
    );
}
