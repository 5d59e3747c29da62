//! How containers end: codes, records, and what must be gone.

use shim::protocol::{Event, Request};

use crate::testkit::{Kit, Test, await_that};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("an_oom_kill_of_a_child_is_told_at_once", oom_of_a_child),
    ("a_container_writes_its_log_and_its_exit_record", record),
    ("a_signal_is_told_as_128_and_its_number", signal),
    (
        "a_missing_command_fails_with_127_and_leaves_nothing",
        missing,
    ),
    ("a_missing_launch_order_is_told", no_order),
    ("the_cgroup_is_gone_when_the_end_is_told", cgroup_gone),
    ("forget_ends_the_shim", forget),
    ("a_shim_that_nobody_asks_to_start_leaves", never_started),
    ("a_whole_container_can_be_signalled", signal_all),
    ("running_out_of_memory_is_told", oom),
];

fn record(kit: &Kit) {
    let mut container = kit.run("echo one; echo two >&2; printf three; exit 7");
    let exit = container.wait();
    assert_eq!((exit.code, exit.oom_killed), (7, false));
    assert!(exit.started_unix_nanos < exit.at_unix_nanos);
    assert_eq!(container.exit_record(), Some(exit));
    let mut lines: Vec<_> = container
        .log_entries()
        .into_iter()
        .map(|e| (e.stream, String::from_utf8(e.line).expect("text")))
        .collect();
    lines.sort_by_key(|(stream, _)| *stream == logs::Stream::Stderr);
    assert_eq!(
        lines,
        [
            (logs::Stream::Stdout, "one\n".to_owned()),
            (logs::Stream::Stdout, "three".to_owned()),
            (logs::Stream::Stderr, "two\n".to_owned()),
        ]
    );
}

fn signal(kit: &Kit) {
    let mut container = kit.run("echo up; exec sleep 100");
    container.await_log("up");
    container.signal(9, false);
    assert_eq!(container.wait().code, 137);
}

fn missing(kit: &Kit) {
    let mut prepared = kit.prepare("");
    prepared.process().args = vec!["no-such-program".to_owned()];
    let mut container = prepared.spawn();
    container.send(&Request::Start);
    let failure = container.expect(|event| match event {
        Event::Failed(failure) => Some(failure.clone()),
        _ => None,
    });
    assert_eq!(failure.code, 127, "{}", failure.message);
    assert!(
        failure
            .message
            .contains("exec: \"no-such-program\": executable file not found in $PATH"),
        "{}",
        failure.message
    );
    await_that("the shim's end", || !container.is_connected_to_shim());
    assert!(container.cgroup_folders().is_empty());
    assert!(!container.launch.run_dir.join("shim.sock").exists());
}

fn no_order(kit: &Kit) {
    let mut container = kit.prepare("true").spawn_without_order();
    let failure = container.expect(|event| match event {
        Event::Failed(failure) => Some(failure.clone()),
        _ => None,
    });
    assert!(
        failure.message.contains("launch.json"),
        "{}",
        failure.message
    );
}

fn cgroup_gone(kit: &Kit) {
    let mut container = kit.run("echo up; sleep 100");
    container.await_log("up");
    assert!(
        !container.cgroup_folders().is_empty(),
        "it has a cgroup while it runs"
    );
    container.signal(9, false);
    container.wait();
    assert_eq!(container.cgroup_folders(), Vec::<std::path::PathBuf>::new());
}

fn forget(kit: &Kit) {
    let mut container = kit.run("true");
    container.wait();
    assert!(container.is_connected_to_shim(), "it stays until told");
    container.send(&Request::Forget);
    await_that("the shim's end", || !container.is_connected_to_shim());
    assert!(!container.launch.run_dir.join("shim.sock").exists());
}

fn never_started(kit: &Kit) {
    let mut container = kit.prepare("true").spawn();
    await_that("the socket", || {
        container.launch.run_dir.join("shim.sock").exists()
    });
    container.disconnect();
    await_that("the shim's end", || !container.is_connected_to_shim());
}

fn signal_all(kit: &Kit) {
    // The pause is for the children to become `sleep`: until then they have the shell's trap.
    let mut container =
        kit.run("trap : TERM; sleep 100 & sleep 100 & sleep 0.3; echo up; wait; wait; exit 3");
    container.await_log("up");
    container.signal(15, true);
    assert_eq!(
        container.wait().code,
        3,
        "the children ended, the shell went on"
    );
}

/// The victim is a child: the container goes on, and it is told nevertheless, once.
fn oom_of_a_child(kit: &Kit) {
    let mut prepared = kit.prepare("tail /dev/zero; echo survived; sleep 100");
    let linux = prepared.launch.spec.linux.as_mut();
    let resources = linux.expect("made by the kit").resources.as_mut();
    resources.expect("made by the kit").memory = Some(oci::runtime::Memory {
        limit: Some(24 << 20),
        swap: Some(24 << 20),
        ..oci::runtime::Memory::default()
    });
    let mut container = prepared.start();
    container.expect(|event| matches!(event, Event::Oom).then_some(()));
    container.await_log("survived");
    container.signal(9, false);
    assert!(container.wait().oom_killed);
    let again = container.expect_within(std::time::Duration::ZERO, |event| {
        matches!(event, Event::Oom).then_some(())
    });
    assert_eq!(again, None, "one kill is told once");
}

fn oom(kit: &Kit) {
    let mut prepared = kit.prepare("exec tail /dev/zero");
    let linux = prepared
        .launch
        .spec
        .linux
        .as_mut()
        .expect("made by the kit");
    let resources = linux.resources.as_mut().expect("made by the kit");
    resources.memory = Some(oci::runtime::Memory {
        limit: Some(24 << 20),
        swap: Some(24 << 20),
        ..oci::runtime::Memory::default()
    });
    let mut container = prepared.start();
    let exit = container.wait();
    assert_eq!((exit.code, exit.oom_killed), (137, true));
}
