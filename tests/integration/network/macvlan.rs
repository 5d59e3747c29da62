//! macvlan: containers on the host's own link, each as a machine of its own.

use testkit::Engine;

use super::support::{at, idle, ip, network, web};

#[test]
fn containers_are_neighbours_of_the_host_on_its_link() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create -d macvlan --subnet 198.51.100.0/24 --gateway 198.51.100.1 --ip-range 198.51.100.128/26 -o parent=eth0 wire");
    let told = network(&engine, "wire");
    assert_eq!(told["Driver"], "macvlan");
    assert_eq!(told["Options"]["parent"], "eth0");
    let one = web(&engine, "one", "--network wire --ip 198.51.100.130");
    let two = web(&engine, "two", "--network wire");
    assert_eq!(one.ip(), ip("198.51.100.130"));
    assert_eq!(one.place.link("eth0")["linkinfo"]["info_kind"], "macvlan");
    assert_eq!(
        one.place.link("eth0")["linkinfo"]["info_data"]["mode"],
        "bridge"
    );
    assert_eq!(one.place.default_routes()[0].0, ip("198.51.100.1"));
    let seen = lan
        .client
        .who_tcp(at(one.ip(), 80))
        .expect("from outside, with no port published");
    assert_eq!((seen.server.as_str(), seen.client), ("one", lan.client.ip));
    let seen = two
        .place
        .who_tcp(at(one.ip(), 80))
        .expect("from its neighbour");
    assert_eq!(seen.client, two.ip());
    let _far = lan.world.serve("far", 7000);
    let seen = one
        .place
        .who_tcp(at(testkit::lan::FAR, 7000))
        .expect("far away");
    assert_eq!(seen.client, one.ip(), "by its own address");
    assert_eq!(two.place.a("one"), [one.ip()], "names as on any network");
    engine.ok("network disconnect wire two");
    assert_eq!(two.place.links(), ["lo"]);
}

#[test]
fn a_parent_that_is_not_there_is_refused() {
    let lan = testkit::lan();
    let engine = lan.engine();
    if Engine::is_peer() {
        return testkit::skip("the peer wants to make a vlan of it");
    }
    super::support::unchanged(&lan.host, "a missing parent", || {
        let error =
            engine.refuses("network create -d macvlan --subnet 10.91.0.0/24 -o parent=eth9 wire");
        assert!(error.contains("eth9"), "{error}");
        let error = engine.refuses("network create -d macvlan --subnet 10.91.0.0/24 -o parent=eth0 -o macvlan_mode=odd wire");
        assert!(error.contains("odd"), "{error}");
    });
    assert_eq!(engine.ok("network ls --filter type=custom -q"), "");
}

/// Whether the host's kernel makes such a link; `words` are what `ip link add` is told.
fn has(lan: &testkit::Lan, words: &str) -> bool {
    let on = if words == "dummy" { "" } else { "link eth0" };
    let script = format!("ip link add {on} name probe type {words} && ip link del probe");
    lan.host.try_sh(&script).code == 0
}

const IPVLAN: &str = "network create -d ipvlan --subnet 198.51.100.0/24 --gateway 198.51.100.1 --ip-range 198.51.100.128/26 -o parent=eth0";

