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

#[test]
fn ipvlan_works_or_says_that_the_kernel_lacks_it() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let has = lan
        .host
        .try_sh("ip link add link eth0 name probe type ipvlan && ip link del probe")
        .code
        == 0;
    let made = engine.cli("network create -d ipvlan --subnet 198.51.100.0/24 --gateway 198.51.100.1 -o parent=eth0 wire").run();
    if has {
        made.success();
        let one = idle(&engine, "--network wire --ip 198.51.100.140");
        assert_eq!(one.place().link("eth0")["linkinfo"]["info_kind"], "ipvlan");
    } else {
        // dockerd makes the network and fails at the first container.
        let error = match made.code {
            0 => engine.fails(125, "run --rm --network wire busybox true"),
            _ => made.error(),
        };
        assert!(error.contains("ipvlan"), "{error}");
    }
}
