//! `update`: new limits for a running container.

#[test]
fn new_limits_are_in_the_kernel_at_once() {
    let engine = testkit::engine();
    let container = engine.run("--name box -m 64m --memory-swap 64m busybox sleep 60");
    engine
        .ok("update -m 96m --memory-swap 96m --cpu-shares 512 --pids-limit 77 --cpuset-cpus 0 box");
    let memory = container.cgroup("memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(memory, (96 * 1024 * 1024).to_string());
    assert_eq!(container.cgroup("pids", "pids.max", "pids.max"), "77");
    assert_eq!(
        container.cgroup("cpuset", "cpuset.cpus", "cpuset.cpus"),
        "0"
    );
    assert_eq!(container.status("Cpus_allowed_list"), "0");
    assert_eq!(container.inspect()["HostConfig"]["CpuShares"], 512);
}

#[test]
fn the_restart_policy_can_be_changed() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    engine.ok(&format!("update --restart on-failure:2 {}", container.id()));
    let policy = &container.inspect()["HostConfig"]["RestartPolicy"];
    assert_eq!(policy["Name"], "on-failure");
    assert_eq!(policy["MaximumRetryCount"], 2);
}

#[test]
fn a_limit_the_kernel_refuses_changes_nothing() {
    let engine = testkit::engine();
    let container = engine.run("-m 64m busybox sleep 60");
    engine.fails(1, &format!("update --cpuset-cpus 4000 {}", container.id()));
    engine.fails(1, &format!("update -m 1k {}", container.id()));
    let memory = container.cgroup("memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(memory, (64 * 1024 * 1024).to_string());
    assert_eq!(
        container.inspect()["HostConfig"]["Memory"],
        64 * 1024 * 1024
    );
}