#[test]
fn ipvlan_works_or_says_that_the_kernel_lacks_it() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let made = engine.cli(&format!("{IPVLAN} wire")).run();
    if !has(&lan, "ipvlan") {
        // dockerd makes the network and fails at the first container.
        let error = match made.code {
            0 => engine.fails(125, "run --rm --network wire busybox true"),
            _ => made.error(),
        };
        assert!(error.contains("ipvlan"), "{error}");
        assert!(Engine::is_peer() || engine.ok("network ls -q --filter type=custom").is_empty());
        return;
    }
    made.success();
    let one = web(&engine, "one", "--network wire --ip 198.51.100.140");
    let two = web(&engine, "two", "--network wire");
    let link = one.place.link("eth0");
    assert_eq!(link["linkinfo"]["info_kind"], "ipvlan");
    assert_eq!(
        link["address"],
        lan.host.link("eth0")["address"],
        "the parent's"
    );
    assert_eq!(
        super::support::endpoint(&engine, "one", "wire")["MacAddress"],
        ""
    );
    let seen = lan.client.who_tcp(at(one.ip(), 80)).expect("from outside");
    assert_eq!((seen.server.as_str(), seen.client), ("one", lan.client.ip));
    assert!(two.place.reaches(at(one.ip(), 80)));
    assert_eq!(two.place.a("one"), [one.ip()]);
    let _far = lan.world.serve("far", 7000);
    let seen = one
        .place
        .who_tcp(at(testkit::lan::FAR, 7000))
        .expect("far away");
    assert_eq!(seen.client, one.ip());
    let error = engine.fails(
        125,
        "run --rm --network wire --mac-address 02:11:22:33:44:55 busybox true",
    );
    assert!(error.contains("custom mac address"), "{error}");
    engine.ok("rm -f one two");
    engine.ok("network rm wire");
    // Routed by the host, without neighbours.
    engine.ok(
        "network create -d ipvlan --subnet 10.71.0.0/24 -o parent=eth0 -o ipvlan_mode=l3 layer3",
    );
    let three = web(&engine, "three", "--network layer3");
    let mode = three.place.link("eth0")["linkinfo"]["info_data"]["mode"].clone();
    assert_eq!(mode, "l3");
    lan.client
        .sh(&format!("ip route add 10.71.0.0/24 via {}", lan.host.ip));
    assert!(lan.client.who_tcp(at(three.ip(), 80)).is_some());
    engine.refuses("network create -d ipvlan -o parent=eth0 -o ipvlan_mode=l4 odd");
}

#[test]
fn a_vlan_that_is_not_there_is_made_and_goes_with_its_last_network() {
    let lan = testkit::lan();
    let mut engine = lan.engine();
    if Engine::is_peer() {
        return testkit::skip("the same in the peer, which keeps the link");
    }
    let create =
        "network create -d macvlan --subnet 10.72.0.0/24 --gateway 10.72.0.1 -o parent=eth0.72";
    let made = engine.cli(&format!("{create} wire")).run();
    if !has(&lan, "vlan id 73") {
        let error = made.error();
        assert!(made.code != 0 && error.contains("eth0.72"), "{error}");
        assert_eq!(lan.host.links(), ["eth0", "lo"]);
        return;
    }
    made.success();
    assert_eq!(lan.host.link("eth0.72")["linkinfo"]["info_kind"], "vlan");
    lan.client.sh(
        "ip link add link eth0 name eth0.72 type vlan id 72; ip addr add 10.72.0.77/24 dev eth0.72; ip link set eth0.72 up",
    );
    let one = web(&engine, "one", "--network wire --ip 10.72.0.5");
    let seen = lan
        .client
        .who_tcp(at(one.ip(), 80))
        .expect("on the same VLAN");
    assert_eq!(seen.client, ip("10.72.0.77"));
    engine.ok("rm -f one");
    // After the machine was off it is made again with the first container.
    lan.host.sh("ip link del eth0.72");
    drop(idle(&engine, "--name two --network wire"));
    engine.ok("rm -f two");
    engine.ok("network rm wire");
    assert_eq!(lan.host.links(), ["eth0", "lo"]);
    // What a crash leaves without its network goes with the next start.
    let id = engine.ok(&format!("{create} left"));
    engine.stop_daemon();
    assert_eq!(lan.host.links(), ["eth0", "eth0.72", "lo"]);
    let record = engine.data_root().join(format!("networks/{id}.json"));
    std::fs::remove_file(record).expect("it is there");
    engine.start_daemon();
    assert_eq!(lan.host.links(), ["eth0", "lo"]);
}

