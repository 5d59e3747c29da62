//! The daemon dies: what flows goes on flowing, and what it held is free again.

use std::time::Duration;

use testkit::{Container, Engine, survey, within};

use super::support::{at, endpoint, idle, ip, web};

#[test]
fn connections_go_on_and_new_ones_come_while_there_is_no_daemon() {
    if Engine::is_peer() {
        return testkit::skip("the peer takes its proxies with it");
    }
    let lan = testkit::lan();
    let mut engine = lan.engine();
    engine.ok("network create net");
    let (one, _one) = web(&engine, "one", "--network net -p 8080:80 -p 8080:80/udp").apart();
    let (two, _two) = web(&engine, "two", "--network net").apart();
    let port = at(lan.host.ip, 8080);
    let loopback = at(ip("127.0.0.1"), 8080);
    let mut talks = vec![
        ("outside", lan.client.connect(port).expect("outside")),
        ("loopback", lan.host.connect(loopback).expect("loopback")),
        ("its own address", lan.host.connect(port).expect("own")),
        (
            "neighbour",
            two.connect(at(one.v4("eth0"), 80)).expect("neighbour"),
        ),
    ];
    for (name, talk) in &mut talks {
        talk.say("before").unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    engine.kill_daemon();
    let all_works = |when: &str| {
        let seen = lan
            .client
            .ask_tcp(port, "new")
            .unwrap_or_else(|e| panic!("{when}: {e}"));
        assert_eq!(seen.client, lan.client.ip);
        assert!(lan.client.who_udp(port).is_some(), "{when}");
        assert!(lan.host.reaches(loopback), "{when}");
        assert!(two.reaches(at(one.v4("eth0"), 80)), "{when}");
    };
    all_works("no daemon");
    for (name, talk) in &mut talks {
        talk.say("meanwhile")
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    engine.start_daemon();
    all_works("the next daemon");
    for (name, talk) in &mut talks {
        talk.say("after").unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn names_are_back_with_the_next_daemon() {
    if Engine::is_peer() {
        return testkit::skip("the peer's live restore is another matter");
    }
    let lan = testkit::lan();
    let mut engine = lan.engine();
    engine.ok("network create net");
    let place = {
        let one = web(&engine, "one", "--network net --network-alias uno");
        drop(idle(&engine, "--name two --network net"));
        one.place
    };
    let two = place.a("two");
    assert_eq!(two.len(), 1);
    for _ in 0..3 {
        engine.crash_and_restart();
        within(Duration::from_secs(2), "names are answered again", || {
            place
                .dns(testkit::dns::RESOLVER, "two", testkit::dns::kind::A)
                .is_ok_and(|reply| reply.addresses() == two)
        });
    }
    assert_eq!(place.a("uno"), [place.v4("eth0")]);
    let late = web(&engine, "late", "--network net");
    assert_eq!(place.a("late"), [late.ip()]);
    assert_ne!(vec![late.ip()], two);
}

#[test]
fn what_ended_meanwhile_has_given_all_back() {
    if Engine::is_peer() {
        return testkit::skip("the peer does not promise this");
    }
    let lan = testkit::lan();
    let mut engine = lan.engine();
    engine.ok("network create --subnet 10.93.0.0/29 tight");
    let pids: Vec<i32> = (0..5)
        .map(|n| {
            idle(
                &engine,
                &format!("--name c{n} --network tight -p 808{n}:80"),
            )
            .pid()
        })
        .collect();
    engine.kill_daemon();
    for pid in &pids[..3] {
        testkit::proc::signal(*pid, rustix::process::Signal::KILL);
    }
    testkit::eventually("they are dead", || {
        pids[..3].iter().all(|pid| !testkit::proc::is_alive(*pid))
    });
    engine.start_daemon();
    testkit::eventually("it is known", || engine.ok("ps -q").lines().count() == 2);
    for n in 0..3 {
        drop(idle(
            &engine,
            &format!("--name again{n} --network tight -p 808{n}:80"),
        ));
    }
    let error = engine.refuses("run -d --name full --network tight busybox sleep 60");
    assert!(error.contains("no available IPv4 addresses"), "{error}");
    let error = engine.refuses("run -d --name taken -p 8084:80 busybox sleep 60");
    assert!(
        error.contains("8084") && error.contains("already"),
        "{error}"
    );
    // Those that went on are still what they were.
    let four = Container::new(&engine, "c4".to_owned());
    let address = four.place().v4("eth0").to_string();
    assert_eq!(endpoint(&engine, "c4", "tight")["IPAddress"], address);
}

#[test]
fn a_restarted_daemon_can_do_everything_with_the_networks_of_running_containers() {
    if Engine::is_peer() {
        return testkit::skip("the peer's live restore is another matter");
    }
    let lan = testkit::lan();
    let mut engine = lan.engine();
    engine.ok("network create aa");
    engine.ok("network create bb");
    drop(idle(&engine, "--name one --network aa -p 8080:80"));
    engine.crash_and_restart();
    let one = Container::new(&engine, "one".to_owned());
    let place = one.place();
    let _server = place.serve("one", 80);
    engine.ok("network connect bb one");
    assert_eq!(place.links(), ["eth0", "eth1", "lo"]);
    engine.ok("network disconnect aa one");
    assert_eq!(place.links(), ["eth1", "lo"]);
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    engine.fails(1, "network rm bb");
    engine.ok("network rm aa");
    engine.ok("stop -t 0 one");
    testkit::eventually("its port is free", || {
        !survey::is_bound(&lan.host, "tcp", 8080)
    });
    engine.ok("network rm bb");
}

#[test]
fn kill_9_at_any_moment_leaves_nothing_that_the_next_start_does_not_repair() {
    if Engine::is_peer() {
        return testkit::skip("the peer does not promise this");
    }
    let lan = testkit::lan();
    let mut engine = lan.engine();
    engine.ok("network create stays");
    let commands = [
        "network create half",
        "run -d --name half -p 8080:80 --network stays busybox sleep 600",
        "network connect bridge joins",
        "network disconnect stays joins",
        "rm -f joins",
        "network rm leaves",
        "restart -t 0 joins",
        "start rests",
    ];
    for round in 0..32u64 {
        engine.ok("network create leaves");
        drop(idle(&engine, "--name joins --network stays -p 8085:80"));
        engine.ok("create --name rests -p 8086:80 busybox sleep 600");
        let line = commands[usize::try_from(round).expect("small") % commands.len()];
        let command = engine.cli(line).start();
        // A few milliseconds, other ones each round: early, in the middle and late.
        std::thread::sleep(Duration::from_micros(300 + 1_300 * (round * 7 % 13)));
        engine.kill_daemon();
        drop(command);
        engine.start_daemon();
        for name in engine.ok("ps -a --format '{{.Names}}'").lines() {
            engine.ok(&format!("rm -f {name}"));
        }
        for name in ["half", "leaves"] {
            drop(engine.cli(&format!("network rm {name}")).run());
        }
        let rest = engine.ok("network ls --filter type=custom --format '{{.Name}}'");
        assert_eq!(rest, "stays", "after {line}");
        testkit::eventually(
            &format!("after {line} no link, port or address is left"),
            || {
                let links = lan.host.links();
                let is_loose =
                    |link: &String| lan.host.link(link)["linkinfo"]["info_slave_kind"] == "bridge";
                !links.iter().any(is_loose)
                    && ![8080, 8085, 8086]
                        .iter()
                        .any(|port| survey::is_bound(&lan.host, "tcp", *port))
            },
        );
        let rules = lan.host.sh("nft list ruleset");
        for port in ["8080", "8085", "8086"] {
            assert!(
                !rules.contains(&format!(". {port}")),
                "after {line}: {rules}"
            );
        }
        let network = super::support::network(&engine, "stays");
        assert_eq!(network["Containers"], serde_json::json!({}), "after {line}");
    }
    engine.ok("network rm stays");
}
