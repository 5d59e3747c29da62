//! `--link`: the way of old on the default bridge, and a name of one's own on the others.

use super::support::{at, idle, web};

#[test]
fn on_the_default_bridge_a_link_is_a_line_in_hosts_and_variables() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let database = web(&engine, "db", "--expose 80 -e SECRET=word");
    let client = idle(&engine, "--name client --link db:database");
    let address = database.ip().to_string();
    let hosts = client.read("/etc/hosts");
    let line = hosts
        .lines()
        .find(|line| line.starts_with(&format!("{address}\t")));
    let line = line.unwrap_or_else(|| panic!("no line for {address} in\n{hosts}"));
    for name in ["database", "db"] {
        assert!(
            line.split_whitespace().any(|word| word == name),
            "{name} in {line}"
        );
    }
    let variables = client.exec("env");
    for variable in [
        format!("DATABASE_PORT_80_TCP_ADDR={address}"),
        "DATABASE_NAME=/client/database".to_owned(),
        "DATABASE_ENV_SECRET=word".to_owned(),
    ] {
        assert!(
            variables.lines().any(|line| line == variable),
            "{variable} in\n{variables}"
        );
    }
    assert!(client.place().reaches(at(database.ip(), 80)));
    assert_eq!(
        client.inspect()["HostConfig"]["Links"][0],
        "/db:/client/database"
    );
}

#[test]
fn on_other_networks_only_the_one_who_links_knows_the_name() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let database = web(&engine, "db", "--network net");
    let client = idle(&engine, "--name client --network net --link db:database");
    let stranger = idle(&engine, "--network net");
    assert_eq!(client.place().a("database"), [database.ip()]);
    assert!(stranger.place().a("database").is_empty());
    assert_eq!(stranger.place().a("db"), [database.ip()]);
}

#[test]
fn a_link_to_nobody_is_refused() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let error = engine.fails(125, "run --link nobody:x busybox true");
    assert!(
        error.contains("could not get container for nobody"),
        "{error}"
    );
}
