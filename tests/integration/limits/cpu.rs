//! CPU: throttled by quota, bound to a processor, weighed by shares.

use std::time::Instant;

use testkit::{Container, cgroup, ms};

fn nanos(container: &Container<'_>) -> u64 {
    if cgroup::is_unified() {
        let stat = container.cgroup("cpu", "", "cpu.stat");
        let line = stat
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "));
        return line
            .expect("a known line")
            .parse::<u64>()
            .expect("a number")
            * 1000;
    }
    container
        .cgroup("cpuacct", "cpuacct.usage", "")
        .parse()
        .expect("a number")
}

#[test]
fn a_spinning_program_gets_no_more_than_its_quota() {
    let engine = testkit::engine();
    let container = engine.run("--cpus 0.2 busybox sh -c 'while :; do :; done'");
    std::thread::sleep(ms(300));
    let (begun, before) = (Instant::now(), nanos(&container));
    std::thread::sleep(ms(2000));
    let used = (nanos(&container) - before) as f64 / begun.elapsed().as_nanos() as f64;
    assert!(used < 0.26, "{used} of a processor");
    let throttled = container.cgroup("cpu", "cpu.stat", "cpu.stat");
    let count = throttled
        .lines()
        .find_map(|line| line.strip_prefix("nr_throttled "));
    assert_ne!(count, Some("0"), "{throttled}");
}

#[test]
fn quota_period_and_shares_are_the_kernels() {
    let engine = testkit::engine();
    let container =
        engine.run("--cpu-period 50000 --cpu-quota 20000 --cpu-shares 2048 busybox sleep 60");
    if cgroup::is_unified() {
        assert_eq!(container.cgroup("cpu", "", "cpu.max"), "20000 50000");
    } else {
        assert_eq!(container.cgroup("cpu", "cpu.cfs_quota_us", ""), "20000");
        assert_eq!(container.cgroup("cpu", "cpu.cfs_period_us", ""), "50000");
        assert_eq!(container.cgroup("cpu", "cpu.shares", ""), "2048");
    }
    engine.fails(125, "run --cpus 4000 busybox true");
    engine.fails(125, "run --cpus 1 --cpu-quota 5000 busybox true");
}

#[test]
fn a_cpuset_binds() {
    let engine = testkit::engine();
    let container = engine.run("--cpuset-cpus 0 busybox sleep 60");
    assert_eq!(container.status("Cpus_allowed_list"), "0");
    let error = engine.fails(125, "run --cpuset-cpus 4000 busybox true");
    assert!(error.contains("CPU"), "{error}");
    engine.fails(125, "run --cpuset-cpus nonsense busybox true");
    assert_eq!(
        engine.ok("ps -aq --filter status=running --no-trunc"),
        container.id()
    );
}
