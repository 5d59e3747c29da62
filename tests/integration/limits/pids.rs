//! The number of processes.

#[test]
fn one_more_than_the_limit_cannot_be_forked() {
    let engine = testkit::engine();
    let output = engine
        .cli("run --rm --pids-limit 6 busybox sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait'")
        .run();
    assert_ne!(output.code, 0);
    assert!(
        output.error().contains("Resource temporarily unavailable"),
        "{}",
        output.error()
    );
}

#[test]
fn the_kernel_counted_and_refused() {
    let engine = testkit::engine();
    let container = engine.run(
        "--pids-limit 5 busybox sh -c 'for i in 1 2 3; do sleep 600 & done; echo ready; sleep 600; true'",
    );
    container.await_log("ready");
    assert_eq!(container.cgroup("pids", "pids.max", "pids.max"), "5");
    testkit::eventually("all run", || {
        container.cgroup("pids", "pids.current", "pids.current") == "5"
    });
    let output = engine
        .cli(&format!("exec {} sh -c 'sleep 1 & wait'", container.id()))
        .run();
    assert_ne!(output.code, 0);
    // Where the kernel makes the process right in its cgroup, already the shell finds no room.
    let said = output.error() + &output.text();
    let refused = ["fork", "temporarily unavailable"]
        .iter()
        .any(|word| said.contains(word));
    assert!(refused, "{said}");
    assert_eq!(container.state(), "running");
}
