//! `pause` and `unpause`.

use testkit::ms;

#[test]
fn a_paused_container_makes_no_progress_until_unpaused() {
    let engine = testkit::engine();
    let container =
        engine.run("busybox sh -c 'while :; do i=$((i+1)); echo $i >/new; mv /new /tick; done'");
    container.await_file("/tick");
    engine.ok(&format!("pause {}", container.id()));
    assert_eq!(container.state(), "paused");
    let before = container.read("/tick");
    assert_eq!(before, container.after(ms(300)).read("/tick"));
    engine.ok(&format!("unpause {}", container.id()));
    assert_eq!(container.state(), "running");
    assert_ne!(before, container.after(ms(300)).read("/tick"));
}

#[test]
fn pausing_twice_and_waking_the_wakeful_are_refused() {
    let engine = testkit::engine();
    drop(engine.run("--name nap busybox sleep 60"));
    let error = engine.fails(1, "unpause nap");
    assert!(error.contains("is not paused"), "{error}");
    engine.ok("pause nap");
    let error = engine.fails(1, "pause nap");
    assert!(error.contains("already paused"), "{error}");
}

#[test]
fn a_paused_container_can_be_removed_by_force() {
    let engine = testkit::engine();
    let container = engine.run("--name nap busybox sleep 60");
    let pid = container.pid();
    engine.ok("pause nap");
    engine.ok("rm -f nap");
    testkit::eventually("its process is gone", || !testkit::proc::is_alive(pid));
}
