//! Options of the bridge driver, by Docker's names, each asked of the kernel.

use testkit::Engine;
use testkit::lan::FAR;

use super::support::{at, idle, ip, other_end, web};

#[test]
fn packets_are_as_large_as_the_option_says() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create -o com.docker.network.driver.mtu=1380 small");
    let one = idle(&engine, "--network small");
    assert_eq!(one.place().link("eth0")["mtu"], 1380);
    let end = other_end(&lan.host, &one.place(), "eth0");
    assert_eq!(end["mtu"], 1380);
    let bridge = end["master"].as_str().expect("a bridge").to_owned();
    assert_eq!(lan.host.link(&bridge)["mtu"], 1380);
}

#[test]
fn links_have_the_name_of_the_option() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than the option");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create -o com.docker.network.container_iface_prefix=lan front");
    engine.ok("network create back");
    let one = idle(&engine, "--name one --network front");
    assert_eq!(one.place().links(), ["lan0", "lo"]);
    engine.ok("network connect back one");
    assert_eq!(one.place().links(), ["eth0", "lan0", "lo"]);
    engine.ok("network disconnect front one");
    engine.ok("network connect front one");
    assert_eq!(one.place().links(), ["eth0", "lan0", "lo"]);
}

#[test]
fn without_masquerading_containers_go_out_by_their_own_address() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.66.0.0/24 -o com.docker.network.bridge.enable_ip_masquerade=false routed");
    let one = web(&engine, "one", "--network routed -p 8080:80");
    lan.world
        .sh(&format!("ip route add 10.66.0.0/24 via {}", lan.host.ip));
    let _far = lan.world.serve("far", 7000);
    let seen = one.place.who_tcp(at(FAR, 7000)).expect("far away");
    assert_eq!(seen.client, one.ip());
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    // A way there is no leave to go it.
    lan.client
        .sh(&format!("ip route add 10.66.0.0/24 via {}", lan.host.ip));
    let _hidden = one.place.serve("hidden", 81);
    assert!(!lan.client.reaches_somehow(at(one.ip(), 81)));
}

#[test]
fn ports_without_an_address_are_published_where_the_option_says() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 inner");
    let _one = web(
        &engine,
        "one",
        "--network inner -p 8080:80 -p 198.51.100.20:8081:80",
    );
    assert_eq!(
        engine
            .ok("port one 80")
            .lines()
            .filter(|l| l.ends_with(":8080"))
            .collect::<Vec<_>>(),
        ["127.0.0.1:8080"]
    );
    assert!(lan.host.who_tcp(at(ip("127.0.0.1"), 8080)).is_some());
    for address in [lan.host.ip, lan.host.ip6] {
        assert!(!lan.client.reaches_somehow(at(address, 8080)), "{address}");
    }
    assert!(
        lan.client.who_tcp(at(lan.host.ip, 8081)).is_some(),
        "but who names one has it"
    );
}

#[test]
fn a_kept_address_may_be_the_way_out() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine
        .ok("network create --subnet 10.67.0.0/24 --aux-address DefaultGatewayIPv4=10.67.0.9 net");
    let one = idle(&engine, "--name one --network net");
    assert_eq!(one.place().default_routes()[0].0, ip("10.67.0.9"));
    assert_eq!(
        super::support::endpoint(&engine, "one", "net")["Gateway"],
        "10.67.0.9"
    );
}

