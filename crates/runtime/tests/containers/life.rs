//! Create, start, end; terminals; our own pid 1; hooks.

use std::os::fd::{AsFd, OwnedFd};

use oci::runtime::{ConsoleSize, Hook, Hooks};
use runtime::Stdio;

use crate::Test;
use crate::testbed::{Bed, Streams, strings, wait};

pub(crate) const TESTS: &[Test] = &[
    ("the_program_s_status_is_ours", status_is_passed),
    ("a_created_container_waits_for_its_start", waits_for_start),
    (
        "a_created_container_ends_with_its_creator_s_interest",
        dropped,
    ),
    ("a_terminal_is_the_container_s_own", terminal),
    ("our_pid_1_reaps_and_passes_signals_on", reaper),
    (
        "our_pid_1_gives_the_terminal_to_the_program",
        reaper_terminal,
    ),
    ("hooks_run_at_their_places", hooks),
    ("a_failed_hook_ends_the_container", failed_hook),
    ("home_comes_from_the_container_s_passwd", home),
];

fn status_is_passed() {
    assert_eq!(Bed::new(&["true"]).run().expect("runs").code, 0);
    assert_eq!(Bed::sh("exit 42").run().expect("runs").code, 42);
    assert_eq!(
        Bed::sh("kill -9 $$; sleep 5").run().expect("runs").code,
        0,
        "pid 1 cannot kill itself"
    );
}

fn waits_for_start() {
    let bed = Bed::sh("echo ran");
    let streams = Streams::new();
    let created = runtime::create(bed.create(streams.stdio())).expect("created");
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", created.pid)).expect("it lives");
    assert!(
        status.contains("NSpid:")
            && status
                .lines()
                .any(|l| l.starts_with("NSpid:") && l.ends_with("\t1")),
        "{status}"
    );
    let started = created.start().expect("started");
    let outcome = streams.collect(&started.pidfd);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "ran\n"));
}

fn dropped() {
    let bed = Bed::sh("echo ran");
    let streams = Streams::new();
    let created = runtime::create(bed.create(streams.stdio())).expect("created");
    let pidfd = created.pidfd.try_clone().expect("dup");
    drop(created);
    let outcome = streams.collect(&pidfd);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (125, ""));
}

fn read_until_end(master: &OwnedFd) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    // The last slave closed: EIO.
    while let Ok(len) = rustix::io::read(master, &mut buffer) {
        all.extend_from_slice(&buffer[..len]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn terminal() {
    let mut bed = Bed::sh(
        "tty; stty size; test -c /dev/console && echo console; echo < /dev/tty > /dev/tty; ls -l /dev/ptmx",
    );
    bed.process().terminal = true;
    bed.process().console_size = Some(ConsoleSize {
        height: 33,
        width: 99,
    });
    let started = runtime::run(bed.create(Stdio::Terminal)).expect("started");
    let master = started.console.expect("a terminal was asked for");
    rustix::io::write(&master, b"\n").expect("the terminal takes input");
    let said = read_until_end(&master);
    assert_eq!(wait(&started.pidfd), 0, "{said}");
    assert!(
        said.contains("/dev/pts/0\r\n") && said.contains("33 99") && said.contains("console"),
        "{said}"
    );
    assert!(said.contains("pts/ptmx"), "{said}");
}

fn reaper() {
    let mut bed = Bed::sh(
        "trap 'echo got; exit 7' TERM; (sleep 0.1 &) ; echo $$; while :; do sleep 0.05; done",
    );
    bed.init_reaper = true;
    let running = bed.start();
    std::thread::sleep(std::time::Duration::from_millis(400));
    // The orphan ended long ago; a zombie that is there for a moment has the shell as its parent.
    let inside = running.exec_sh(
        "awk '$3 == \"Z\" && $4 == 1' /proc/[0-9]*/stat; cat /proc/1/comm; readlink /proc/1/fd/0",
    );
    // A pid 1 of ours is not dumpable: even the container's root may not look at what it has open.
    assert_eq!(
        (inside.code, inside.stdout.as_str()),
        (1, "estiva-init\n"),
        "{inside:?}"
    );
    running.signal(15);
    let outcome = running.end();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (7, "2\ngot\n"));
}

fn reaper_terminal() {
    let mut bed = Bed::sh("read line < /dev/tty; echo \"<$line>\"");
    bed.process().terminal = true;
    bed.init_reaper = true;
    let started = runtime::run(bed.create(Stdio::Terminal)).expect("started");
    let master = started.console.expect("a terminal was asked for");
    rustix::io::write(&master, b"hello\n").expect("the terminal takes input");
    let said = read_until_end(&master);
    assert_eq!(wait(&started.pidfd), 0, "{said}");
    assert!(said.contains("<hello>"), "{said}");
}

fn hook(script: String) -> Vec<Hook> {
    vec![Hook {
        path: "/bin/sh".into(),
        args: vec!["sh".to_owned(), "-c".to_owned(), script],
        env: strings(&["PATH=/bin:/usr/bin"]),
        timeout: Some(20),
    }]
}

fn hooks() {
    let mut bed = Bed::sh("cat /from-hook; echo program");
    let log = bed.dir.join("log");
    let note = |word: &str| hook(format!("echo {word} $(hostname) >> {}", log.display()));
    bed.spec.hooks = Some(Hooks {
        prestart: note("prestart"),
        create_runtime: hook(format!("cat > {}", bed.dir.join("state").display())),
        create_container: note("createContainer"),
        start_container: hook("echo from inside > /from-hook".to_owned()),
        poststart: note("poststart"),
        ..Hooks::default()
    });
    let outcome = bed.run().expect("runs");
    assert_eq!(outcome.stdout, "from inside\nprogram\n");
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let expected = format!("prestart {host}\ncreateContainer testbed\npoststart {host}\n");
    assert_eq!(
        std::fs::read_to_string(&log).expect("hooks wrote it"),
        expected
    );
    let state = std::fs::read_to_string(bed.dir.join("state")).expect("a hook wrote it");
    assert!(
        state.contains(&format!("\"id\":\"{}\"", bed.id)) && state.contains("\"pid\":"),
        "{state}"
    );
}

fn failed_hook() {
    let mut bed = Bed::sh("echo ran");
    bed.spec.hooks = Some(Hooks {
        create_runtime: hook("echo broken >&2; exit 1".to_owned()),
        ..Hooks::default()
    });
    let error = bed.run().expect_err("the hook fails");
    let text = fault::chain(&error);
    assert!(
        text.contains("createRuntime hook #0") && text.contains("broken"),
        "{text}"
    );
    assert_eq!(error.exit_code(), 125);
    assert!(
        rustix::process::wait(rustix::process::WaitOptions::NOHANG).is_err(),
        "no child is left"
    );
}

fn home() {
    let mut bed = Bed::sh("echo $HOME");
    assert_eq!(bed.output(), "/root\n");
    bed.process().user.uid = 1000;
    assert_eq!(bed.output(), "/home/user\n");
    bed.process().env.push("HOME=/x".to_owned());
    assert_eq!(bed.output(), "/x\n");
    let streams = Streams::new();
    drop(streams.stdio());
    let _ = rustix::stdio::stdin().as_fd();
}
