//! `stop`, `kill`, `rm`, `wait`: ends, asked for and forced.

use std::time::{Duration, Instant};

use testkit::{eventually, proc};

const PATIENT: &str = "sh -c 'trap \"echo asked; exit 11\" TERM; trap \"echo usr1; exit 12\" USR1; echo ready; while :; do sleep 0.05; done'";
const STUBBORN: &str = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.05; done'";

#[test]
fn stop_asks_first() {
    let engine = testkit::engine();
    let container = engine.run(&format!("--name polite busybox {PATIENT}"));
    container.await_log("ready");
    assert_eq!(engine.ok("stop polite"), "polite");
    assert_eq!(container.logs().0, "ready\nasked");
    assert_eq!(container.inspect()["State"]["ExitCode"], 11);
}

#[test]
fn stop_uses_force_when_asking_did_not_help() {
    let engine = testkit::engine();
    let container = engine.run(&format!("busybox {STUBBORN}"));
    container.await_log("ready");
    let pid = container.pid();
    let begun = Instant::now();
    engine.ok(&format!("stop -t 1 {}", container.id()));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert!(!proc::is_alive(pid));
    assert_eq!(container.inspect()["State"]["ExitCode"], 137);
}

#[test]
fn the_containers_own_stop_signal_and_timeout_count() {
    let engine = testkit::engine();
    let container = engine.run(&format!(
        "--stop-signal USR1 --stop-timeout 7 busybox {PATIENT}"
    ));
    container.await_log("ready");
    assert_eq!(container.inspect()["Config"]["StopTimeout"], 7);
    engine.ok(&format!("stop {}", container.id()));
    assert_eq!(container.inspect()["State"]["ExitCode"], 12);
}

#[test]
fn kill_sends_the_signal_that_was_named() {
    let engine = testkit::engine();
    for (signal, code) in [("USR1", 12), ("SIGTERM", 11), ("9", 137), ("KILL", 137)] {
        let container = engine.run(&format!("busybox {PATIENT}"));
        container.await_log("ready");
        engine.ok(&format!("kill -s {signal} {}", container.id()));
        assert_eq!(container.wait(), code, "{signal}");
    }
    let container = engine.run("--name living busybox sleep 60");
    engine.fails(1, "kill -s NOPE living");
    engine.ok("kill living");
    container.await_state("exited");
    let error = engine.fails(1, "kill living");
    assert!(error.contains("is not running"), "{error}");
}

#[test]
fn wait_gives_every_exit_code() {
    let engine = testkit::engine();
    drop(engine.run("--name three busybox sh -c 'sleep 0.3; exit 3'"));
    drop(engine.run("--name five busybox sh -c 'exit 5'"));
    assert_eq!(engine.ok("wait three five"), "3\n5");
    engine.fails(1, "wait nobody");
}

#[test]
fn a_running_container_is_removed_only_by_force() {
    let engine = testkit::engine();
    let container = engine.run("--name busy busybox sleep 60");
    let error = engine.fails(1, "rm busy");
    assert!(error.contains("running"), "{error}");
    let pid = container.pid();
    assert_eq!(engine.ok("rm -f busy"), "busy");
    assert!(!proc::is_alive(pid));
    engine.fails(1, "inspect busy");
}

#[test]
fn every_process_of_a_container_ends_with_the_first() {
    let engine = testkit::engine();
    let container = engine.run("busybox sh -c 'sleep 1001 & sleep 1002 & sleep 1003'");
    let first = container.pid();
    let namespace = proc::namespace(first, "pid");
    let inside = || -> Vec<i32> {
        proc::pids()
            .into_iter()
            .filter(|pid| {
                std::fs::read_link(format!("/proc/{pid}/ns/pid"))
                    .is_ok_and(|link| link.display().to_string() == namespace)
            })
            .collect()
    };
    eventually("all run", || inside().len() >= 3);
    engine.ok(&format!("kill {}", container.id()));
    eventually("all have ended", || inside().is_empty());
}

#[test]
fn without_a_pid_namespace_of_its_own_the_rest_ends_too() {
    let engine = testkit::engine();
    let container =
        engine.run("--pid host busybox sh -c 'sleep 1234567 & echo ready; sleep 1234568'");
    container.await_log("ready");
    engine.ok(&format!("rm -f {}", container.id()));
    eventually("nothing of it runs", || {
        !proc::pids().into_iter().any(|pid| {
            proc::read(pid, "cmdline").is_some_and(|line| line.contains("sleep\x001234567"))
        })
    });
}
