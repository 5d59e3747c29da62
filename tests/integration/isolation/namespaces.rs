//! Namespaces: new ones by default, shared or the host's where asked.

use testkit::proc;

fn own(kind: &str) -> String {
    proc::namespace(std::process::id().cast_signed(), kind)
}

#[test]
fn a_container_has_namespaces_of_its_own() {
    let engine = testkit::engine();
    let one = engine.run("busybox sleep 60");
    let other = engine.run("busybox sleep 60");
    for kind in ["pid", "mnt", "uts", "ipc", "net"] {
        assert_ne!(proc::namespace(one.pid(), kind), own(kind), "{kind}");
        assert_ne!(
            proc::namespace(one.pid(), kind),
            proc::namespace(other.pid(), kind),
            "{kind}"
        );
    }
    assert_eq!(proc::namespace(one.pid(), "user"), own("user"));
}

#[test]
fn the_hosts_are_shared_where_asked() {
    let engine = testkit::engine();
    let container = engine
        .run("--pid host --ipc host --uts host --network host --cgroupns host busybox sleep 60");
    for kind in ["pid", "ipc", "uts", "net", "cgroup"] {
        assert_eq!(proc::namespace(container.pid(), kind), own(kind), "{kind}");
    }
}

#[test]
fn a_private_cgroup_namespace_hides_the_path() {
    let engine = testkit::engine();
    let container = engine.run("--cgroupns private busybox sleep 60");
    assert_ne!(proc::namespace(container.pid(), "cgroup"), own("cgroup"));
    let seen = container.exec("cat /proc/1/cgroup");
    assert!(seen.lines().all(|line| line.ends_with(":/")), "{seen}");
}

#[test]
fn one_container_can_join_anothers() {
    let engine = testkit::engine();
    let first = engine.run("--name first --ipc shareable busybox sleep 60");
    let second = engine.run(
        "--pid container:first --ipc container:first --network container:first busybox sleep 60",
    );
    for kind in ["pid", "ipc", "net"] {
        assert_eq!(
            proc::namespace(second.pid(), kind),
            proc::namespace(first.pid(), kind),
            "{kind}"
        );
    }
    assert_ne!(
        proc::namespace(second.pid(), "mnt"),
        proc::namespace(first.pid(), "mnt")
    );
    let processes = second.exec("ps -o comm");
    assert_eq!(processes.matches("sleep").count(), 2, "{processes}");
    engine.fails(125, "run --network container:nobody busybox true");
}

#[test]
fn no_network_is_loopback_and_nothing_else() {
    let engine = testkit::engine();
    let text = engine.ok("run --rm --network none busybox ip -o addr");
    assert!(text.lines().all(|line| line.contains(" lo ")), "{text}");
    assert!(text.contains("127.0.0.1/8"), "{text}");
    let error = engine.fails(125, "run --rm --network no-such-network busybox true");
    assert!(error.contains("no-such-network"), "{error}");
}

#[test]
fn pid_one_is_the_program_and_nobody_else_is_seen() {
    let engine = testkit::engine();
    let seen = engine.ok("run --rm busybox ps -o pid,comm");
    let rows: Vec<Vec<&str>> = seen
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(rows, [["1", "ps"]]);
}
