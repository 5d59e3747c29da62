//! Beside others: a running docker.io and a second engine of ours on the same host.

use testkit::Engine;
use testkit::lan::FAR;

use super::support::{Dockerd, at, web};

#[test]
fn beside_a_running_dockerd_both_work_whoever_comes_first() {
    if Engine::is_peer() || !Dockerd::is_installed() {
        return testkit::skip("needs our engine and docker.io");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    let _far = lan.world.serve("far", 7000);
    // Ours first, then docker's rules and its policy of dropping what is forwarded come on top.
    let one = web(&engine, "one", "-p 8080:80 -p 8080:80/udp");
    let docker = Dockerd::start(&lan.host, engine.root());
    docker.import();
    let theirs = docker.ok("run -d --name theirs -p 9090:80 busybox sleep 3600");
    let pid: i32 = docker
        .ok(&format!("inspect -f '{{{{.State.Pid}}}}' {theirs}"))
        .parse()
        .expect("a pid");
    let theirs = testkit::Place::of(pid);
    let _server = theirs.serve("theirs", 80);
    assert_ne!(
        one.ip()
            .to_string()
            .rsplit_once('.')
            .map(|(net, _)| net.to_owned()),
        theirs
            .v4("eth0")
            .to_string()
            .rsplit_once('.')
            .map(|(net, _)| net.to_owned()),
        "different subnets"
    );
    let both_work = |when: &str| {
        testkit::eventually(&format!("{when}: ours from outside"), || {
            lan.client
                .who_tcp(at(lan.host.ip, 8080))
                .is_some_and(|seen| seen.client == lan.client.ip)
        });
        assert_eq!(
            lan.client
                .who_udp(at(lan.host.ip, 8080))
                .expect(when)
                .client,
            lan.client.ip
        );
        assert!(
            one.place.reaches(at(FAR, 7000)),
            "{when}: ours to the outside"
        );
        assert_eq!(
            lan.client
                .who_tcp(at(lan.host.ip, 9090))
                .expect(when)
                .server,
            "theirs"
        );
        assert!(
            theirs.reaches(at(FAR, 7000)),
            "{when}: theirs to the outside"
        );
    };
    both_work("both run");
    engine.ok("network create net");
    let two = web(&engine, "two", "--network net -p 8081:80");
    assert!(two.place.reaches(at(FAR, 7000)));
    assert!(lan.client.who_tcp(at(lan.host.ip, 8081)).is_some());
    both_work("with one more network");
    lan.host.nft("flush ruleset");
    testkit::eventually("ours heals though docker's rules are gone", || {
        lan.client
            .who_tcp(at(lan.host.ip, 8080))
            .is_some_and(|seen| seen.client == lan.client.ip)
    });
    drop(docker);
    testkit::eventually("after docker has gone", || {
        lan.client.who_tcp(at(lan.host.ip, 8080)).is_some() && one.place.reaches(at(FAR, 7000))
    });
    // What docker leaves for its next life is its own affair, not ours to be judged by.
    lan.host.sh("ip link del docker0; nft flush ruleset");
}

#[test]
fn our_end_leaves_dockers_rules_as_they_were() {
    if Engine::is_peer() || !Dockerd::is_installed() {
        return testkit::skip("needs our engine and docker.io");
    }
    let lan = testkit::lan();
    let folder = std::env::temp_dir().join(format!("estiva-test-beside-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder of ours");
    let docker = Dockerd::start(&lan.host, &folder);
    docker.import();
    let before = testkit::survey::of(&lan.host);
    let engine = lan.engine();
    let one = web(&engine, "one", "-p 8080:80");
    assert!(lan.client.who_tcp(at(lan.host.ip, 8080)).is_some());
    let _far = lan.world.serve("far", 7000);
    assert!(one.place.reaches(at(FAR, 7000)));
    drop(one);
    drop(engine);
    let after = testkit::survey::of(&lan.host);
    assert_eq!(
        testkit::survey::added(&before, &after),
        Vec::<String>::new()
    );
    assert_eq!(
        testkit::survey::added(&after, &before),
        Vec::<String>::new()
    );
    drop(docker);
    drop(std::fs::remove_dir_all(folder));
}

#[test]
fn two_engines_of_ours_share_a_host() {
    if Engine::is_peer() {
        return testkit::skip("two of the peer would share its bridge");
    }
    let lan = testkit::lan();
    let first = lan.engine();
    let one = web(&first, "same", "-p 8080:80");
    first.ok("network create net");
    // Whatever is there now is the first one's; the second is judged by what comes on top.
    let second = lan.engine();
    let two = web(&second, "same", "-p 8081:80");
    second.ok("network create net");
    let _far = lan.world.serve("far", 7000);
    for (place, port) in [(&one.place, 8080), (&two.place, 8081)] {
        assert!(place.reaches(at(FAR, 7000)));
        assert_eq!(
            lan.client
                .who_tcp(at(lan.host.ip, port))
                .expect("open")
                .client,
            lan.client.ip
        );
    }
    let subnet = |engine| super::support::subnets(engine, "net")[0].clone();
    assert_ne!(subnet(&first), subnet(&second));
    assert!(
        !one.place.reaches_somehow(at(two.ip(), 80)),
        "strangers to each other"
    );
    let error = second.refuses("run -d --name taken -p 8080:80 busybox sleep 60");
    assert!(
        error.contains("8080") && error.contains("already"),
        "{error}"
    );
    // A rule that one puts into the other's tables would be damage to that one, and put right for ever.
    let heals = || [&first, &second].map(|engine| engine.daemon_log().matches("made anew").count());
    let before = heals();
    std::thread::sleep(testkit::ms(1500));
    assert_eq!(heals(), before, "they change each other's rules");
    drop((one, two));
    drop(second);
    drop(first);
}