#[test]
fn options_that_are_not_built_are_refused_by_name() {
    if Engine::is_peer() {
        return testkit::skip("the peer does not know them");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    super::support::unchanged(&lan.host, "a refused option", || {
        for (option, word) in [
            ("com.docker.network.bridge.gateway_mode_ipv4=odd", "odd"),
            ("com.docker.network.bridge.gateway_mode_ipv6=odd", "odd"),
            ("com.docker.network.bridge.enable_icc=maybe", "maybe"),
            ("com.docker.network.bridge.enable_ip_masquerade=7", "7"),
            ("com.docker.network.bridge.host_binding_ipv4=here", "here"),
            ("com.docker.network.container_iface_prefix=a/b", "a/b"),
        ] {
            let error = engine.fails(1, &format!("network create -o {option} bad"));
            let (name, _) = option.split_once('=').expect("an option");
            assert!(
                error.contains(word) && error.contains(name),
                "{option}: {error}"
            );
        }
    });
    assert_eq!(engine.ok("network ls -q --filter type=custom"), "");
}

#[test]
fn labels_are_kept_and_found() {
    let lan = testkit::lan();
    let mut engine = lan.engine();
    engine.ok("network create --label tier=front --label bare one");
    engine.ok("network create --label tier=back two");
    let names = |engine: &Engine, filter: &str| {
        engine.ok(&format!(
            "network ls {filter} --format '{{{{.Name}}}} {{{{.Label \"tier\"}}}}'"
        ))
    };
    assert_eq!(names(&engine, "--filter label=tier"), "one front\ntwo back");
    assert_eq!(names(&engine, "--filter label=tier=back"), "two back");
    assert_eq!(names(&engine, "--filter label=bare"), "one front");
    engine.stop_daemon();
    engine.start_daemon();
    assert_eq!(names(&engine, "--filter label=tier"), "one front\ntwo back");
    let told = super::support::network(&engine, "one");
    assert_eq!(
        told["Labels"],
        serde_json::json!({"tier": "front", "bare": ""})
    );
}

#[test]
fn a_routed_family_is_reached_by_the_containers_own_addresses() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than the option");
    }
    let lan = testkit::lan();
    let mut engine = lan.engine();
    engine.ok(
        "network create --subnet 10.69.0.0/24 --subnet 2001:db8:69::/64 \
         -o com.docker.network.bridge.gateway_mode_ipv6=routed net",
    );
    let one = web(&engine, "one", "--network net -p 8080:80");
    let hidden = one.place.serve("hidden", 81);
    let six = one.place.v6("eth0");
    for from in [&lan.client, &lan.world] {
        from.sh(&format!(
            "ip -6 route add 2001:db8:69::/64 via {}; ip route add 10.69.0.0/24 via {}",
            lan.host.ip6, lan.host.ip
        ));
    }
    let seen = lan.client.who_tcp(at(six, 80)).expect("by its own address");
    assert_eq!((seen.server.as_str(), seen.client), ("one", lan.client.ip6));
    assert!(
        lan.client.who_udp(at(six, 80)).is_none(),
        "TCP was published alone"
    );
    assert!(
        !lan.client.reaches_somehow(at(six, 81)),
        "and no other port"
    );
    lan.client.sh(&format!("busybox ping -6 -c 1 -W 2 {six}"));
    // The other family is as ever: by the host's port, under the host's address.
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    assert!(!lan.client.reaches_somehow(at(one.ip(), 80)));
    assert!(!lan.client.reaches_somehow(at(lan.host.ip6, 8080)));
    assert_eq!(engine.ok("port one"), "80/tcp -> 0.0.0.0:8080");
    let _far = lan.world.serve("far", 7000);
    let client = |to| one.place.who_tcp(at(to, 7000)).expect("far away").client;
    assert_eq!(client(testkit::lan::FAR6), six);
    assert_eq!(client(FAR), lan.host.ip);
    engine.crash_and_restart();
    assert!(
        lan.client.who_tcp(at(six, 80)).is_some(),
        "after a crash as before"
    );
    engine.ok("rm -f one");
    let later = idle(&engine, "--network net");
    assert_eq!(later.place().v6("eth0"), six);
    let _server = later.place().serve("later", 80);
    assert!(
        !lan.client.reaches_somehow(at(six, 80)),
        "who has published nothing"
    );
    drop(hidden);
    drop(later);
}

