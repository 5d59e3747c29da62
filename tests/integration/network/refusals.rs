//! Bad input: a clear word, the right exit code, and a host that is as it was.

use testkit::{Engine, survey};

use super::support::{at, idle, network, unchanged, web};

#[test]
fn subnets_that_overlap_are_refused() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.95.0.0/24 first");
    unchanged(&lan.host, "an overlap", || {
        for subnet in ["10.95.0.0/24", "10.95.0.0/16", "10.95.0.128/25"] {
            let error = engine.fails(1, &format!("network create --subnet {subnet} second"));
            assert!(
                error.contains("Pool overlaps with other one on this address space"),
                "{error}"
            );
        }
    });
    engine.fails(1, "network inspect second");
    engine.ok("network rm first");
    engine.ok("network create --subnet 10.95.0.0/16 second");
}

#[test]
fn nonsense_about_addresses_is_refused_and_no_network_is_made() {
    let lan = testkit::lan();
    let engine = lan.engine();
    unchanged(&lan.host, "nonsense", || {
        for line in [
            "--subnet 10.96.0.0",
            "--subnet 10.96.0.0/99",
            "--subnet words",
            "--gateway 10.96.0.1",
            "--subnet 10.96.0.0/24 --gateway 10.97.0.1",
            "--subnet 10.96.0.0/24 --ip-range 10.97.0.0/25",
            "--subnet 10.96.0.0/24 --aux-address a=10.97.0.9",
            "--driver no-such-driver",
            "-o com.docker.network.driver.mtu=many",
            "-o com.docker.network.bridge.name=a-name-far-too-long-for-a-link",
        ] {
            if Engine::is_peer() && line.starts_with("-o") {
                continue;
            }
            let error = engine.fails(1, &format!("network create {line} bad"));
            assert!(
                !error.is_empty() && !error.contains("panicked"),
                "{line}: {error}"
            );
        }
        engine.refuses("network create");
        engine.refuses("network create ''");
    });
    assert_eq!(engine.ok("network ls -q --filter type=custom"), "");
}

#[test]
fn names_are_unique_and_must_be_known() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create once");
    let error = engine.fails(1, "network create once");
    assert!(
        error.contains("network with name once already exists"),
        "{error}"
    );
    let error = engine.fails(1, "network rm nope");
    assert!(error.contains("network nope not found"), "{error}");
    let error = engine.fails(1, "network inspect nope");
    assert!(error.contains("network nope not found"), "{error}");
    let error = engine.fails(125, "run --rm --network nope busybox true");
    assert!(error.contains("network nope not found"), "{error}");
    if !Engine::is_peer() {
        let left = engine.ok("ps -aq");
        assert_eq!(
            left, "",
            "a container of an unknown network is not even made"
        );
    }
    // Of several, those that can be removed are.
    engine.ok("network create twice");
    engine.fails(1, "network rm once nope twice");
    assert_eq!(engine.ok("network ls -q --filter type=custom"), "");
}

#[test]
fn addresses_of_ones_own_are_refused_where_they_cannot_be() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create plain");
    engine.ok("network create --subnet 10.98.0.0/24 ours");
    for (line, texts) in [
        (
            "--ip 172.17.0.99",
            ["user specified IP address is supported", ""],
        ),
        (
            "--network plain --ip 172.18.0.99",
            [
                "user specified IP address is supported only when connecting to networks with user configured subnets",
                "no configured subnet",
            ],
        ),
        (
            "--network ours --ip 10.99.0.9",
            ["no configured subnet", "Invalid address 10.99.0.9"],
        ),
        ("--network ours --ip words", ["invalid", "Invalid"]),
        ("--network ours --mac-address words", ["words", "invalid"]),
        ("--network-alias x", ["network-scoped alias", ""]),
    ] {
        unchanged(&lan.host, line, || {
            let error = engine.fails(125, &format!("run --name bad {line} busybox true"));
            assert!(
                texts
                    .iter()
                    .any(|text| !text.is_empty() && error.contains(text)),
                "{line}: {error}"
            );
            drop(engine.cli("rm -f bad").run());
        });
    }
    assert_eq!(
        network(&engine, "ours")["Containers"],
        serde_json::json!({})
    );
}

