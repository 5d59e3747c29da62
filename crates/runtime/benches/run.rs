//! How long it takes to make a container, run `true` in it, and see it end; and the same for an exec.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "../tests/containers/testbed.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod testbed;

use std::time::{Duration, Instant};

use testbed::{Bed, Streams, process, wait};

const ROUNDS: usize = 200;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn measure(name: &str, mut round: impl FnMut()) {
    let times = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            round();
            begun.elapsed()
        })
        .collect();
    println!("{name}: {:?}", median(times));
}

fn run(bed: &Bed) {
    let streams = Streams::new();
    let started = runtime::run(bed.create(streams.stdio())).expect("starts");
    assert_eq!(wait(&started.pidfd), 0);
}

fn main() {
    if let Some(reason) = testbed::missing() {
        println!("skipped: {reason}");
        return;
    }
    let bed = Bed::new(&["true"]);
    measure("run true", || run(&bed));
    let grouped = Bed::new(&["true"]).grouped();
    measure("run true, in a cgroup", || run(&grouped));
    let bare = Bed::new(&["true"]).without(oci::runtime::NamespaceKind::Network);
    measure("run true, network shared", || run(&bare));
    let sleeping = Bed::new(&["sleep", "60"]).grouped();
    let running = sleeping.start();
    measure("exec true", || {
        assert_eq!(running.exec(&process(&["true"])).expect("execs").code, 0);
    });
    running.kill();
}
