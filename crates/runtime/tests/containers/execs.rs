//! One more process in a running container.

use std::os::fd::AsFd;

use runtime::{Error, Exec, Stdio};

use crate::Test;
use crate::testbed::{Bed, process, wait};

pub(crate) const TESTS: &[Test] = &[
    ("an_exec_is_in_all_of_the_container", inside),
    ("an_exec_has_the_rights_of_its_process", rights),
    ("an_exec_has_only_three_descriptors", descriptors),
    ("an_exec_that_fails_tells_why", failures),
    ("an_exec_has_a_terminal_of_the_container", terminal),
    ("an_exec_in_an_ended_container_is_refused", ended),
];

fn inside() {
    let bed = Bed::new(&["sleep", "5"]).grouped();
    let running = bed.start();
    let outcome = running.exec_sh("for n in pid net mnt ipc uts cgroup; do test $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) || echo $n; done; hostname; pwd; echo $HOME; exit 5");
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (5, "testbed\n/\n/root\n"),
        "{outcome:?}"
    );
    let mut sleeper = process(&["sleep", "3"]);
    sleeper.cwd = "/tmp".to_owned();
    let streams = crate::testbed::Streams::new();
    let made = runtime::exec(Exec {
        id: &bed.id,
        init: running.started.pidfd.as_fd(),
        spec: &bed.spec,
        process: &sleeper,
        bundle: None,
        seccomp: None,
        cgroup: bed.cgroup.as_ref(),
        stdio: streams.stdio(),
        manner: runtime::Manner::default(),
    })
    .expect("runs");
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", made.pid)).expect("it runs");
    assert!(
        groups.lines().all(|line| line.ends_with(&bed.id)),
        "{groups}"
    );
    let cwd = std::fs::read_link(format!("/proc/{}/cwd", made.pid)).expect("it runs");
    assert!(cwd.ends_with("tmp"), "{cwd:?}");
    // The container's end is the end of its execs; and it has not ended before they have been waited for.
    running.signal(9);
    assert_eq!(wait(&made.pidfd), 137);
    assert_eq!(running.end().code, 137);
    let pid_namespace = std::fs::read_link("/proc/self/ns/pid_for_children").expect("procfs");
    assert_eq!(
        pid_namespace,
        std::fs::read_link("/proc/self/ns/pid").expect("procfs")
    );
}

fn rights() {
    let bed = Bed::new(&["sleep", "5"]);
    let running = bed.start();
    let mut wanted = process(&["cat", "/proc/self/status"]);
    wanted.user.uid = 1000;
    wanted.user.additional_gids = vec![9];
    wanted.no_new_privileges = true;
    let said = running.exec(&wanted).expect("runs").stdout;
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t00000000a80425fb",
        "CapInh:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Uid:\t1000\t1000\t1000\t1000",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    running.kill();
}

fn descriptors() {
    let bed = Bed::new(&["sleep", "5"]);
    let running = bed.start();
    assert_eq!(running.exec_sh("ls /proc/self/fd | wc -l").stdout, "4\n");
    running.kill();
}

fn failures() {
    let bed = Bed::new(&["sleep", "5"]);
    let running = bed.start();
    let fails = |args: &[&str]| {
        let error = running.exec(&process(args)).expect_err("no such program");
        (error.exit_code(), fault::chain(&error))
    };
    assert_eq!(
        fails(&["nope"]),
        (
            127,
            "exec: \"nope\": executable file not found in $PATH".to_owned()
        )
    );
    assert_eq!(
        fails(&["/etc/passwd"]),
        (126, "exec: \"/etc/passwd\": permission denied".to_owned())
    );
    let mut lost = process(&["true"]);
    lost.cwd = "/nowhere".to_owned();
    let error = running.exec(&lost).expect_err("no such folder");
    assert!(fault::chain(&error).contains("chdir to cwd (\"/nowhere\")"));
    running.kill();
}

fn terminal() {
    let bed = Bed::new(&["sleep", "5"]);
    let running = bed.start();
    let mut wanted = process(&["sh", "-c", "tty; stty size"]);
    wanted.terminal = true;
    wanted.console_size = Some(oci::runtime::ConsoleSize {
        height: 11,
        width: 22,
    });
    let made = runtime::exec(Exec {
        id: &bed.id,
        init: running.started.pidfd.as_fd(),
        spec: &bed.spec,
        process: &wanted,
        bundle: None,
        seccomp: None,
        cgroup: None,
        stdio: Stdio::Terminal,
        manner: runtime::Manner::default(),
    })
    .expect("runs");
    let master = made.console.expect("a terminal was asked for");
    assert_eq!(wait(&made.pidfd), 0);
    // What was written comes in as many pieces as the terminal likes, and then the error of one that nobody holds.
    let mut said = Vec::new();
    let mut piece = [0; 200];
    while let Ok(len @ 1..) = rustix::io::read(&master, &mut piece) {
        said.extend_from_slice(&piece[..len]);
    }
    assert_eq!(String::from_utf8_lossy(&said), "/dev/pts/0\r\n11 22\r\n");
    running.kill();
}

fn ended() {
    let bed = Bed::new(&["true"]);
    let running = bed.start();
    while rustix::event::poll(
        &mut [rustix::event::PollFd::new(
            &running.started.pidfd,
            rustix::event::PollFlags::IN,
        )],
        None,
    )
    .is_err()
    {}
    let error = running.exec(&process(&["true"])).expect_err("it has ended");
    assert!(
        matches!(error, Error::NotRunning),
        "{}",
        fault::chain(&error)
    );
    running.kill();
}
