//! `network create`, `ls`, `inspect`, `rm` and `prune`.

use testkit::Engine;

use super::support::{idle, network, other_end, subnets};

#[test]
fn a_fresh_engine_has_the_three_of_old() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let rows = engine.ok("network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'");
    assert_eq!(
        rows,
        "bridge bridge local\nhost host local\nnone null local"
    );
    let table = engine.ok("network ls");
    let head: Vec<&str> = table
        .lines()
        .next()
        .unwrap_or_default()
        .split("  ")
        .collect();
    let head: Vec<&str> = head
        .iter()
        .map(|w| w.trim())
        .filter(|w| !w.is_empty())
        .collect();
    assert_eq!(head, ["NETWORK ID", "NAME", "DRIVER", "SCOPE"]);
    for name in ["bridge", "host", "none"] {
        let error = engine.fails(1, &format!("network rm {name}"));
        let text = format!("{name} is a pre-defined network and cannot be removed");
        assert!(error.contains(&text), "{error}");
    }
}

#[test]
fn create_prints_the_id_and_inspect_tells_all_of_it() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let id = engine.ok("network create --label a=b --label c --subnet 10.77.0.0/24 --gateway 10.77.0.9 --ip-range 10.77.0.128/25 --aux-address host=10.77.0.200 -o com.docker.network.bridge.name=br-told --attachable --internal told");
    assert!(
        id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    let told = network(&engine, "told");
    assert_eq!(told["Id"], id.as_str());
    assert_eq!(told["Name"], "told");
    assert_eq!(told["Driver"], "bridge");
    assert_eq!(told["Scope"], "local");
    assert_eq!(told["Internal"], true);
    assert_eq!(told["Attachable"], true);
    assert_eq!(told["Ingress"], false);
    assert_eq!(told["ConfigOnly"], false);
    assert_eq!(told["Containers"], serde_json::json!({}));
    assert_eq!(told["Labels"], serde_json::json!({"a": "b", "c": ""}));
    assert_eq!(told["Options"]["com.docker.network.bridge.name"], "br-told");
    assert_eq!(told["IPAM"]["Driver"], "default");
    let configs = told["IPAM"]["Config"].as_array().expect("a list");
    let config = configs
        .iter()
        .find(|c| c["Subnet"] == "10.77.0.0/24")
        .expect("the one asked for");
    assert_eq!(config["IPRange"], "10.77.0.128/25");
    assert_eq!(config["Gateway"], "10.77.0.9");
    assert_eq!(config["AuxiliaryAddresses"]["host"], "10.77.0.200");
    // By the beginning of its id, and by a template.
    assert_eq!(network(&engine, &id[..10])["Name"], "told");
    assert_eq!(
        engine.ok("network inspect -f '{{.Name}}/{{.Driver}}' told"),
        "told/bridge"
    );
    assert_eq!(engine.ok("network rm told"), "told");
    engine.fails(1, "network inspect told");
}

#[test]
fn the_bridge_is_named_by_the_networks_id_or_by_its_option() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let id = engine.ok("network create plain");
    let one = idle(&engine, "--network plain");
    assert_eq!(
        other_end(&lan.host, &one.place(), "eth0")["master"],
        format!("br-{}", &id[..12])
    );
    engine.ok("network create -o com.docker.network.bridge.name=mine named");
    let two = idle(&engine, "--network named");
    assert_eq!(other_end(&lan.host, &two.place(), "eth0")["master"], "mine");
    engine.remove_all_containers();
    engine.ok("network rm plain named");
    testkit::eventually("both bridges are gone", || {
        let links = lan.host.links();
        !links
            .iter()
            .any(|link| link == "mine" || link.starts_with("br-"))
    });
}

