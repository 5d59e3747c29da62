//! What the API tells of networks, in Docker's words and fields.

use serde_json::{Value, json};
use testkit::Engine;

use super::support::idle;

#[test]
fn who_shares_nobodys_network_is_told_so() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let error = engine.fails(125, "run --rm --network container:nobody busybox true");
    assert!(error.contains("No such container: nobody"), "{error}");
    assert_eq!(engine.ok("ps -aq"), "", "nothing is left of it");
    let id = engine.ok("create --network container:nobody busybox true");
    let (status, answer) = engine.api("POST", &format!("/containers/{id}/start"), None);
    assert_eq!(status, 404, "{answer}");
    assert_eq!(answer["message"], "No such container: nobody");
    // A network that has gone meanwhile.
    engine.ok("network create net");
    let id = engine.ok("create --network net busybox true");
    engine.ok("network rm net");
    let (status, answer) = engine.api("POST", &format!("/containers/{id}/start"), None);
    assert_eq!(status, 404, "{answer}");
    let text = answer["message"].as_str().unwrap_or_default();
    assert!(
        text.contains("network") && text.contains("not found"),
        "{text}"
    );
}

#[test]
fn each_mode_has_its_own_network_settings() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    drop(idle(
        &engine,
        "--name own --network net -p 8080:80 --expose 81",
    ));
    for (name, mode) in [
        ("host", "host"),
        ("none", "none"),
        ("guest", "container:own"),
    ] {
        drop(idle(&engine, &format!("--name {name} --network {mode}")));
    }
    let told = |name: &str| engine.inspect(name)["NetworkSettings"].clone();
    let own = told("own");
    let sandbox = own["SandboxID"].as_str().unwrap_or_default();
    assert_eq!(sandbox.len(), 64, "{own}");
    assert!(!own["SandboxKey"].as_str().unwrap_or_default().is_empty());
    assert_eq!(own["Ports"]["81/tcp"], Value::Null);
    assert_eq!(
        own["Ports"]["80/tcp"][0],
        json!({"HostIp": "0.0.0.0", "HostPort": "8080"})
    );
    assert_eq!(
        own["IPAddress"], "",
        "the old fields are the default bridge's"
    );
    let endpoint = &own["Networks"]["net"];
    for field in ["NetworkID", "EndpointID"] {
        assert_eq!(endpoint[field].as_str().map(str::len), Some(64), "{field}");
    }
    assert!(
        endpoint["MacAddress"]
            .as_str()
            .is_some_and(|mac| mac.len() == 17)
    );
    if !Engine::is_peer() {
        assert_eq!(endpoint["GwPriority"], json!(0));
        let names = endpoint["DNSNames"].as_array().expect("a list");
        assert!(names.contains(&json!("own")), "{names:?}");
    }
    for (name, network) in [("host", "host"), ("none", "none")] {
        let settings = told(name);
        assert_eq!(settings["Ports"], json!({}), "{name}");
        assert_eq!(settings["Networks"][network]["IPAddress"], "", "{name}");
        assert_eq!(
            settings["Networks"].as_object().map(serde_json::Map::len),
            Some(1)
        );
    }
    let guest = told("guest");
    assert_eq!(guest["Networks"], json!({}));
    assert_eq!(
        (&guest["SandboxID"], &guest["SandboxKey"]),
        (&json!(""), &json!(""))
    );
    // After its end it has nothing but what it asks for.
    engine.ok("stop -t 0 own");
    let own = told("own");
    assert_eq!(own["Ports"], json!({}));
    assert_eq!(own["Networks"]["net"]["IPAddress"], "");
}

#[test]
fn events_have_docker_s_attributes() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let id = engine.ok("network create net");
    let container = idle(&engine, "--name one --network net").id().to_owned();
    engine.ok("rm -f one");
    engine.ok("network prune -f");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let until = now.expect("after 1970").as_secs() + 1;
    let text = engine.ok(&format!(
        "events --since 10m --until {until} --filter type=network --format '{{{{json .}}}}'"
    ));
    let mut events: Vec<(String, String, Value)> = text
        .lines()
        .map(|line| {
            let event: Value = serde_json::from_str(line).expect("JSON");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let actor = &event["Actor"];
            (
                text(&event["Action"]),
                text(&actor["ID"]),
                actor["Attributes"].clone(),
            )
        })
        .collect();
    // dockerd tells the same leave twice.
    events.dedup();
    let of_net = json!({"name": "net", "type": "bridge"});
    let with = json!({"container": container, "name": "net", "type": "bridge"});
    let event = |action: &str, id: &str, attributes: &Value| {
        (action.to_owned(), id.to_owned(), attributes.clone())
    };
    assert_eq!(
        events,
        [
            event("create", &id, &of_net),
            event("connect", &id, &with),
            event("disconnect", &id, &with),
            event("destroy", &id, &of_net),
            event("prune", "", &json!({"reclaimed": "0"})),
        ]
    );
}

#[test]
fn filters_that_are_none_and_prune_s_own() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --label stays old");
    engine.ok("network create new");
    for filter in ["type=odd", "colour=red", "dangling=maybe"] {
        let error = engine.fails(1, &format!("network ls --filter {filter}"));
        let word = filter.split('=').next().expect("a word");
        assert!(
            error.to_lowercase().contains("invalid") && error.contains(word),
            "{error}"
        );
    }
    let names = |filter: &str| engine.ok(&format!("network ls {filter} --format '{{{{.Name}}}}'"));
    assert_eq!(names("--filter scope=local --filter driver=host"), "host");
    assert_eq!(names("--filter scope=swarm"), "");
    assert_eq!(
        names("--filter driver=bridge --filter driver=null"),
        "bridge\nnew\nnone\nold"
    );
    assert_eq!(names("--filter dangling=false"), "bridge\nhost\nnone");
    assert_eq!(
        engine.ok("network prune -f --filter until=1h"),
        "",
        "none is an hour old"
    );
    let text = engine.ok("network prune -f --filter label!=stays");
    assert_eq!(text.trim(), "Deleted Networks:\nnew");
    let error = engine.fails(1, "network prune -f --filter colour=red");
    assert!(error.contains("colour"), "{error}");
    let error = engine.fails(1, "network inspect old nope -f '{{.Name}}'");
    assert!(error.contains("network nope not found"), "{error}");
    let text = engine.ok("network inspect -v -f '{{.Name}} {{.Scope}} {{len .Containers}}' old");
    assert_eq!(text, "old local 0");
    let row = engine.ok("network ls --no-trunc --filter name=old --format json");
    let row: Value = serde_json::from_str(&row).expect("JSON");
    assert_eq!(
        (&row["Name"], &row["Labels"]),
        (&json!("old"), &json!("stays="))
    );
    assert_eq!(row["ID"].as_str().map(str::len), Some(64));
}

#[test]
fn a_link_can_be_taken_away() {
    let lan = testkit::lan();
    let engine = lan.engine();
    drop(idle(&engine, "--name db"));
    let one = idle(&engine, "--name one --link db:store");
    assert_eq!(
        engine.inspect("one")["HostConfig"]["Links"][0],
        "/db:/one/store"
    );
    engine.ok("rm --link one/store");
    let links = engine.inspect("one")["HostConfig"]["Links"].clone();
    assert!(links.is_null() || links == json!([]), "{links}");
    assert_eq!(one.state(), "running", "the container stays");
    let error = engine.fails(1, "rm --link one/nothing");
    assert!(!error.is_empty());
}
