//! More processes in a running container.

use shim::protocol::{Event, Request, Target};

use crate::testkit::{Kit, Test, close_input, process, read_all, read_until, type_in, unframe};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("an_exec_gives_its_output_and_its_code", output),
    ("an_exec_reads_its_input_to_the_end", input),
    ("an_exec_may_have_a_terminal", terminal),
    ("several_execs_run_at_once", several),
    ("a_missing_program_is_told_with_127", missing),
    (
        "an_exec_that_leaves_a_child_with_its_output_ends",
        grandchild,
    ),
    ("execs_end_with_their_container", with_container),
    ("an_exec_can_be_signalled", signal),
];

fn target(id: &str) -> Target {
    Target::Exec(id.to_owned())
}

fn output(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    let client = container.attach(target("e"), false, b"");
    container.exec(
        "e",
        "echo out; echo err >&2; readlink /proc/1/exe; exit 9",
        false,
        false,
    );
    let pid = container.expect(|event| match event {
        Event::ExecStarted { id, pid } if id == "e" => Some(*pid),
        _ => None,
    });
    assert!(pid > 1);
    let (out, err) = unframe(&read_all(&client));
    assert_eq!(String::from_utf8_lossy(&out), "out\n/bin/busybox\n");
    assert_eq!(err, b"err\n");
    assert_eq!(container.exec_code("e"), 9);
    assert!(
        !container.launch.run_dir.join("exec-e.json").exists(),
        "the order is removed"
    );
    assert_eq!(container.log_text(), "", "an exec's output is not logged");
}

fn input(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    let client = container.attach(target("e"), true, b"");
    type_in(&client, b"early ");
    container.exec("e", "cat; echo .", true, false);
    type_in(&client, b"and late");
    close_input(&client);
    let (out, _) = unframe(&read_all(&client));
    assert_eq!(String::from_utf8_lossy(&out), "early and late.\n");
    assert_eq!(container.exec_code("e"), 0);
}

fn terminal(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    let client = container.attach(target("e"), true, b"");
    container.exec("e", "tty; read x; stty size; echo $x", true, true);
    let seen = read_until(&client, "/dev/");
    assert!(seen.contains("/dev/pts/"), "{seen:?}");
    container.send(&Request::Resize {
        target: target("e"),
        height: 5,
        width: 6,
    });
    type_in(&client, b"word\n");
    let seen = read_until(&client, "word\r\n5 6\r\nword\r\n");
    assert!(seen.contains("5 6"));
    assert_eq!(container.exec_code("e"), 0);
}

fn several(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    for n in 0..10 {
        container.exec(
            &format!("e{n}"),
            &format!("sleep 0.{n}; exit {n}"),
            false,
            false,
        );
    }
    for n in 0..10 {
        assert_eq!(container.exec_code(&format!("e{n}")), n);
    }
}

fn missing(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    let client = container.attach(target("e"), false, b"");
    container.exec_process("e", process(&["no-such-program"]), false);
    let failure = container.expect(|event| match event {
        Event::ExecFailed { id, failure } if id == "e" => Some(failure.clone()),
        _ => None,
    });
    assert_eq!(failure.code, 127, "{}", failure.message);
    assert!(
        failure
            .message
            .contains("executable file not found in $PATH"),
        "{}",
        failure.message
    );
    assert!(read_all(&client).is_empty());
}

fn grandchild(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    let begin = std::time::Instant::now();
    container.exec("e", "sleep 50 & echo started", false, false);
    assert_eq!(container.exec_code("e"), 0);
    assert!(begin.elapsed().as_secs() < 10);
}

fn with_container(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    container.exec("e", "sleep 100", false, false);
    container.expect(|event| matches!(event, Event::ExecStarted { .. }).then_some(()));
    container.signal(9, false);
    assert_eq!(container.exec_code("e"), 137);
    assert_eq!(container.wait().code, 137);
}

fn signal(kit: &Kit) {
    let mut container = kit.run("sleep 100");
    container.exec("e", "exec sleep 100", false, false);
    container.expect(|event| matches!(event, Event::ExecStarted { .. }).then_some(()));
    container.send(&Request::Signal {
        target: target("e"),
        signal: 15,
        all: false,
    });
    assert_eq!(container.exec_code("e"), 143);
}
