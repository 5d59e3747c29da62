//! Memory: hit, killed, and told.

/// Takes memory for good, far more than any limit of these stories.
const HUNGRY: &str = "busybox sh -c 'x=0123456789abcdef; while :; do x=$x$x; done'";

#[test]
fn who_takes_more_than_the_limit_is_killed_and_it_is_told() {
    let engine = testkit::engine();
    let container = engine.run(&format!("-m 32m --memory-swap 32m {HUNGRY}"));
    assert_eq!(container.wait(), 137);
    container.await_state("exited");
    assert_eq!(container.inspect()["State"]["OOMKilled"], true);
    let unhurt = engine.run("-m 32m --init busybox sh -c 'kill -9 $$'");
    assert_eq!(unhurt.wait(), 137);
    unhurt.await_state("exited");
    assert_eq!(unhurt.inspect()["State"]["OOMKilled"], false);
}

#[test]
fn the_death_of_a_child_leaves_the_container_running() {
    let engine = testkit::engine();
    let container = engine.run("-m 32m --memory-swap 32m busybox sh -c 'sh -c \"x=0123456789abcdef; while :; do x=\\$x\\$x; done\"; echo survived; sleep 60'");
    container.await_log("survived");
    let events = container.cgroup("memory", "memory.oom_control", "memory.events");
    let kills = events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "));
    assert_eq!(kills, Some("1"), "{events}");
    assert_eq!(container.state(), "running");
}

#[test]
fn the_kernel_has_the_numbers() {
    let engine = testkit::engine();
    let container = engine.run("-m 64m --memory-reservation 48m busybox sleep 60");
    let mebi = |n: u64| (n * 1024 * 1024).to_string();
    assert_eq!(
        container.cgroup("memory", "memory.limit_in_bytes", "memory.max"),
        mebi(64)
    );
    assert_eq!(
        container.cgroup("memory", "memory.soft_limit_in_bytes", "memory.low"),
        mebi(48)
    );
}

#[test]
fn a_limit_the_kernel_refuses_leaves_nothing() {
    let engine = testkit::engine();
    let error = engine.fails(125, "run -m 1k busybox true");
    assert!(
        error.contains("Minimum memory limit allowed is 6MB"),
        "{error}"
    );
    let error = engine.fails(125, "run -m 64m --memory-swap 32m busybox true");
    assert!(
        error.contains("memoryswap limit should be larger"),
        "{error}"
    );
    let error = engine.fails(125, "run -m 64m --memory-reservation 128m busybox true");
    assert!(
        error.contains("memory reservation") || error.contains("Minimum memory"),
        "{error}"
    );
    engine.fails(125, "run -m lots busybox true");
    assert_eq!(engine.ok("ps -aq"), "");
}
