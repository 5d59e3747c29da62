//! The daemon may die at any time.

use shim::protocol::{Event, Target};

use crate::testkit::{Kit, Test, await_that, read_until, type_in};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("the_next_daemon_is_greeted_with_what_runs", greeting),
    ("output_during_the_daemons_absence_is_in_the_log", absence),
    (
        "a_container_that_ends_alone_leaves_its_record_and_no_shim",
        alone,
    ),
    ("an_attached_client_outlives_the_daemon", client),
    ("a_shim_outlives_its_spawner", spawner_gone),
    ("a_newer_connection_replaces_the_older", newer),
];

fn greeting(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    container.exec("e", "sleep 100", false, false);
    let exec_pid = container.expect(|event| match event {
        Event::ExecStarted { pid, .. } => Some(*pid),
        _ => None,
    });
    container.disconnect();
    let Event::Hello { pid, execs, exit } = container.reconnect() else {
        panic!("the first event is Hello");
    };
    assert_eq!(pid, Some(container.pid));
    assert_eq!(execs, [("e".to_owned(), exec_pid)]);
    assert_eq!(exit, None);
    container.signal(9, false);
    assert_eq!(container.wait().code, 137);
}

fn absence(kit: &Kit) {
    let mut container = kit.run("seq 1 200000; echo over; sleep 100");
    container.disconnect();
    container.await_log("over\n");
    let expect: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(container.log_text() == expect + "over\n");
    container.reconnect();
    container.signal(9, false);
    container.wait();
}

fn alone(kit: &Kit) {
    let mut container = kit.run("sleep 0.2; echo bye; exit 4");
    container.disconnect();
    await_that("the shim's end", || !container.is_connected_to_shim());
    assert_eq!(container.exit_record().expect("a record").code, 4);
    assert_eq!(container.log_text(), "bye\n");
    assert!(container.cgroup_folders().is_empty());
}

fn client(kit: &Kit) {
    let mut container = kit
        .prepare("while read x; do echo got $x; done")
        .terminal()
        .spawn();
    let client = container.attach(Target::Init, true, b"");
    container.start();
    type_in(&client, b"one\n");
    read_until(&client, "got one\r\n");
    container.disconnect();
    type_in(&client, b"two\n");
    read_until(&client, "got two\r\n");
    container.reconnect();
    container.signal(9, true);
    container.wait();
}

fn newer(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    // The first connection is still open when the second comes.
    let first = container.swap_connection();
    assert!(matches!(first, Event::Hello { pid: Some(_), .. }));
    container.signal(9, false);
    assert_eq!(container.wait().code, 137);
}

fn spawner_gone(_kit: &Kit) {
    let kit = Kit::new(shim::spawner::start().expect("a second spawner"));
    let spawner = kit.spawner_pid();
    let mut container = kit.run("echo up; sleep 0.3; echo still; exit 5");
    let _folder = kit.stop_spawner();
    assert!(!std::path::Path::new(&format!("/proc/{spawner}")).exists());
    assert_eq!(container.wait().code, 5);
    assert_eq!(container.log_text(), "up\nstill\n");
}