#[test]
fn several_subnets_have_a_router_each_and_serve_in_their_order() {
    let lan = testkit::lan();
    let mut engine = lan.engine();
    let error = engine.refuses("network create --subnet 10.93.0.0/24 --subnet 10.94.0.0/24 two");
    assert!(
        error.contains("bridge driver doesn't support multiple subnets"),
        "{error}"
    );
    let error = engine.refuses(
        "network create -d macvlan --subnet 10.93.0.0/16 --subnet 10.93.1.0/24 -o parent=eth0 two",
    );
    assert!(error.to_lowercase().contains("overlap"), "{error}");
    engine.ok(
        "network create -d macvlan --subnet 198.51.100.0/24 --gateway 198.51.100.1 --ip-range 198.51.100.128/31 \
         --subnet 10.93.0.0/24 --gateway 10.93.0.254 -o parent=eth0 wire",
    );
    let told = network(&engine, "wire")["IPAM"]["Config"].clone();
    assert_eq!(told[0]["Subnet"], "198.51.100.0/24");
    assert_eq!(
        (&told[1]["Subnet"], &told[1]["Gateway"]),
        (&"10.93.0.0/24".into(), &"10.93.0.254".into())
    );
    let one = web(&engine, "one", "--network wire");
    assert_eq!(one.ip(), ip("198.51.100.128"));
    assert_eq!(one.place.default_routes()[0].0, ip("198.51.100.1"));
    let two = web(&engine, "two", "--network wire --ip 10.93.0.7");
    assert_eq!(two.ip(), ip("10.93.0.7"));
    assert_eq!(two.place.default_routes()[0].0, ip("10.93.0.254"));
    assert_eq!(
        super::support::endpoint(&engine, "two", "wire")["Gateway"],
        "10.93.0.254"
    );
    lan.client.sh("ip addr add 10.93.0.254/24 dev eth0");
    let seen = lan.client.who_tcp(at(two.ip(), 80)).expect("its neighbour");
    assert_eq!(
        (seen.server.as_str(), seen.client),
        ("two", ip("10.93.0.254"))
    );
    assert!(lan.client.who_tcp(at(one.ip(), 80)).is_some());
    // The first range has two addresses; what comes then is of the second.
    let three = idle(&engine, "--network wire");
    assert_eq!(three.place().v4("eth0"), ip("198.51.100.129"));
    let four = idle(&engine, "--network wire");
    assert_eq!(four.place().v4("eth0"), ip("10.93.0.1"));
    assert_eq!(four.place().default_routes()[0].0, ip("10.93.0.254"));
    let error = engine.fails(125, "run --rm --network wire --ip 10.93.0.7 busybox true");
    assert!(error.contains("Address already in use"), "{error}");
    engine.refuses("run --rm --network wire --ip 10.94.0.7 busybox true");
    if Engine::is_peer() {
        return;
    }
    drop((one, two, three, four));
    engine.crash_and_restart();
    let five = idle(&engine, "--network wire");
    assert_eq!(
        five.place().v4("eth0"),
        ip("10.93.0.2"),
        "none is given twice"
    );
}