#[test]
fn ls_filters_and_formats() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let id = engine.ok("network create --label kind=test alpha");
    engine.ok("network create beta");
    let names = |filter: &str| engine.ok(&format!("network ls {filter} --format '{{{{.Name}}}}'"));
    assert_eq!(names("--filter name=alp"), "alpha");
    assert_eq!(names(&format!("--filter id={}", &id[..8])), "alpha");
    assert_eq!(names("--filter label=kind=test"), "alpha");
    assert_eq!(names("--filter label=kind=other"), "");
    assert_eq!(names("--filter type=custom"), "alpha\nbeta");
    assert_eq!(names("--filter type=builtin"), "bridge\nhost\nnone");
    assert_eq!(names("--filter driver=null"), "none");
    assert_eq!(
        names("--filter dangling=true --filter type=custom"),
        "alpha\nbeta"
    );
    drop(idle(&engine, "--network alpha"));
    if Engine::is_peer() {
        return testkit::skip("the peer takes running containers for none here");
    }
    assert_eq!(names("--filter dangling=true --filter type=custom"), "beta");
    assert_eq!(
        engine.ok("network ls -q --no-trunc --filter name=alpha"),
        id
    );
    assert_eq!(engine.ok("network ls -q --filter name=alpha"), id[..12]);
    let error = engine.refuses("network ls --filter colour=red");
    assert!(error.contains("colour"), "{error}");
}

#[test]
fn prune_takes_what_nobody_uses() {
    let lan = testkit::lan();
    let engine = lan.engine();
    for line in ["used", "unused", "--label keep=yes kept"] {
        engine.ok(&format!("network create {line}"));
    }
    drop(idle(&engine, "--name user --network used"));
    let text = engine.ok("network prune -f --filter label!=keep");
    assert_eq!(text.trim(), "Deleted Networks:\nunused");
    let text = engine.ok("network prune -f");
    assert_eq!(text.trim(), "Deleted Networks:\nkept");
    assert_eq!(engine.ok("network prune -f"), "");
    assert_eq!(
        engine.ok("network ls --filter type=custom --format '{{.Name}}'"),
        "used"
    );
}

#[test]
fn a_network_in_use_stays_and_is_told_by_whom() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create busy");
    drop(idle(&engine, "--name user --network busy"));
    let error = engine.fails(1, "network rm busy");
    assert!(
        error.contains("network busy") && error.contains("has active endpoints"),
        "{error}"
    );
    if !Engine::is_peer() {
        assert!(error.contains("user"), "by whom: {error}");
    }
    engine.ok("rm -f user");
    engine.ok("network rm busy");
}

#[test]
fn networks_and_their_subnets_outlive_the_daemon_and_the_containers_network_too() {
    let lan = testkit::lan();
    let mut engine = lan.engine();
    let id = engine.ok("network create --label x=y stays");
    let before = (network(&engine, "stays"), subnets(&engine, "stays"));
    drop(idle(&engine, "--name later --network stays"));
    engine.ok("kill later");
    engine.stop_daemon();
    engine.start_daemon();
    let after = network(&engine, "stays");
    assert_eq!(after["Id"], id.as_str());
    assert_eq!(after["Labels"], before.0["Labels"]);
    assert_eq!(after["Created"], before.0["Created"]);
    assert_eq!(subnets(&engine, "stays"), before.1);
    engine.ok("start later");
    let place = testkit::Container::new(&engine, "later".to_owned()).place();
    assert!(super::support::lies_in(place.v4("eth0"), &before.1[0]));
}

#[test]
fn events_tell_of_networks() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create told");
    drop(idle(&engine, "--name one"));
    engine.ok("network connect told one");
    engine.ok("network disconnect told one");
    engine.ok("network rm told");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let until = now.expect("after 1970").as_secs() + 1;
    let text = engine.ok(&format!(
        "events --since 10m --until {until} --filter type=network --filter network=told --format '{{{{.Action}}}}'"
    ));
    // dockerd tells the same leave twice.
    let mut actions: Vec<&str> = text.lines().collect();
    actions.dedup();
    assert_eq!(actions, ["create", "connect", "disconnect", "destroy"]);
}

#[test]
fn ps_tells_networks_and_finds_by_them() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create aa");
    engine.ok("network create bb");
    drop(idle(&engine, "--name one --network aa"));
    drop(idle(&engine, "--name two --network bb"));
    engine.ok("network connect aa two");
    let names = |filter: &str| {
        let text = engine.ok(&format!("ps {filter} --format '{{{{.Names}}}}'"));
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names("--filter network=aa"), ["one", "two"]);
    assert_eq!(names("--filter network=bb"), ["two"]);
    let column = engine.ok("ps --filter name=two --format '{{.Networks}}'");
    let mut networks: Vec<&str> = column.split(',').collect();
    networks.sort_unstable();
    assert_eq!(networks, ["aa", "bb"]);
}