#[test]
fn a_port_in_use_is_told_and_by_whom_and_all_is_free_again() {
    let lan = testkit::lan();
    let engine = lan.engine();
    let _owner = web(&engine, "owner", "-p 8080:80");
    unchanged(&lan.host, "a port of a container", || {
        let error = engine.fails(
            125,
            "run -d --name thief -p 8081:81 -p 8080:80 busybox sleep 60",
        );
        assert!(
            error.contains("Bind for 0.0.0.0:8080 failed: port is already allocated"),
            "{error}"
        );
        if !Engine::is_peer() {
            assert!(error.contains("owner"), "by whom: {error}");
        }
    });
    assert!(
        !survey::is_bound(&lan.host, "tcp", 8081),
        "the one that was free is free again"
    );
    assert_eq!(engine.inspect("thief")["State"]["Status"], "created");
    engine.ok("rm thief");
    let server = lan.host.serve("a-program", 8082);
    unchanged(&lan.host, "a port of a program", || {
        let error = engine.fails(125, "run -d --name thief -p 8082:80 busybox sleep 60");
        assert!(
            error.contains("8082") && error.contains("address already in use"),
            "{error}"
        );
        if !Engine::is_peer() {
            // The kit itself holds it.
            let name = std::fs::read_to_string("/proc/self/comm").expect("it has a name");
            let told =
                error.contains(name.trim()) || error.contains(&std::process::id().to_string());
            assert!(told, "by whom ({}): {error}", name.trim());
        }
    });
    drop(server);
    engine.ok("start thief");
    assert!(survey::is_bound(&lan.host, "tcp", 8082) || Engine::is_peer());
    // On another address it is another port.
    let _local = web(&engine, "local", "-p 127.0.0.1:8083:80");
    let _outer = web(&engine, "outer", "-p 198.51.100.20:8083:80");
    assert_eq!(
        lan.host
            .who_tcp(at([127, 0, 0, 1].into(), 8083))
            .expect("local")
            .server,
        "local"
    );
    assert_eq!(
        lan.client
            .who_tcp(at(lan.host.ip, 8083))
            .expect("outer")
            .server,
        "outer"
    );
}

#[test]
fn an_address_that_the_host_has_not_cannot_be_published_on() {
    let lan = testkit::lan();
    let engine = lan.engine();
    drop(idle(&engine, "--name first"));
    unchanged(&lan.host, "a foreign address", || {
        let error = engine.fails(
            125,
            "run -d --name bad -p 192.0.2.77:8080:80 busybox sleep 60",
        );
        assert!(error.contains("192.0.2.77"), "{error}");
        assert!(error.contains("cannot assign requested address"), "{error}");
    });
}

#[test]
fn ports_that_are_none_are_refused_before_anything_is_made() {
    let lan = testkit::lan();
    let engine = lan.engine();
    for (option, text) in [
        ("-p 99999:80", "99999"),
        ("-p 80:99999", "99999"),
        ("-p x:80", "x"),
        ("-p 8000-8001:80-85", "8000-8001"),
        ("-p 80:80/odd", "odd"),
        ("-p 1.2.3:80:80", "1.2.3"),
        ("-p 9000-8000:80", "9000-8000"),
        ("--expose words", "words"),
    ] {
        let error = engine.fails(125, &format!("run {option} busybox true"));
        assert!(error.contains(text), "{option}: {error}");
        assert!(
            error.to_lowercase().contains("invalid"),
            "{option}: {error}"
        );
    }
    assert_eq!(engine.ok("ps -aq"), "");
}

#[test]
fn a_start_that_fails_late_gives_the_network_back() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create --subnet 10.97.0.0/24 net");
    drop(web(&engine, "first", "--network net -p 8081:80"));
    unchanged(&lan.host, "a program that is not there", || {
        engine.fails(
            127,
            "run -d --name bad --network net --ip 10.97.0.9 -p 8080:80 busybox no-such-program",
        );
    });
    engine.ok("rm bad");
    let next = web(&engine, "next", "--network net --ip 10.97.0.9 -p 8080:80");
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    drop(next);
}
