//! Floods of output: how fast they are stored, and that they disturb nobody.

use std::time::Instant;

use crate::testkit::{Container, Kit, Prepared, Test};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a_flood_of_short_lines_is_stored", short_lines),
    ("a_flood_of_usual_lines_is_stored", usual_lines),
    ("a_flood_slows_no_other_container", neighbours),
    ("a_log_behind_a_link_is_refused", link),
];

#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn measure(what: &str, prepared: Prepared<'_>, megabytes: u32) -> Container {
    let begin = Instant::now();
    let mut container = prepared.start();
    assert_eq!(container.wait().code, 0);
    let seconds = begin.elapsed().as_secs_f64();
    println!("{what}: {:.0} MB/s", f64::from(megabytes) / seconds);
    container
}

fn short_lines(kit: &Kit) {
    for driver in ["json-file", "local", "none"] {
        let prepared = kit.prepare("yes | head -c 200000000").log(driver, &[]);
        let container = measure(&format!("yes into {driver}"), prepared, 200);
        if driver == "local" {
            let text = container.log_text();
            assert!(text.len() > 50_000_000 && text.as_bytes().chunks(2).all(|l| l == b"y\n"));
        }
    }
}

fn usual_lines(kit: &Kit) {
    let line = "x".repeat(119);
    for driver in ["json-file", "local"] {
        let script = format!("yes {line} | head -c 500000000");
        let prepared = kit.prepare(&script).log(driver, &[]);
        let container = measure(&format!("120-byte lines into {driver}"), prepared, 500);
        let entries = container.log_entries();
        let (last, whole) = entries.split_last().expect("lines");
        assert!(whole.iter().all(|e| e.line.len() == 120), "no line is torn");
        assert!(last.line.len() <= 120);
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
