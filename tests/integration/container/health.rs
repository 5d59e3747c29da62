//! Health checks.

use std::time::Duration;
use testkit::within;

#[test]
fn health_follows_what_the_check_says() {
    let engine = testkit::engine();
    let container = engine.run(
        "--health-cmd 'test -e /well' --health-interval 300ms --health-retries 2 --health-timeout 5s busybox sleep 60",
    );
    let health = || {
        container.inspect()["State"]["Health"]["Status"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    assert_eq!(health(), "starting");
    let limit = Duration::from_secs(15);
    within(limit, "it is found unhealthy", || health() == "unhealthy");
    container.exec("touch /well");
    within(limit, "it is found healthy", || health() == "healthy");
    let state = container.inspect();
    let last = state["State"]["Health"]["Log"]
        .as_array()
        .expect("a log")
        .last()
        .expect("a check")
        .clone();
    assert_eq!(last["ExitCode"], 0);
    assert!(engine.ok("ps --format '{{.Status}}'").contains("(healthy)"));
}

#[test]
fn a_check_that_takes_too_long_counts_as_failed() {
    let engine = testkit::engine();
    let container = engine.run(
        "--health-cmd 'sleep 30' --health-interval 200ms --health-retries 1 --health-timeout 500ms busybox sleep 60",
    );
    within(Duration::from_secs(15), "it is found unhealthy", || {
        container.inspect()["State"]["Health"]["Status"] == "unhealthy"
    });
}

#[test]
fn an_images_check_can_be_switched_off() {
    let engine = testkit::engine();
    let container = engine.run("--no-healthcheck busybox sleep 60");
    assert!(container.inspect()["State"]["Health"].is_null());
}
