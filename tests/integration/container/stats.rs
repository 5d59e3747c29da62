//! `stats`: numbers that are the kernel's.

use serde_json::Value;
use testkit::eventually;

#[test]
fn stats_are_what_the_cgroup_says() {
    let engine = testkit::engine();
    let container = engine.run("--name busy -m 100m busybox sh -c 'while :; do :; done'");
    let line = engine.ok("stats --no-stream --format json busy");
    let value: Value = serde_json::from_str(&line).expect("one object");
    assert_eq!(value["Name"], "busy");
    let memory = value["MemUsage"].as_str().expect("text");
    assert!(memory.contains("100MiB"), "{memory}");
    let cpu: f64 = value["CPUPerc"]
        .as_str()
        .expect("text")
        .trim_end_matches('%')
        .parse()
        .expect("a number");
    assert!(cpu > 5.0, "{cpu}");
    assert_eq!(value["PIDs"], "1");
    let (status, api) = engine.api(
        "GET",
        &format!("/containers/{}/stats?stream=false", container.id()),
        None,
    );
    assert_eq!(status, 200);
    assert!(
        api["cpu_stats"]["cpu_usage"]["total_usage"]
            .as_u64()
            .expect("a number")
            > 0
    );
    assert_eq!(api["memory_stats"]["limit"], 100 * 1024 * 1024);
}

#[test]
fn a_table_of_stats_has_a_row_for_each() {
    let engine = testkit::engine();
    drop(engine.run("--name one busybox sleep 60"));
    drop(engine.run("--name two busybox sleep 60"));
    eventually("both rows are there", || {
        let table = engine.ok("stats --no-stream");
        table.lines().count() == 3 && table.starts_with("CONTAINER ID")
    });
}
