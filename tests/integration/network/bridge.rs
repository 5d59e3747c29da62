//! The default bridge: an address, a way out, and neighbours.

use testkit::lan::FAR;
use testkit::{Engine, Lan, lan};

use super::support::{at, idle, lies_in, network, other_end, subnets, web};

#[test]
fn a_container_is_on_the_bridge_and_inspect_tells_what_the_kernel_has() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let container = idle(&engine, "--name one");
    let place = container.place();
    let (address, prefix) = place.addresses("eth0")[0];
    let told = &container.inspect()["NetworkSettings"];
    for at in [told, &told["Networks"]["bridge"]] {
        assert_eq!(at["IPAddress"], address.to_string());
        assert_eq!(at["IPPrefixLen"], prefix);
        assert_eq!(at["MacAddress"], place.link("eth0")["address"]);
    }
    let gateway = place.default_routes().remove(0);
    assert_eq!(told["Gateway"], gateway.0.to_string());
    assert_eq!(gateway.1, "eth0");

    let bridge = network(&engine, "bridge");
    let name = bridge["Options"]["com.docker.network.bridge.name"].as_str();
    let name = name.expect("it has a name");
    assert_eq!(other_end(&lan.host, &place, "eth0")["master"], name);
    assert!(
        lan.host
            .addresses(name)
            .iter()
            .any(|(ip, _)| *ip == gateway.0)
    );
    assert!(lies_in(address, &subnets(&engine, "bridge")[0]));
    assert_eq!(told["Networks"]["bridge"]["NetworkID"], bridge["Id"]);
    let id = container.inspect()["Id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let entry = &bridge["Containers"][&id];
    assert_eq!(entry["Name"], "one");
    assert_eq!(entry["IPv4Address"], format!("{address}/{prefix}"));
    assert_eq!(entry["MacAddress"], place.link("eth0")["address"]);
}

#[test]
fn containers_reach_each_other_the_host_and_what_is_far_away() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let one = web(&engine, "one", "");
    let two = web(&engine, "two", "");
    assert_ne!(one.ip(), two.ip());
    let seen = one.place.who_tcp(at(two.ip(), 80)).expect("two answers");
    assert_eq!((seen.server.as_str(), seen.client), ("two", one.ip()));
    assert!(one.place.reaches(at(two.ip(), 80)) && two.place.reaches(at(one.ip(), 80)));
    one.container.exec(&format!("ping -c 1 -W 2 {}", two.ip()));

    let _far = lan.world.serve("far", 7000);
    let seen = one.place.who_tcp(at(FAR, 7000)).expect("far answers");
    assert_eq!(
        seen.client, lan.host.ip,
        "outside it goes by the host's address"
    );
    assert!(one.place.reaches(at(FAR, 7000)));
    let _host = lan.host.serve("host", 7000);
    assert!(one.place.reaches(at(one.place.default_routes()[0].0, 7000)));
}

#[test]
fn addresses_are_given_again_and_links_go_with_their_container() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let first = web(&engine, "first", "");
    let address = first.ip();
    let end = other_end(&lan.host, &first.place, "eth0")["ifname"].clone();
    let end = end.as_str().expect("a name").to_owned();
    assert!(lan.host.links().contains(&end));
    drop(first);
    engine.ok("rm -f first");
    testkit::eventually("its link is gone", || !lan.host.links().contains(&end));
    let next = web(&engine, "next", "");
    assert_eq!(next.ip(), address);
}

#[test]
fn packets_are_as_large_as_the_uplink_takes() {
    if Engine::is_peer() {
        return testkit::skip("the peer takes 1500 whatever the uplink");
    }
    let lan = Lan::new(&lan::Plan {
        mtu: 1400,
        ..Default::default()
    });
    let engine = lan.engine();
    let container = idle(&engine, "");
    assert_eq!(container.place().link("eth0")["mtu"], 1400);
    engine.ok("network create plain");
    engine.ok("network create -o com.docker.network.driver.mtu=1300 small");
    let plain = idle(&engine, "--network plain");
    assert_eq!(plain.place().link("eth0")["mtu"], 1400);
    let small = idle(&engine, "--network small");
    assert_eq!(small.place().link("eth0")["mtu"], 1300);
    let end = other_end(&lan.host, &small.place(), "eth0");
    assert_eq!(end["mtu"], 1300);
    assert_eq!(
        lan.host.link(end["master"].as_str().expect("a bridge"))["mtu"],
        1300
    );
}

#[test]
fn an_engine_whose_containers_need_no_bridge_makes_none() {
    let lan = testkit::lan();
    let engine = lan.engine();
    if Engine::is_peer() {
        return testkit::skip("the peer makes its bridge at once");
    }
    drop(idle(&engine, "--network none"));
    drop(idle(&engine, "--network host"));
    assert_eq!(lan.host.links(), ["eth0", "lo"]);
    assert_eq!(lan.host.sh("nft list ruleset"), "");
    assert_eq!(lan.host.sysctl("ipv4.ip_forward").as_deref(), Some("0"));
    drop(idle(&engine, ""));
    assert_eq!(lan.host.sysctl("ipv4.ip_forward").as_deref(), Some("1"));
}
