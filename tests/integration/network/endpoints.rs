//! What one endpoint may be told: addresses of the link alone, its name, its switches, how near the way out it is.

use testkit::Engine;

use super::support::{at, endpoint, idle, ip, unchanged, web};

#[test]
fn addresses_of_the_link_alone_are_there_and_nowhere_told_as_names() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let one = idle(&engine, "--name one");
    let six = match Engine::is_peer() {
        // It has IPv6 switched off in there.
        true => "",
        false => "--link-local-ip fe80::77",
    };
    engine.ok(&format!(
        "network connect --link-local-ip 169.254.7.7 {six} net one"
    ));
    let place = one.place();
    let addresses = place.sh("ip addr show dev eth1");
    assert!(addresses.contains("169.254.7.7/16"), "{addresses}");
    assert!(
        Engine::is_peer() || addresses.contains("fe80::77/64"),
        "{addresses}"
    );
    assert_eq!(
        endpoint(&engine, "one", "net")["IPAMConfig"]["LinkLocalIPs"][0],
        "169.254.7.7"
    );
    let two = web(&engine, "two", "--network net --link-local-ip 169.254.7.8");
    assert!(
        place.reaches(at(ip("169.254.7.8"), 80)),
        "neighbours know each other by them"
    );
    assert_eq!(place.a("two"), [two.place.v4("eth0")]);
    let error = engine.refuses("network connect --link-local-ip words net two");
    assert!(
        error.contains("words") || error.contains("already exists"),
        "{error}"
    );
}

#[test]
fn the_link_has_the_name_and_the_switches_it_is_told() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than these");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let one = idle(
        &engine,
        "--name one --network name=net,driver-opt=com.docker.network.endpoint.ifname=front,\
         \"driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1\"",
    );
    let place = one.place();
    assert_eq!(place.links(), ["front", "lo"]);
    assert_eq!(
        place.sysctl("ipv4.conf.front.log_martians").as_deref(),
        Some("1")
    );
    engine.ok("network create other");
    engine.ok("network connect --driver-opt com.docker.network.endpoint.sysctls=net.ipv6.conf.IFNAME.hop_limit=33 other one");
    assert_eq!(place.links(), ["eth0", "front", "lo"]);
    assert_eq!(
        place.sysctl("ipv6.conf.eth0.hop_limit").as_deref(),
        Some("33")
    );
    for (option, text) in [
        ("com.docker.network.endpoint.ifname=a/b", "a/b"),
        (
            "com.docker.network.endpoint.sysctls=net.ipv4.ip_forward=1",
            "ip_forward",
        ),
        (
            "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.no_such_switch=1",
            "no_such_switch",
        ),
    ] {
        unchanged(&lan.host, option, || {
            let line = format!(
                "run -d --name bad --network name=net,driver-opt={option} busybox sleep 60"
            );
            let error = engine.fails(125, &line);
            assert!(error.contains(text), "{option}: {error}");
            drop(engine.cli("rm -f bad").run());
        });
    }
}

#[test]
fn the_way_out_is_by_the_network_of_the_highest_priority() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than the option");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    for network in ["aa", "bb", "cc"] {
        engine.ok(&format!("network create {network}"));
    }
    let one = idle(
        &engine,
        "--name one --network name=aa,gw-priority=1 --network name=bb,gw-priority=2",
    );
    let gateway = |network: &str| {
        let told = endpoint(&engine, "one", network)["Gateway"].clone();
        ip(told.as_str().expect("a gateway"))
    };
    let way_out = || one.place().default_routes()[0].0;
    assert_eq!(way_out(), gateway("bb"));
    engine.ok("network connect --gw-priority 3 cc one");
    assert_eq!(way_out(), gateway("cc"));
    engine.ok("network disconnect cc one");
    assert_eq!(way_out(), gateway("bb"));
    engine.ok("network connect --gw-priority -1 cc one");
    assert_eq!(way_out(), gateway("bb"));
    assert_eq!(endpoint(&engine, "one", "cc")["GwPriority"], -1);
    engine.ok("restart -t 0 one");
    assert_eq!(way_out(), gateway("bb"));
}

#[test]
fn a_network_of_one_family_alone() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than the option");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --ipv4=false --ipv6 --subnet fd00:99::/64 six");
    let one = web(&engine, "one", "--network six");
    let two = web(&engine, "two", "--network six -p 8080:80");
    let addresses = two.place.addresses("eth0");
    assert!(
        addresses.iter().all(|(ip, _)| ip.is_ipv6()),
        "{addresses:?}"
    );
    assert!(one.place.reaches(at(two.place.v6("eth0"), 80)));
    assert_eq!(one.place.aaaa("two"), [two.place.v6("eth0")]);
    assert_eq!(one.place.a("two"), Vec::<std::net::IpAddr>::new());
    assert!(lan.client.who_tcp(at(lan.host.ip6, 8080)).is_some());
    assert!(
        lan.client.who_tcp(at(lan.host.ip, 8080)).is_some(),
        "by the proxy, over to the other family"
    );
    engine.ok("network create --ipv6=false four");
    let three = idle(&engine, "--network four");
    assert_eq!(three.place().addresses("eth0").len(), 1);
    let error = engine.fails(1, "network create --ipv4=false --ipv6=false none-at-all");
    assert!(error.contains("IPv4 or IPv6 must be enabled"), "{error}");
}