#[test]
fn an_internal_one_has_neighbours_and_no_way_out() {
    if Engine::is_peer() {
        return testkit::skip("the peer keeps an address for a router");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create -d macvlan --internal --subnet 10.96.0.0/24 -o parent=eth0 wire");
    let told = network(&engine, "wire");
    assert_eq!(told["Internal"], true);
    assert_eq!(
        told["IPAM"]["Config"],
        serde_json::json!([{"Subnet": "10.96.0.0/24"}])
    );
    let one = web(&engine, "one", "--network wire");
    assert_eq!(one.ip(), ip("10.96.0.1"), "no router has it");
    assert_eq!(one.place.default_routes(), []);
    let two = web(&engine, "two", "--network wire");
    assert!(two.place.reaches(at(one.ip(), 80)));
    assert_eq!(two.place.a("one"), [one.ip()]);
    lan.client.sh("ip addr add 10.96.0.99/24 dev eth0");
    assert!(lan.client.who_tcp(at(one.ip(), 80)).is_some());
    let _far = lan.world.serve("far", 7000);
    assert!(!one.place.reaches_somehow(at(testkit::lan::FAR, 7000)));
}

/// Without a parent, on a kernel with dummy links: containers reach each other and nobody else.
fn stands_on_a_dummy(lan: &testkit::Lan, engine: &mut Engine, driver: &str, prefix: &str) {
    let create = format!("network create -d {driver} --subnet 10.95.0.0/24");
    let id = engine.ok(&format!("{create} alone"));
    let dummy = format!("{prefix}-{}", &id[..12]);
    let link = lan.host.link(&dummy);
    assert_eq!(link["linkinfo"]["info_kind"], "dummy");
    assert!(link["flags"].to_string().contains("\"UP\""), "{link}");
    let addresses = lan.host.sh(&format!("ip -o addr show dev {dummy}"));
    assert_eq!(addresses, "", "the host is not in it");
    assert_eq!(
        network(engine, "alone")["IPAM"]["Config"],
        serde_json::json!([{"Subnet": "10.95.0.0/24"}])
    );
    let one = web(engine, "one", "--network alone");
    let two = web(engine, "two", "--network alone");
    assert_eq!(one.place.link("eth0")["linkinfo"]["info_kind"], driver);
    assert_eq!(one.ip(), ip("10.95.0.1"));
    assert_eq!(one.place.default_routes(), []);
    assert!(two.place.reaches(at(one.ip(), 80)));
    assert_eq!(two.place.a("one"), [one.ip()]);
    let _far = lan.world.serve("far", 7000);
    assert!(!one.place.reaches_somehow(at(testkit::lan::FAR, 7000)));
    assert!(!lan.host.reaches_somehow(at(one.ip(), 80)));
    lan.client.sh(&format!(
        "ip route replace 10.95.0.0/24 via {}",
        lan.host.ip
    ));
    assert!(!lan.client.reaches_somehow(at(one.ip(), 80)));
    // With another network beside it the way out is that one's.
    engine.ok("network connect bridge one");
    assert!(one.place.reaches(at(testkit::lan::FAR, 7000)));
    drop((one, two));
    engine.ok("rm -f one two");
    // After the machine was off it is made again with the first container.
    lan.host.sh(&format!("ip link del {dummy}"));
    drop(idle(engine, "--name three --network alone"));
    assert_eq!(lan.host.link(&dummy)["linkinfo"]["info_kind"], "dummy");
    engine.ok("rm -f three");
    engine.ok("network rm alone");
    assert!(!lan.host.links().contains(&dummy));
    // What a crash leaves without its network goes with the next start.
    let id = engine.ok(&format!("{create} left"));
    let left = format!("{prefix}-{}", &id[..12]);
    engine.stop_daemon();
    assert!(lan.host.links().contains(&left));
    let record = engine.data_root().join(format!("networks/{id}.json"));
    std::fs::remove_file(record).expect("it is there");
    engine.start_daemon();
    assert!(!lan.host.links().contains(&left));
}

#[test]
fn without_a_parent_it_stands_on_a_dummy_or_says_that_the_kernel_has_none() {
    if Engine::is_peer() {
        return testkit::skip("the peer keeps an address for a router");
    }
    let lan = testkit::lan();
    let mut engine = lan.engine();
    if !has(&lan, "dummy") {
        super::support::unchanged(&lan.host, "a network without a parent", || {
            for driver in ["macvlan", "ipvlan"] {
                let line = format!("network create -d {driver} --subnet 10.95.0.0/24 alone");
                let error = engine.refuses(&line);
                for word in ["dummy", "-o parent="] {
                    assert!(error.contains(word), "{error}");
                }
            }
        });
        assert_eq!(engine.ok("network ls -q --filter type=custom"), "");
        return testkit::skip(
            "this kernel has no dummy links: tests/vm/run network::macvlan has them",
        );
    }
    stands_on_a_dummy(&lan, &mut engine, "macvlan", "dm");
    if has(&lan, "ipvlan") {
        stands_on_a_dummy(&lan, &mut engine, "ipvlan", "di");
    } else {
        testkit::skip("this kernel has no ipvlan links");
    }
}
