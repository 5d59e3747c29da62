//! `-p` and `-P`: all forms, and how they are told.

use serde_json::json;
use testkit::image::Image;
use testkit::{Engine, survey};

use super::support::{at, idle, web};

/// What `port` says, sorted, without the brackets that clients of different age write or leave out.
fn ports(engine: &Engine, line: &str) -> Vec<String> {
    let text = engine.ok(&format!("port {line}"));
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| line.replace(" -> :::", " -> [::]:"))
        .map(|line| {
            if line.starts_with(":::") {
                line.replacen(":::", "[::]:", 1)
            } else {
                line
            }
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_port_of_ones_choice_on_every_address() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let one = web(&engine, "one", "-p 8080:80");
    assert_eq!(
        ports(&engine, "one"),
        ["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]
    );
    assert_eq!(ports(&engine, "one 80"), ["0.0.0.0:8080", "[::]:8080"]);
    assert_eq!(ports(&engine, "one 80/tcp"), ["0.0.0.0:8080", "[::]:8080"]);
    let told = one.container.inspect()["NetworkSettings"]["Ports"].clone();
    assert_eq!(
        told["80/tcp"][0],
        json!({"HostIp": "0.0.0.0", "HostPort": "8080"})
    );
    assert_eq!(
        told["80/tcp"][1],
        json!({"HostIp": "::", "HostPort": "8080"})
    );
    let column = engine.ok("ps --format '{{.Ports}}'");
    assert!(column.contains("0.0.0.0:8080->80/tcp"), "{column}");
    let error = engine.fails(1, "port one 81");
    assert!(error.contains("No public port '81"), "{error}");
    engine.ok("stop -t 0 one");
    assert_eq!(engine.ok("port one"), "");
    assert!(!survey::is_bound(&lan.host, "tcp", 8080));
    engine.ok("start one");
    assert_eq!(ports(&engine, "one").len(), 2);
}

#[test]
fn given_addresses_only() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let _one = web(
        &engine,
        "one",
        "-p 127.0.0.1:8081:80 -p 198.51.100.20:8082:80",
    );
    let lo = [127, 0, 0, 1].into();
    assert!(lan.host.who_tcp(at(lo, 8081)).is_some());
    assert!(!lan.client.reaches_somehow(at(lan.host.ip, 8081)));
    assert!(!lan.host.reaches_somehow(at(lan.host.ip, 8081)));
    assert!(lan.client.who_tcp(at(lan.host.ip, 8082)).is_some());
    assert!(lan.host.who_tcp(at(lan.host.ip, 8082)).is_some());
    assert!(lan.host.who_tcp(at(lo, 8082)).is_none());
    assert_eq!(
        ports(&engine, "one"),
        ["80/tcp -> 127.0.0.1:8081", "80/tcp -> 198.51.100.20:8082"]
    );
    if !Engine::is_peer() {
        let _two = web(&engine, "two", "-p [::1]:8083:80");
        assert!(
            lan.host
                .who_tcp(at("::1".parse().expect("one"), 8083))
                .is_some()
        );
        assert!(!lan.client.reaches_somehow(at(lan.host.ip6, 8083)));
        assert_eq!(ports(&engine, "two"), ["80/tcp -> [::1]:8083"]);
        let _three = web(&engine, "three", "-p [2001:db8:51::20]:8084:80");
        assert!(lan.client.who_tcp(at(lan.host.ip6, 8084)).is_some());
        assert!(lan.client.who_tcp(at(lan.host.ip, 8084)).is_none());
    }
}

#[test]
fn packets_as_well_as_streams_and_both_on_one_port() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let _one = web(&engine, "one", "-p 8090:80/udp");
    assert!(lan.client.who_udp(at(lan.host.ip, 8090)).is_some());
    assert!(lan.client.who_tcp(at(lan.host.ip, 8090)).is_none());
    let _two = web(&engine, "two", "-p 8091:80/udp -p 8091:80/tcp");
    assert!(lan.client.reaches(at(lan.host.ip, 8091)));
    assert_eq!(
        ports(&engine, "one"),
        ["80/udp -> 0.0.0.0:8090", "80/udp -> [::]:8090"]
    );
}

#[test]
fn ranges_and_one_of_a_range() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let one = idle(&engine, "--name one -p 9000-9002:80-82");
    let place = one.place();
    let servers: Vec<_> = (80..83)
        .map(|port| place.serve(&format!("s{port}"), port))
        .collect();
    for offset in 0..3 {
        let seen = lan
            .client
            .who_tcp(at(lan.host.ip, 9000 + offset))
            .expect("it answers");
        assert_eq!(seen.server, format!("s{}", 80 + offset));
    }
    drop(servers);
    // The first one is taken, by somebody else.
    let _taken = match Engine::is_peer() {
        // The peer tries no further when it is not a container's.
        true => web(&engine, "taken", "-p 9100:80").apart().1,
        false => lan.host.serve("taken", 9100),
    };
    let _two = web(&engine, "two", "-p 9100-9103:80");
    let _three = web(&engine, "three", "-p 9100-9103:80");
    let chosen = |name: &str| {
        engine
            .ok(&format!("port {name} 80"))
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(chosen("two"), "0.0.0.0:9101");
    assert_eq!(chosen("three"), "0.0.0.0:9102");
    let column = engine.ok("ps --filter name=one --format '{{.Ports}}'");
    assert!(column.contains("0.0.0.0:9000->80/tcp"), "{column}");
    drop(idle(&engine, "--name same -p 9010-9012:9010-9012"));
    let column = engine.ok("ps --filter name=same --format '{{.Ports}}'");
    assert!(
        column.contains("0.0.0.0:9010-9012->9010-9012/tcp"),
        "{column}"
    );
}

