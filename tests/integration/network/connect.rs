//! Several networks for one container, joined and left while it runs or rests.

use testkit::{Container, Engine};

use super::support::{at, endpoint, idle, network, web};

#[test]
fn a_running_container_joins_and_leaves() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create first");
    engine.ok("network create second");
    let near = web(&engine, "near", "--network first");
    let far = web(&engine, "far", "--network second");
    assert!(!near.place.reaches_somehow(at(far.ip(), 80)));
    engine.ok("network connect --alias other-name second near");
    let joined = near.place.v4("eth1");
    assert_eq!(
        endpoint(&engine, "near", "second")["IPAddress"],
        joined.to_string()
    );
    assert!(near.place.reaches(at(far.ip(), 80)));
    assert_eq!(far.place.a("near"), [joined]);
    assert_eq!(far.place.a("other-name"), [joined]);
    assert_eq!(
        near.place.a("far"),
        [far.ip()],
        "names of the joined network too"
    );
    let members = network(&engine, "second")["Containers"]
        .as_object()
        .map(|m| m.len());
    assert_eq!(members, Some(2));

    engine.ok("network disconnect second near");
    assert_eq!(near.place.links(), ["eth0", "lo"]);
    assert!(!near.place.reaches_somehow(at(far.ip(), 80)));
    assert!(far.place.lookup("near", 1).addresses().is_empty());
    assert_eq!(endpoint(&engine, "near", "second"), serde_json::Value::Null);
    // The address is free: the next one gets it.
    let next = web(&engine, "next", "--network second");
    assert_eq!(next.ip(), joined);
}

#[test]
fn leaving_the_network_with_the_default_route_hands_it_over() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create aa");
    engine.ok("network create bb");
    let one = web(&engine, "one", "--network aa");
    engine.ok("network connect bb one");
    assert_eq!(
        one.place.default_routes()[0].1,
        "eth0",
        "{:?}",
        one.place.default_routes()
    );
    engine.ok("network disconnect aa one");
    assert_eq!(one.place.default_routes()[0].1, "eth1");
    let _far = lan.world.serve("far", 7000);
    assert!(one.place.reaches(at(testkit::lan::FAR, 7000)));
    engine.ok("network disconnect bb one");
    assert_eq!(one.place.links(), ["lo"]);
    assert!(one.place.default_routes().is_empty());
    engine.ok("network connect aa one");
    assert!(one.place.reaches(at(testkit::lan::FAR, 7000)));
}

#[test]
fn a_container_starts_on_all_networks_it_was_given_to() {
    let lan = testkit::lan();
    let engine = lan.engine();
    for name in ["aa", "bb", "cc"] {
        engine.ok(&format!("network create {name}"));
    }
    engine.ok("create --name one --network bb busybox sleep 3600");
    engine.ok("network connect aa one");
    engine.ok("network connect cc one");
    engine.ok("network disconnect cc one");
    engine.ok("start one");
    let one = Container::new(&engine, "one".to_owned());
    let place = one.place();
    assert_eq!(place.links(), ["eth0", "eth1", "lo"]);
    for name in ["aa", "bb"] {
        let address = endpoint(&engine, "one", name)["IPAddress"].clone();
        let links = ["eth0", "eth1"];
        assert!(
            links
                .iter()
                .any(|link| address == place.v4(link).to_string()),
            "{name} has {address}"
        );
    }
    engine.ok("restart -t 0 one");
    assert_eq!(one.place().links(), ["eth0", "eth1", "lo"]);
}

#[test]
fn several_networks_may_be_named_at_once() {
    if Engine::is_peer() {
        return testkit::skip("the peer is older than this");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.89.1.0/24 aa");
    engine.ok("network create --subnet 10.89.2.0/24 bb");
    let one = web(
        &engine,
        "one",
        "--network name=aa,ip=10.89.1.9,alias=x --network name=bb,ip=10.89.2.9,gw-priority=1",
    );
    let on = |text: &str| super::support::ip(text);
    assert_eq!(one.place.v4("eth0"), on("10.89.1.9"));
    assert_eq!(one.place.v4("eth1"), on("10.89.2.9"));
    assert_eq!(
        one.place.default_routes()[0].0,
        on("10.89.2.1"),
        "the higher priority"
    );
    let two = web(&engine, "two", "--network aa");
    assert_eq!(two.place.a("x"), [on("10.89.1.9")]);
}

#[test]
fn who_joins_may_bring_an_address() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.89.3.0/24 aa");
    let one = web(&engine, "one", "");
    engine.ok("network connect --ip 10.89.3.33 aa one");
    assert_eq!(one.place.v4("eth1"), super::support::ip("10.89.3.33"));
    drop(idle(&engine, "--name two"));
    let error = engine.fails(1, "network connect --ip 10.89.3.33 aa two");
    assert!(error.contains("Address already in use"), "{error}");
    if !Engine::is_peer() {
        assert_eq!(endpoint(&engine, "two", "aa"), serde_json::Value::Null);
        engine.ok("network connect --ip 10.89.3.34 aa two");
    }
    engine.ok("restart -t 0 one");
    let place = Container::new(&engine, "one".to_owned()).place();
    let addresses = ["eth0", "eth1"].map(|link| place.v4(link));
    assert!(
        addresses.contains(&super::support::ip("10.89.3.33")),
        "{addresses:?}"
    );
}

#[test]
fn what_cannot_be_joined_or_left_is_said() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create aa");
    drop(idle(&engine, "--name one --network aa"));
    drop(idle(&engine, "--name hosted --network host"));
    for (line, text) in [
        (
            "network connect aa one",
            "endpoint with name one already exists in network aa",
        ),
        ("network connect nope one", "network nope not found"),
        ("network connect aa nobody", "No such container: nobody"),
        ("network disconnect bridge one", "is not connected to"),
        ("network disconnect nope one", "network nope not found"),
        ("network connect aa hosted", "host"),
        ("network connect host one", "host"),
    ] {
        let error = engine.fails(1, line);
        assert!(error.contains(text), "{line}: {error}");
    }
    // With force also a container that is long gone may be named.
    engine.ok("network disconnect -f aa one");
    assert_eq!(network(&engine, "aa")["Containers"], serde_json::json!({}));
}
