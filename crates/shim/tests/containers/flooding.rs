//! Floods of output: how fast they are stored, and that they disturb nobody.

use std::time::Instant;

use rustix::process::{Pid, Signal};
use shim::protocol::Target;

use crate::testkit::{Container, Kit, Prepared, Test, read_until, type_in};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a_flood_of_short_lines_is_stored", short_lines),
    ("a_flood_of_usual_lines_is_stored", usual_lines),
    ("a_flood_slows_no_other_container", neighbours),
    ("a_log_behind_a_link_is_refused", link),
    ("a_log_that_may_lag_stops_no_program", lagging),
];

/// Megabytes of a flood: unoptimised code gets less, so that the test stays short.
const FLOOD: u32 = if cfg!(debug_assertions) { 10 } else { 1000 };

#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn measure(what: &str, prepared: Prepared<'_>, megabytes: u32) -> Container {
    let begin = Instant::now();
    let mut container = prepared.start();
    assert_eq!(container.wait().code, 0);
    let seconds = begin.elapsed().as_secs_f64();
    let busy = cpu_seconds(container.shim);
    println!(
        "{what}: {:.0} MB/s, {:.0} MB per second of the shim's CPU",
        f64::from(megabytes) / seconds,
        f64::from(megabytes) / busy
    );
    container
}

/// User and system time of a process. See proc_pid_stat(5), fields 14 and 15, in hundredths of a second.
fn cpu_seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let ticks: f64 = stat
        .rsplit(')')
        .next()
        .expect("fields after the name")
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().expect("a number"))
        .sum();
    ticks.max(1.0) / 100.0
}

/// A program that writes a flood of such lines as fast as a program can: busybox's own `yes` and `head` are slow.
fn flood<'kit>(kit: &'kit Kit, line: &str, driver: &str, megabytes: u32) -> Prepared<'kit> {
    let chunk: u32 = 10;
    let file = kit.rootfs().join(format!("tmp/flood-{}", line.len()));
    if !file.exists() {
        let lines = (chunk as usize * 1_000_000).div_ceil(line.len());
        std::fs::write(&file, line.repeat(lines)).expect("write");
    }
    let script = format!(
        "for n in $(seq {}); do cat /tmp/flood-{}; done",
        megabytes / chunk,
        line.len()
    );
    kit.prepare(&script).log(driver, &[])
}

fn short_lines(kit: &Kit) {
    for (driver, megabytes) in [("json-file", FLOOD / 10), ("local", FLOOD), ("none", FLOOD)] {
        let prepared = flood(kit, "y\n", driver, megabytes.max(10));
        let what = format!("2-byte lines into {driver}");
        let container = measure(&what, prepared, megabytes.max(10));
        if driver == "local" {
            let text = container.log_text();
            assert!(text.len() >= 10_000_000 && text.as_bytes().chunks(2).all(|l| l == b"y\n"));
        }
    }
}

fn usual_lines(kit: &Kit) {
    let line = "x".repeat(119) + "\n";
    for driver in ["json-file", "local"] {
        let prepared = flood(kit, &line, driver, FLOOD);
        let container = measure(&format!("120-byte lines into {driver}"), prepared, FLOOD);
        let entries = container.log_entries();
        assert!(entries.len() > 10_000);
        assert!(
            entries.iter().all(|e| e.line == line.as_bytes()),
            "no line is torn"
        );
    }
}

fn neighbours(kit: &Kit) {
    let mut loud = kit.run("yes > /proc/self/fd/1");
    let mut times = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        let mut quiet = kit.run("echo hi");
        assert_eq!(quiet.wait().code, 0);
        assert_eq!(quiet.log_text(), "hi\n");
        times.push(begin.elapsed().as_millis());
    }
    assert!(times.iter().all(|&ms| ms < 2000), "{times:?}");
    loud.signal(9, true);
    loud.wait();
}

fn link(kit: &Kit) {
    use std::os::unix::fs::symlink;

    let mut prepared = kit.prepare("true");
    let log = prepared.launch.log.path.with_extension("folder");
    prepared = prepared.log("local", &[]);
    std::fs::create_dir(&log).expect("a folder");
    symlink("/dev/full", log.join("container.log")).expect("a link");
    prepared.launch.log.path = log;
    let mut container = prepared.spawn();
    container.send(&shim::protocol::Request::Start);
    let failure = container.expect(|event| match event {
        shim::protocol::Event::Failed(failure) => Some(failure.clone()),
        _ => None,
    });
    assert!(
        failure.message.contains("open the log"),
        "{}",
        failure.message
    );
}

/// The process that writes the log is stopped, as by a disk that hangs: the program goes on all the same.
fn lagging(kit: &Kit) {
    let script = "read go; i=0; while [ $i -lt 40000 ]; do echo \"line $i of a flood that is larger than every buffer\"; \
                  i=$((i+1)); done; echo over >&2; sleep 600";
    let mut container = kit
        .prepare(script)
        .stdin()
        .log(
            "json-file",
            &[("mode", "non-blocking"), ("max-buffer-size", "64k")],
        )
        .start();
    let writer = child_named(container.shim, "estiva-log");
    signal(writer, Signal::STOP);
    let client = container.attach(Target::Init, true, b"");
    type_in(&client, b"go\n");
    // 2 MB, and nobody writes them: the pipes and the queue together hold a fraction.
    read_until(&client, "over");
    signal(writer, Signal::CONT);
    container.signal(9, true);
    container.wait();
    let text = container.log_text();
    assert!(
        text.starts_with("line 0 of a flood"),
        "the oldest lines are kept"
    );
    let lines = text.lines().count();
    assert!(
        (1000..30_000).contains(&lines),
        "what fits is kept, what does not is dropped: {lines}"
    );
}

fn child_named(parent: i32, name: &str) -> Pid {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(children).expect("the shim lives");
    children
        .split_whitespace()
        .find(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|comm| comm.trim() == name)
        })
        .and_then(|pid| Pid::from_raw(pid.parse().ok()?))
        .expect("the shim has a child that writes the log")
}

fn signal(pid: Pid, signal: Signal) {
    rustix::process::kill_process(pid, signal).expect("the process lives");
}