#[test]
fn any_port_will_do() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let _one = web(&engine, "one", "-p 80");
    let _two = web(&engine, "two", "-p 127.0.0.1::80 -p 80/udp");
    let port = |line: &str| -> u16 {
        let text = engine.ok(&format!("port {line}"));
        let first = text.lines().next().unwrap_or_default();
        first
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("{text}"))
    };
    let range = lan
        .host
        .sysctl("ipv4.ip_local_port_range")
        .expect("a range");
    let range: Vec<u16> = range
        .split_whitespace()
        .map(|n| n.parse().expect("a port"))
        .collect();
    for line in ["one 80", "two 80/tcp", "two 80/udp"] {
        assert!((range[0]..=range[1]).contains(&port(line)), "{line}");
    }
    assert!(
        lan.client
            .who_tcp(at(lan.host.ip, port("one 80")))
            .is_some()
    );
    assert!(
        lan.client
            .who_udp(at(lan.host.ip, port("two 80/udp")))
            .is_some()
    );
    assert!(
        lan.client
            .who_tcp(at(lan.host.ip, port("two 80/tcp")))
            .is_none()
    );
    assert!(
        lan.host
            .who_tcp(at([127, 0, 0, 1].into(), port("two 80/tcp")))
            .is_some()
    );
}

#[test]
fn all_that_the_image_and_the_options_expose() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let image = Image::new("exposes:1").config("ExposedPorts", json!({"80/tcp": {}, "81/udp": {}}));
    engine
        .cli("load")
        .with_input(&image.docker_archive())
        .success();
    engine.ok("run -d --name one -P --expose 90-91 exposes:1 sleep 3600");
    let told = engine.inspect("one")["NetworkSettings"]["Ports"].clone();
    let mut names: Vec<&String> = told.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(names, ["80/tcp", "81/udp", "90/tcp", "91/tcp"]);
    assert!(
        told.as_object()
            .expect("an object")
            .values()
            .all(|list| list[0]["HostPort"] != "")
    );
    let place = testkit::Container::new(&engine, "one".to_owned()).place();
    let _server = place.serve("one", 80);
    let port: u16 = told["80/tcp"][0]["HostPort"]
        .as_str()
        .and_then(|p| p.parse().ok())
        .expect("a port");
    assert!(lan.client.who_tcp(at(lan.host.ip, port)).is_some());
    // Exposed only: named, and not published.
    engine.ok("run -d --name two --expose 90 exposes:1 sleep 3600");
    assert_eq!(
        engine.inspect("two")["NetworkSettings"]["Ports"]["90/tcp"],
        json!(null)
    );
    let column = engine.ok("ps --filter name=two --format '{{.Ports}}'");
    assert!(
        column.contains("80/tcp") && column.contains("90/tcp"),
        "{column}"
    );
}

#[test]
fn sctp_is_told_and_does_not_collide_with_the_others() {
    if Engine::is_peer() {
        return testkit::skip("the peer needs a kernel with SCTP of its own");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    let _one = web(&engine, "one", "-p 8095:80/sctp -p 8095:80/tcp");
    assert!(ports(&engine, "one").contains(&"80/sctp -> 0.0.0.0:8095".to_owned()));
    assert!(lan.client.who_tcp(at(lan.host.ip, 8095)).is_some());
    let rules = lan.host.sh("nft list ruleset");
    assert!(rules.contains("sctp . 8095"), "{rules}");
}

#[test]
fn ports_are_published_on_whichever_network_and_go_with_the_last() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create aa");
    engine.ok("network create bb");
    let one = web(&engine, "one", "--network aa -p 8085:80");
    assert!(
        lan.client.reaches(at(lan.host.ip, 8085))
            || lan.client.who_tcp(at(lan.host.ip, 8085)).is_some()
    );
    engine.ok("network connect bb one");
    assert!(lan.client.who_tcp(at(lan.host.ip, 8085)).is_some());
    engine.ok("network disconnect aa one");
    assert_eq!(one.place.default_routes()[0].1, "eth1");
    assert!(
        lan.client.who_tcp(at(lan.host.ip, 8085)).is_some(),
        "by the network that is left"
    );
    engine.ok("network disconnect bb one");
    assert!(lan.client.who_tcp(at(lan.host.ip, 8085)).is_none());
}
