//! Many: five hundred networks, and containers that start all at once.

use std::collections::HashSet;

use testkit::Engine;

use super::support::{at, idle, ip, lies_in, subnets, web};

#[test]
fn five_hundred_networks_have_five_hundred_subnets() {
    if Engine::is_peer() {
        return testkit::skip("the peer has addresses for thirty");
    }
    let lan = testkit::lan();
    // Some of what would be chosen is somebody else's.
    lan.host.sh(
        "ip route add 172.20.0.0/14 via 198.51.100.1; ip route add 10.0.0.0/16 via 198.51.100.1",
    );
    let engine = lan.engine();
    for number in 0..500 {
        engine.ok(&format!("network create n{number}"));
    }
    let names: Vec<String> = (0..500).map(|n| format!("n{n}")).collect();
    let text = engine.ok(&format!(
        "network inspect -f '{{{{range .IPAM.Config}}}}{{{{.Subnet}}}} {{{{end}}}}' {}",
        names.join(" ")
    ));
    let all: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let v4: Vec<&String> = all.iter().filter(|subnet| !subnet.contains(':')).collect();
    assert_eq!(v4.len(), 500);
    assert_eq!(
        all.iter().collect::<HashSet<_>>().len(),
        1000,
        "each has two of its own"
    );
    for subnet in &v4 {
        let first = ip(subnet.split_once('/').expect("a subnet").0);
        for taken in [
            "172.20.0.0/14",
            "10.0.0.0/16",
            "198.51.100.0/24",
            "172.17.0.0/16",
        ] {
            assert!(!lies_in(first, taken), "{subnet} lies in {taken}");
        }
        let others = v4.iter().filter(|other| lies_in(first, other));
        assert_eq!(others.count(), 1, "{subnet} overlaps another");
    }
    for name in ["n0", "n499"] {
        let one = web(
            &engine,
            &format!("one-{name}"),
            &format!("--network {name}"),
        );
        let two = web(
            &engine,
            &format!("two-{name}"),
            &format!("--network {name}"),
        );
        assert!(two.place.reaches(at(one.ip(), 80)));
        assert!(lies_in(one.ip(), &subnets(&engine, name)[0]));
    }
    engine.remove_all_containers();
    let text = engine.ok("network prune -f");
    assert_eq!(
        text.lines().filter(|line| line.starts_with('n')).count(),
        500
    );
    testkit::eventually("no bridge is left", || {
        !lan.host.links().iter().any(|link| link.starts_with("br-"))
    });
    assert_eq!(subnets(&engine, "bridge").len(), 2);
}

#[test]
fn sixty_containers_started_at_once_all_have_an_address_a_port_and_a_name() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let count: u16 = if Engine::is_peer() { 10 } else { 60 };
    std::thread::scope(|scope| {
        for number in 0..count {
            let engine = &engine;
            scope.spawn(move || {
                let port = 8100 + number;
                drop(idle(
                    engine,
                    &format!("--name c{number} --network net -p {port}:80"),
                ));
            });
        }
    });
    let asker = idle(&engine, "--network net").place();
    let mut addresses = HashSet::new();
    for number in 0..count {
        let place = testkit::Container::new(&engine, format!("c{number}")).place();
        let address = place.v4("eth0");
        assert!(addresses.insert(address), "{address} twice");
        assert_eq!(asker.a(&format!("c{number}")), [address]);
        let _server = place.serve(&format!("c{number}"), 80);
        let seen = lan
            .client
            .who_tcp(at(lan.host.ip, 8100 + number))
            .expect("published");
        assert_eq!(seen.server, format!("c{number}"));
    }
    let macs: HashSet<String> = (0..count)
        .map(|number| {
            let place = testkit::Container::new(&engine, format!("c{number}")).place();
            place.link("eth0")["address"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    assert_eq!(macs.len(), usize::from(count));
}

#[test]
fn networks_made_and_removed_at_once_do_not_get_in_each_others_way() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let rounds = if Engine::is_peer() { 2 } else { 8 };
    std::thread::scope(|scope| {
        for worker in 0..6 {
            let engine = &engine;
            scope.spawn(move || {
                for round in 0..rounds {
                    let name = format!("w{worker}r{round}");
                    engine.ok(&format!("network create {name}"));
                    engine.ok(&format!("run --rm --network {name} busybox true"));
                    engine.ok(&format!("network rm {name}"));
                }
            });
        }
    });
    assert_eq!(engine.ok("network ls -q --filter type=custom"), "");
}