#[test]
fn an_isolated_network_has_no_host_in_it() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than the option");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    let modes = "-o com.docker.network.bridge.gateway_mode_ipv4=isolated -o com.docker.network.bridge.gateway_mode_ipv6=isolated";
    let error = engine.fails(1, &format!("network create {modes} open"));
    assert!(
        error.contains("can only be used for an internal network"),
        "{error}"
    );
    engine.ok(&format!("network create --internal {modes} alone"));
    let one = web(&engine, "one", "--network alone");
    let two = web(&engine, "two", "--network alone");
    assert!(one.place.reaches(at(two.ip(), 80)));
    assert_eq!(one.place.a("two"), [two.ip()]);
    let end = other_end(&lan.host, &one.place, "eth0");
    let bridge = end["master"].as_str().expect("a bridge");
    let addresses = lan.host.sh(&format!("ip -o addr show dev {bridge}"));
    assert_eq!(addresses, "", "not even a link-local address");
    assert!(!lan.host.reaches_somehow(at(one.ip(), 80)));
}

#[test]
fn an_unprotected_family_is_reached_on_every_port_and_translated_as_ever() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than the option");
    }
    let lan = testkit::lan();
    let mut engine = lan.engine();
    let guarded = web(&engine, "guarded", "--network bridge");
    let (guarded, _server) = guarded.apart();
    engine.ok(
        "network create --subnet 10.70.0.0/24 --subnet 2001:db8:70::/64 \
         -o com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected net",
    );
    let told = super::support::network(&engine, "net");
    assert_eq!(
        told["Options"]["com.docker.network.bridge.gateway_mode_ipv4"],
        "nat-unprotected"
    );
    let one = web(&engine, "one", "--network net -p 8080:80");
    let _other = one.place.serve("other", 81);
    let (four, six) = (one.ip(), one.place.v6("eth0"));
    for from in [&lan.client, &lan.world] {
        from.sh(&format!(
            "ip route add 10.70.0.0/24 via {}; ip -6 route add 2001:db8:70::/64 via {}",
            lan.host.ip, lan.host.ip6
        ));
    }
    let is_open = |lan: &testkit::Lan| {
        for port in [80, 81] {
            let seen = lan
                .client
                .who_tcp(at(four, port))
                .expect("published or not");
            assert_eq!(seen.client, lan.client.ip, "{port}");
            assert!(lan.client.who_udp(at(four, port)).is_some(), "{port}");
        }
    };
    is_open(&lan);
    lan.client.sh(&format!("busybox ping -c 1 -W 2 {four}"));
    // Out and by the host's port as with nat.
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    assert_eq!(
        engine.ok("port one 80").lines().next(),
        Some("0.0.0.0:8080")
    );
    let _far = lan.world.serve("far", 7000);
    let seen = one.place.who_tcp(at(FAR, 7000)).expect("far away");
    assert_eq!(seen.client, lan.host.ip);
    // The other family, other networks of the host's and the way between them are as ever.
    assert!(!lan.client.reaches_somehow(at(six, 80)));
    assert!(!guarded.reaches_somehow(at(four, 80)));
    lan.client
        .sh(&format!("ip route add 172.16.0.0/12 via {}", lan.host.ip));
    assert!(!lan.client.reaches_somehow(at(guarded.v4("eth0"), 80)));
    engine.crash_and_restart();
    is_open(&lan);
    // Another's wall stays a wall.
    lan.host.nft(&format!(
        "table inet wall {{ chain forward {{ type filter hook forward priority 10; ip daddr {four} tcp dport 81 drop; }}; }}"
    ));
    assert!(lan.client.who_tcp(at(four, 81)).is_none());
    engine.ok("rm -f one");
    engine.ok("network rm net");
    // With the last of its kind the rule that lets them in does nothing for others.
    let later = web(&engine, "later", "--network bridge");
    assert!(!lan.client.reaches_somehow(at(later.ip(), 80)));
}
