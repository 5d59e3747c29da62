//! User namespaces, where they are asked for: root inside is nobody outside, and files stay what they are.

use std::os::unix::fs::MetadataExt;

use testkit::{Options, proc};

/// The ids of the host behind a container's, as the kernel tells them.
fn first_id(container: &testkit::Container<'_>) -> u32 {
    let map = proc::read(container.pid(), "uid_map").expect("it runs");
    let fields: Vec<u32> = map
        .split_whitespace()
        .map(|field| field.parse().expect("a number"))
        .collect();
    assert_eq!((fields[0], fields[2]), (0, 65_536), "{map}");
    fields[1]
}

/// Whether this kernel shifts the owners of an overlay's layers. One that does not must be told of.
fn can_shift(engine: &testkit::Engine, options: &str) -> bool {
    let line = format!("run --rm --network none {options} busybox true");
    let tried = engine.cli(&line).run();
    if tried.code != 0 {
        let error = tried.failure(125);
        assert!(error.contains("need Linux 6.15 or newer"), "{error}");
        testkit::skip("this kernel has no idmapped layers of overlays");
        return false;
    }
    true
}

#[test]
fn root_inside_is_nobody_outside_and_owns_its_files() {
    if testkit::Engine::is_peer() || testkit::Engine::speaks_docker() {
        return testkit::skip("docker has no user namespaces for single containers");
    }
    let engine = testkit::engine();
    if !can_shift(&engine, "--userns private") {
        return;
    }
    let line = "--userns private --network none -v data:/data busybox sh -c 'touch /data/f /g; echo ready > /dev/stdout; sleep 60'";
    let container = engine.run(line);
    container.await_log("ready");
    let first = first_id(&container);
    assert!(first >= 65_536);
    assert_eq!(container.exec("id -u"), "0");
    assert_eq!(
        container.exec("stat -c %u:%g /bin/busybox /data/f /g"),
        "0:0\n0:0\n0:0"
    );
    let uid = proc::status(container.pid(), "Uid");
    assert!(
        uid.split_whitespace().all(|id| id == first.to_string()),
        "{uid}"
    );
    // On disk nothing has changed hands: other containers and `commit` see root's files.
    let data = engine.data_root().join("volumes/data/_data/f");
    assert_eq!(std::fs::metadata(data).expect("the volume's file").uid(), 0);
    let other = engine.run("--userns private --network none busybox sleep 60");
    assert_ne!(first_id(&other), first, "each has ids of its own");
}

#[test]
fn files_are_copied_and_committed_with_the_ids_that_the_container_sees() {
    if testkit::Engine::is_peer() || testkit::Engine::speaks_docker() {
        return testkit::skip("docker has no user namespaces for single containers");
    }
    let engine = testkit::engine();
    if !can_shift(&engine, "--userns private") {
        return;
    }
    let container =
        engine.run("--name box --userns private --network none -v data:/data busybox sleep 60");
    container.exec("mkdir /d");
    container.exec("chown 5:6 /d");
    let note = engine.root().join("note");
    std::fs::write(&note, "x").expect("a file of ours");
    std::os::unix::fs::chown(&note, Some(7), Some(8)).expect("we are root");
    for place in ["/d", "/data"] {
        engine.ok(&format!("cp -a {} box:{place}/", note.display()));
        assert_eq!(
            container.exec(&format!("stat -c %u:%g {place}/note")),
            "7:8"
        );
    }
    engine.ok("commit box image");
    let seen = engine.ok("run --rm --network none image stat -c %u:%g /d /d/note");
    assert_eq!(seen, "5:6\n7:8");
}

#[test]
fn a_daemon_can_give_them_to_all_and_a_container_can_decline() {
    if testkit::Engine::is_peer() {
        return testkit::skip("the peer shifts its whole data root");
    }
    let engine = testkit::Engine::start(&Options {
        daemon_args: vec!["--userns-remap".into(), "default".into()],
        ..Options::default()
    });
    if !can_shift(&engine, "") {
        return;
    }
    let mapped = engine.run("--network none busybox sleep 60");
    assert!(first_id(&mapped) > 0);
    let plain = engine.run("--userns host --network none busybox sleep 60");
    assert_eq!(
        proc::status(plain.pid(), "Uid").split_whitespace().next(),
        Some("0")
    );
    let refused = engine.fails(125, "run --rm --privileged busybox true");
    assert!(
        refused.contains("privileged mode is incompatible with user namespaces"),
        "{refused}"
    );
    let refused = engine.fails(125, "run --rm --network host busybox true");
    assert!(
        refused.contains("cannot share the host's network namespace"),
        "{refused}"
    );
}

#[test]
fn its_network_belongs_to_it_and_leads_out() {
    if testkit::Engine::is_peer() || testkit::Engine::speaks_docker() {
        return testkit::skip("docker has no user namespaces for single containers");
    }
    let engine = testkit::engine();
    if !can_shift(&engine, "--userns private") {
        return;
    }
    let container = engine.run("--userns private --cap-add NET_ADMIN busybox sleep 60");
    assert_ne!(first_id(&container), 0);
    // Rights over the namespace are those of its owner.
    container.exec("ip addr add 10.9.9.9/32 dev lo");
    assert!(container.exec("ip addr show lo").contains("10.9.9.9"));
    let route = container.exec("ip route");
    let gateway = route.split_whitespace().nth(2).expect("a default route");
    container.exec(&format!("ping -c 1 -W 5 {gateway}"));
}
