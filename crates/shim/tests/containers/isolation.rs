//! What a container must not get, and what a shim must not need.

use crate::testkit::{Kit, Test, await_that};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("only_the_standard_streams_reach_the_program", descriptors),
    ("no_signal_is_ignored_or_blocked_in_the_program", signals),
    ("spawner_and_shim_run_from_a_file_nobody_can_write", sealed),
    ("a_shim_is_small", small),
    ("a_flood_leaves_no_memory_behind", small_again),
    (
        "a_shim_has_a_session_of_its_own_and_no_spare_descriptors",
        session,
    ),
];

fn descriptors(kit: &Kit) {
    let mut container = kit.run("ls /proc/self/fd");
    container.wait();
    // ls itself opens the folder as the fourth.
    assert_eq!(container.log_text(), "0\n1\n2\n3\n");
}

fn signals(kit: &Kit) {
    let mut container = kit.prepare("echo up; exec sleep 100").start();
    container.await_log("up");
    await_that("the exec", || {
        std::fs::read_to_string(format!("/proc/{}/comm", container.pid))
            .is_ok_and(|c| c == "sleep\n")
    });
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", container.pid)).expect("it runs");
    for field in ["SigIgn", "SigBlk"] {
        let line = status
            .lines()
            .find(|l| l.starts_with(field))
            .expect("a field");
        let mask = line.split_whitespace().nth(1).expect("a mask");
        let mask = u64::from_str_radix(mask, 16).expect("hexadecimal");
        // 32 and 33 belong to the C library, which lets nobody reset them; whoever started this test may ignore them.
        assert_eq!(mask & !0x1_8000_0000, 0, "{line}");
    }
    container.signal(9, false);
    container.wait();
}

fn sealed(kit: &Kit) {
    let container = kit.run("sleep 100");
    for pid in [kit.spawner_pid(), container.shim] {
        let exe = format!("/proc/{pid}/exe");
        let error = std::fs::OpenOptions::new()
            .write(true)
            .open(&exe)
            .expect_err("sealed");
        let errno = error.raw_os_error().expect("from the kernel");
        // EROFS: the mount; ETXTBSY comes first where the kernel checks it first.
        assert!([30, 26, 1].contains(&errno), "{exe}: {error}");
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("it runs");
        assert!(
            ["estiva-spawner\n", "estiva-shim\n"].contains(&comm.as_str()),
            "{comm}"
        );
    }
}

/// Proportional and private memory of a process in KiB.
fn memory(pid: i32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let value = |name: &str| -> u64 {
        text.lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .sum()
    };
    (value("Pss:"), value("Private_Dirty:"))
}

/// The program's code is shared by daemon, spawner and all shims: what one more container costs shows with some of them.
#[expect(clippy::print_stdout, reason = "the figure is of interest")]
fn small(kit: &Kit) {
    let containers: Vec<_> = (0..10).map(|_| kit.run("echo up; sleep 100")).collect();
    for container in &containers {
        container.await_log("up");
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    for container in [&containers[0], &containers[9]] {
        let (pss, dirty) = memory(container.shim);
        println!("one shim of ten: {pss} KiB PSS, {dirty} KiB private dirty");
        assert!(dirty <= 256, "{dirty} KiB");
        assert!(pss <= 1024, "{pss} KiB");
    }
}

#[expect(clippy::print_stdout, reason = "the figure is of interest")]
fn small_again(kit: &Kit) {
    let container = kit.run("yes | head -c 4000000; echo up; sleep 100");
    container.await_log("up");
    // The shim gives memory back when it has been idle for a moment: its moment, on a machine that may be busy.
    await_that("its memory is given back", || {
        memory(container.shim).1 <= 256
    });
    let (pss, dirty) = memory(container.shim);
    println!("one shim after a flood: {pss} KiB PSS, {dirty} KiB private dirty");
}

fn session(kit: &Kit) {
    let container = kit.run("sleep 100");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", container.shim)).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    assert_eq!(fields[3].parse::<i32>().expect("a session"), container.shim);
    let held: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", container.shim))
        .expect("it runs")
        .filter_map(|entry| std::fs::read_link(entry.expect("entry").path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect();
    assert!(held.len() <= 40, "{held:?}");
    let foreign = held
        .iter()
        .filter(|t| t.contains("/tests/") || t.contains("target/"));
    assert_eq!(foreign.count(), 0, "{held:?}");
}