#[test]
fn system_prune_takes_unused_networks_too() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create unused");
    engine.ok("network create used");
    drop(idle(&engine, "--name user --network used"));
    let text = engine.ok("system prune -f");
    assert!(text.contains("Deleted Networks:\nunused"), "{text}");
    assert_eq!(
        engine.ok("network ls --filter type=custom --format '{{.Name}}'"),
        "used"
    );
}

#[test]
fn a_configuration_for_others_has_nothing_itself() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --config-only --subnet 10.79.0.0/24 --label a=b -o com.docker.network.driver.mtu=1400 pattern");
    super::support::unchanged(&lan.host, "a configuration", || {
        let error = engine.fails(125, "run --rm --network pattern busybox true");
        assert!(error.contains("config"), "{error}");
        engine.remove_all_containers();
    });
    let pattern = network(&engine, "pattern");
    assert_eq!(
        (&pattern["Driver"], &pattern["ConfigOnly"]),
        (&"null".into(), &true.into())
    );
    assert_eq!(
        pattern["IPAM"]["Config"],
        serde_json::json!([{"Subnet": "10.79.0.0/24"}]),
        "as it was written: a gateway is chosen by those who take it"
    );
    engine.ok("network create --config-from pattern real");
    let real = network(&engine, "real");
    assert_eq!(real["ConfigFrom"]["Network"], "pattern");
    assert_eq!(subnets(&engine, "real")[0], "10.79.0.0/24");
    assert_eq!(real["Labels"]["a"], "b");
    let one = idle(&engine, "--network real");
    assert_eq!(one.place().link("eth0")["mtu"], 1400);
    assert_eq!(
        one.place().default_routes()[0].0,
        super::support::ip("10.79.0.1")
    );
    let error = engine.fails(1, "network rm pattern");
    assert!(
        error.contains("configuration network \"pattern\" is in use"),
        "{error}"
    );
    engine.remove_all_containers();
    engine.ok("network rm real");
    assert_eq!(engine.ok("network prune -f"), "", "it is no leftover");
    engine.ok("network rm pattern");
}

#[test]
fn a_configuration_is_taken_whole_and_nothing_beside_it() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok(
        "network create --config-only --subnet 198.51.100.0/24 --gateway 198.51.100.1 --ip-range 198.51.100.128/26 \
         --aux-address router=198.51.100.130 --subnet 10.80.0.0/24 -o parent=eth0 pattern",
    );
    let config = network(&engine, "pattern")["IPAM"]["Config"].clone();
    assert_eq!(
        config,
        serde_json::json!([
            {"Subnet": "198.51.100.0/24", "IPRange": "198.51.100.128/26", "Gateway": "198.51.100.1",
             "AuxiliaryAddresses": {"router": "198.51.100.130"}},
            {"Subnet": "10.80.0.0/24"},
        ])
    );
    for (options, text) in [
        (
            "--config-from nobody",
            "configuration network \"nobody\" does not exist",
        ),
        (
            "--config-from bridge",
            "configuration network \"bridge\" does not exist",
        ),
        (
            "--config-from pattern --subnet 10.78.0.0/24",
            "user specified configurations are not supported",
        ),
        (
            "--config-from pattern --label x=y",
            "user specified configurations are not supported",
        ),
        (
            "--config-from pattern -o parent=eth0",
            "network driver options are not supported",
        ),
        (
            "--config-from pattern --config-only",
            "a configuration network cannot depend on another configuration network",
        ),
        (
            "--config-only --internal",
            "configuration network can only contain network specific fields",
        ),
        (
            "--config-from pattern",
            "bridge driver doesn't support multiple subnets",
        ),
    ] {
        let error = engine.fails(1, &format!("network create {options} other"));
        assert!(error.contains(text), "{options}: {error}");
    }
    // What is the network's own is said by the one who makes it.
    engine.ok("network create -d macvlan --config-from pattern --internal wire");
    let wire = network(&engine, "wire");
    assert_eq!(wire["Options"]["parent"], "eth0");
    assert_eq!(wire["Internal"], true);
    assert_eq!(wire["IPAM"]["Config"], config);
    let one = idle(&engine, "--network wire");
    assert_eq!(one.place().v4("eth0"), super::support::ip("198.51.100.128"));
    assert_eq!(one.place().default_routes(), []);
}
