//! `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`: right at the start, and kept right.

use testkit::Engine;

use super::support::{endpoint, idle};

/// The names that `/etc/hosts` gives an address.
fn names_of(hosts: &str, address: &str) -> Vec<String> {
    let lines = hosts
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|words| words.first() == Some(&address))
        .flat_map(|words| words[1..].iter().map(|&w| w.to_owned()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_container_knows_itself_and_loopback() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    for name in ["bridge", "net"] {
        let one = idle(
            &engine,
            &format!("--name one-{name} --network {name} --hostname box --domainname lan.test"),
        );
        let hosts = one.read("/etc/hosts");
        let own = endpoint(&engine, &format!("one-{name}"), name)["IPAddress"].clone();
        let own = own.as_str().expect("an address");
        assert_eq!(names_of(&hosts, own), ["box.lan.test", "box"], "{hosts}");
        assert_eq!(names_of(&hosts, "127.0.0.1"), ["localhost"], "{hosts}");
        assert!(
            names_of(&hosts, "::1").contains(&"localhost".to_owned()),
            "{hosts}"
        );
        assert_eq!(one.read("/etc/hostname"), "box\n");
    }
    let plain = idle(&engine, "");
    assert_eq!(plain.read("/etc/hostname").trim(), &plain.id()[..12]);
}

#[test]
fn joining_and_leaving_changes_hosts() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create aa");
    engine.ok("network create bb");
    let one = idle(&engine, "--name one --network aa --hostname box");
    let on = |name: &str| {
        let address = endpoint(&engine, "one", name)["IPAddress"].clone();
        address.as_str().expect("an address").to_owned()
    };
    engine.ok("network connect bb one");
    let (aa, bb) = (on("aa"), on("bb"));
    let hosts = one.read("/etc/hosts");
    assert_eq!(names_of(&hosts, &aa), ["box"], "{hosts}");
    assert_eq!(names_of(&hosts, &bb), ["box"], "{hosts}");
    engine.ok("network disconnect aa one");
    let hosts = one.read("/etc/hosts");
    assert_eq!(names_of(&hosts, &aa), Vec::<String>::new(), "{hosts}");
    if !Engine::is_peer() {
        // The peer takes every line with its name away.
        assert_eq!(names_of(&hosts, &bb), ["box"], "{hosts}");
    }
}

#[test]
fn further_hosts_and_the_hosts_own_gateway() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let one = idle(
        &engine,
        "--add-host far.test:192.0.2.9 --add-host host.docker.internal:host-gateway --add-host six:2001:db8::9",
    );
    let hosts = one.read("/etc/hosts");
    assert_eq!(names_of(&hosts, "192.0.2.9"), ["far.test"], "{hosts}");
    assert_eq!(names_of(&hosts, "2001:db8::9"), ["six"], "{hosts}");
    let gateway = one.place().default_routes()[0].0.to_string();
    let gateway = gateway.as_str();
    assert_eq!(
        names_of(&hosts, gateway),
        ["host.docker.internal"],
        "{hosts}"
    );
    // It leads to the host.
    let _server = lan.host.serve("host", 7000);
    assert!(
        one.place()
            .reaches(super::support::at(super::support::ip(gateway), 7000))
    );
}

#[test]
fn on_the_default_bridge_the_hosts_servers_are_asked_directly() {
    let lan = testkit::lan();
    lan.host
        .set_resolv_conf("nameserver 198.51.100.1\nsearch one.test two.test\noptions ndots:2\n");
    let engine = lan.engine();
    let text = idle(&engine, "").read("/etc/resolv.conf");
    let has = |line: &str| text.lines().any(|found| found.trim() == line);
    assert!(has("nameserver 198.51.100.1"), "{text}");
    assert!(
        has("search one.test two.test") && has("options ndots:2"),
        "{text}"
    );
    let own = idle(
        &engine,
        "--dns 192.0.2.53 --dns-search own.test --dns-option timeout:3",
    )
    .read("/etc/resolv.conf");
    let has = |line: &str| own.lines().any(|found| found.trim() == line);
    assert!(
        has("nameserver 192.0.2.53") && !own.contains("198.51.100.1"),
        "{own}"
    );
    assert!(has("search own.test") && has("options timeout:3"), "{own}");
}

#[test]
fn a_resolver_on_the_hosts_loopback_is_not_handed_on() {
    let lan = testkit::lan();
    lan.host
        .set_resolv_conf("nameserver 127.0.0.53\nsearch corp.test\n");
    lan.host.write(
        "/run/systemd/resolve/resolv.conf",
        "nameserver 198.51.100.1\nsearch corp.test\n",
    );
    let engine = lan.engine();
    let text = idle(&engine, "").read("/etc/resolv.conf");
    assert!(
        !text.lines().any(|line| line.starts_with("nameserver 127.")),
        "{text}"
    );
    assert!(text.contains("search corp.test"), "{text}");
}

#[test]
fn on_other_networks_the_embedded_resolver_is_asked_and_the_rest_is_kept() {
    let lan = testkit::lan();
    lan.host
        .set_resolv_conf("nameserver 198.51.100.1\nsearch one.test\noptions timeout:4\n");
    let engine = lan.engine();
    engine.ok("network create net");
    let text = idle(&engine, "--network net").read("/etc/resolv.conf");
    let servers: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("nameserver "))
        .collect();
    assert_eq!(servers, ["127.0.0.11"], "{text}");
    assert!(
        text.lines().any(|line| line.trim() == "search one.test"),
        "{text}"
    );
    let options = text
        .lines()
        .find(|line| line.starts_with("options"))
        .unwrap_or_default();
    assert!(
        options.contains("timeout:4") && options.contains("ndots:0"),
        "{text}"
    );
}

#[test]
fn what_a_container_writes_into_them_survives_while_it_runs() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let one = idle(&engine, "--name one");
    one.exec("sh -c 'echo 192.0.2.7 added.by.hand >>/etc/hosts'");
    assert_eq!(
        names_of(&one.read("/etc/hosts"), "192.0.2.7"),
        ["added.by.hand"]
    );
}
