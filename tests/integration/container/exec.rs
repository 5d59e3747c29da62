//! `exec`: one more process in a running container.

use testkit::{eventually, proc};

#[test]
fn a_command_runs_inside_and_its_exit_code_is_ours() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let output = engine
        .cli(&format!(
            "exec {} sh -c 'echo out; echo err >&2; exit 9'",
            container.id()
        ))
        .run();
    assert_eq!(output.code, 9);
    assert_eq!(
        (output.text(), output.error()),
        ("out".into(), "err".into())
    );
}

#[test]
fn standard_input_goes_in_with_i() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let input = vec![b'x'; 3_000_000];
    let output = engine
        .cli(&format!("exec -i {} wc -c", container.id()))
        .with_input(&input);
    assert_eq!(output.success().trim(), "3000000");
}

#[test]
fn missing_and_not_executable_have_their_codes() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let output = engine
        .cli(&format!("exec {} no-such-program", container.id()))
        .run();
    // The peer of this age says 126, and says why on standard output.
    assert!(output.code == 127 || testkit::Engine::is_peer());
    let said = output.error() + &output.text();
    assert!(
        said.contains("executable file not found in $PATH"),
        "{said}"
    );
    engine.fails(126, &format!("exec {} /etc/passwd", container.id()));
    engine.fails(1, "exec no-such-container true");
    assert_eq!(container.state(), "running", "a failed exec does no harm");
}

#[test]
fn user_folder_and_environment_are_what_was_asked_for() {
    let engine = testkit::engine();
    let container = engine.run("-e OUTER=1 busybox sleep 60");
    let text = engine.ok(&format!(
        "exec -u guest -w /etc -e INNER=2 {} sh -c 'id -un; pwd; echo $OUTER$INNER'",
        container.id()
    ));
    assert_eq!(text, "guest\n/etc\n12");
}

#[test]
fn the_process_shares_namespaces_cgroup_and_rights_with_the_container() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    engine.ok(&format!("exec -d {} sleep 77", container.id()));
    let find = || {
        proc::pids().into_iter().find(|pid| {
            proc::read(*pid, "cmdline").is_some_and(|line| line == "sleep\x0077\0")
                && proc::namespace(*pid, "pid") == proc::namespace(container.pid(), "pid")
        })
    };
    eventually("the second process runs", || find().is_some());
    let second = find().expect("it was there a moment ago");
    let first = container.pid();
    for kind in ["pid", "mnt", "uts", "ipc", "net"] {
        assert_eq!(
            proc::namespace(second, kind),
            proc::namespace(first, kind),
            "{kind}"
        );
    }
    assert_eq!(proc::read(second, "cgroup"), proc::read(first, "cgroup"));
    for field in ["CapEff", "CapBnd", "Seccomp", "NoNewPrivs"] {
        assert_eq!(
            proc::status(second, field),
            proc::status(first, field),
            "{field}"
        );
    }
}

#[test]
fn privileged_gives_the_process_more_than_the_container_has() {
    if testkit::Engine::is_peer() && !testkit::grants_all_capabilities() {
        return testkit::skip("the peer asks for capabilities that this machine does not grant");
    }
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    let plain = container.exec("grep CapEff /proc/self/status");
    let privileged = engine.ok(&format!(
        "exec --privileged {} grep CapEff /proc/self/status",
        container.id()
    ));
    assert_ne!(plain, privileged);
}

#[test]
fn a_stopped_or_paused_container_refuses() {
    let engine = testkit::engine();
    let container = engine.run("--name quiet busybox sleep 60");
    engine.ok("pause quiet");
    let error = engine.fails(1, "exec quiet true");
    assert!(error.contains("is paused"), "{error}");
    engine.ok("unpause quiet");
    engine.ok("kill quiet");
    container.await_state("exited");
    let error = engine.fails(1, "exec quiet true");
    assert!(error.contains("is not running"), "{error}");
}

#[test]
fn a_hundred_execs_in_a_row_leave_no_process() {
    let engine = testkit::engine();
    let container = engine.run("busybox sleep 60");
    for _ in 0..100 {
        container.exec("true");
    }
    let pids = engine.ok(&format!("top {} -o pid", container.id()));
    assert_eq!(pids.lines().count(), 2, "{pids}");
}
