//! Restart policies and `restart`.

use testkit::{eventually, ms};

fn count(container: &testkit::Container<'_>) -> i64 {
    container.inspect()["RestartCount"].as_i64().unwrap_or(-1)
}

#[test]
fn on_failure_tries_so_often_and_no_more() {
    let engine = testkit::engine();
    let container = engine.run("--restart on-failure:3 busybox sh -c 'echo try; exit 1'");
    eventually("it has given up", || {
        container.state() == "exited" && count(&container) == 3
    });
    std::thread::sleep(ms(500));
    assert_eq!(container.logs().0, "try\ntry\ntry\ntry");
    let content = engine.run("--restart on-failure busybox true");
    content.wait();
    std::thread::sleep(ms(300));
    assert_eq!((content.state().as_str(), count(&content)), ("exited", 0));
}

#[test]
fn always_means_always_until_stopped_by_hand() {
    let engine = testkit::engine();
    let container = engine.run("--restart always busybox sh -c 'sleep 0.2'");
    eventually("it was started again", || count(&container) >= 2);
    engine.ok(&format!("stop -t 1 {}", container.id()));
    let after = count(&container);
    std::thread::sleep(ms(1500));
    assert_eq!(container.state(), "exited");
    assert_eq!(count(&container), after);
}

#[test]
fn a_quick_failure_waits_longer_each_time() {
    let engine = testkit::engine();
    let container = engine.run("--restart always busybox sh -c 'date +%s.%N >> /times; exit 1'");
    eventually("four tries", || count(&container) >= 4);
    let begun = std::time::Instant::now();
    let before = count(&container);
    eventually("two more", || count(&container) >= before + 2);
    assert!(begun.elapsed() > ms(1000), "{:?}", begun.elapsed());
}

#[test]
fn restart_is_a_new_process_in_the_same_container() {
    let engine = testkit::engine();
    let container = engine.run("busybox sh -c 'echo started >> /starts; sleep 60'");
    container.await_file("/starts");
    let pid = container.pid();
    engine.ok(&format!("restart -t 1 {}", container.id()));
    assert_ne!(container.pid(), pid);
    eventually("both starts are told", || {
        container.read("/starts") == "started\nstarted\n"
    });
}

#[test]
fn a_policy_and_rm_do_not_go_together() {
    let engine = testkit::engine();
    let error = engine.fails(125, "run --rm --restart always busybox true");
    assert!(error.to_lowercase().contains("conflict"), "{error}");
    engine.fails(125, "run --restart sometimes busybox true");
}
