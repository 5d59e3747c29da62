//! `logs`: everything, some of it, or as it comes.

use testkit::{eventually, ms};

#[test]
fn both_streams_are_kept_apart_and_in_order() {
    let engine = testkit::engine();
    let container =
        engine.run("busybox sh -c 'echo one; sleep 0.05; echo two >&2; sleep 0.05; echo three'");
    container.wait();
    assert_eq!(container.logs(), ("one\nthree".into(), "two".into()));
}

#[test]
fn tail_since_and_until_choose() {
    let engine = testkit::engine();
    let container =
        engine.run("busybox sh -c 'for i in 1 2 3 4 5; do echo $i; done; sleep 2.2; echo late'");
    container.wait();
    let logs = |options: &str| engine.ok(&format!("logs {options} {}", container.id()));
    assert_eq!(logs("--tail 2"), "5\nlate");
    assert_eq!(logs("--tail 0"), "");
    assert_eq!(logs("--tail all").lines().count(), 6);
    assert_eq!(logs("-n 1"), "late");
    let stamped = logs("-t");
    let stamp = |line: usize| {
        let line = stamped.lines().nth(line).expect("six lines");
        line.split(' ').next().expect("a time").to_owned()
    };
    assert!(stamp(0).ends_with('Z') && stamp(0).len() == 30, "{stamped}");
    assert_eq!(logs(&format!("--since {}", stamp(5))), "late");
    assert_eq!(logs(&format!("--until {}", stamp(4))), "1\n2\n3\n4\n5");
    assert_eq!(logs("--since 1h").lines().count(), 6);
}

#[test]
fn following_ends_with_the_container() {
    let engine = testkit::engine();
    let container = engine.run("busybox sh -c 'echo first; sleep 1; echo last'");
    let follower = engine.cli(&format!("logs -f {}", container.id())).start();
    assert_eq!(follower.finish().text(), "first\nlast");
}

#[test]
fn a_line_without_its_end_and_a_very_long_one_come_out_whole() {
    let engine = testkit::engine();
    let container =
        engine.run("busybox sh -c 'head -c 100000 /dev/zero | tr \"\\0\" x; echo; printf end'");
    container.wait();
    let text = engine.cli(&format!("logs {}", container.id())).run().stdout;
    assert_eq!(text.len(), 100_000 + 1 + 3);
    assert!(text.ends_with(b"\nend"));
}

#[test]
fn every_byte_of_a_flood_is_kept() {
    let engine = testkit::engine();
    let container = engine.run("--log-opt max-size=200m busybox sh -c 'seq 1 200000'");
    container.wait();
    let text = engine.ok(&format!("logs {}", container.id()));
    assert!(
        text.lines()
            .zip(1..)
            .all(|(line, at)| line == at.to_string())
    );
    assert_eq!(text.lines().count(), 200_000);
}

#[test]
fn json_file_is_dockers_own_format_and_rotates() {
    let engine = testkit::engine();
    let container = engine.run(
        "--log-driver json-file --log-opt max-size=20k --log-opt max-file=3 busybox sh -c 'seq 1 5000'",
    );
    container.wait();
    let path = container.inspect()["LogPath"]
        .as_str()
        .expect("a path")
        .to_owned();
    let newest = std::fs::read_to_string(&path).expect("the log is a file");
    let line: serde_json::Value =
        serde_json::from_str(newest.lines().last().expect("lines")).expect("JSON");
    assert_eq!(line["log"], "5000\n");
    assert_eq!(line["stream"], "stdout");
    assert!(line["time"].as_str().expect("a time").ends_with('Z'));
    for (file, exists) in [(".1", true), (".2", true), (".3", false)] {
        assert_eq!(
            std::path::Path::new(&format!("{path}{file}")).exists(),
            exists,
            "{file}"
        );
    }
    let kept = engine.ok(&format!("logs {}", container.id()));
    assert!(kept.lines().count() < 5000 && kept.ends_with("5000"));
    let numbers: Vec<u32> = kept
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    assert!(
        numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "no gap"
    );
}

#[test]
fn a_follower_that_rotation_has_overtaken_is_told() {
    use std::io::{Read, Write};
    if testkit::Engine::is_peer() {
        return testkit::skip("the peer keeps files for slow followers, or loses lines");
    }
    let engine = testkit::engine();
    let script = "echo first; read go; seq 1 300000; sleep 600";
    let line = [
        "run",
        "-di",
        "--log-opt",
        "max-size=50k",
        "--log-opt",
        "max-file=2",
    ];
    let words = line
        .into_iter()
        .chain(["--name", "fast", "busybox", "sh", "-c", script]);
    engine.cli_words(words).run().success();
    let mut slow = std::os::unix::net::UnixStream::connect(engine.socket()).expect("it listens");
    let path = "/v1.51/containers/fast/logs?stdout=1&follow=1";
    let request = format!("GET {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n");
    slow.write_all(request.as_bytes()).expect("it reads");
    let mut client = engine.cli("attach fast").start();
    std::thread::sleep(ms(500));
    client.write(b"\n");
    let newest = engine.inspect("fast")["LogPath"]
        .as_str()
        .expect("a path")
        .to_owned();
    testkit::within(ms(60_000), "all of it is written", || {
        std::fs::read_to_string(&newest).is_ok_and(|text| text.contains("\"300000\\n\""))
    });
    slow.set_read_timeout(Some(ms(30_000)))
        .expect("a socket of ours");
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer)
        .expect("the stream ends, since it is no longer whole");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("first\n"), "it began at the beginning");
    let told = "Error grabbing logs: the log was rotated faster than it could be read";
    assert!(
        text.contains(told),
        "{}",
        &text[text.len().saturating_sub(300)..]
    );
    drop(client);
}

#[test]
fn the_local_driver_keeps_and_the_none_driver_refuses() {
    let engine = testkit::engine();
    let local = engine.run("--log-driver local busybox sh -c 'echo kept; echo err >&2'");
    local.wait();
    assert_eq!(local.logs(), ("kept".into(), "err".into()));
    let none = engine.run("--log-driver none busybox echo lost");
    none.wait();
    let error = engine.fails(1, &format!("logs {}", none.id()));
    assert!(error.contains("does not support reading"), "{error}");
    engine.fails(125, "run --log-driver no-such-driver busybox true");
    engine.fails(125, "run --log-opt no-such-option=1 busybox true");
}

#[test]
fn a_flooding_container_slows_nobody_else() {
    let engine = testkit::engine();
    let flood = engine.run("busybox yes");
    std::thread::sleep(ms(500));
    let begun = std::time::Instant::now();
    assert_eq!(engine.ok("run --rm busybox echo quick"), "quick");
    assert!(begun.elapsed() < ms(5000), "{:?}", begun.elapsed());
    engine.ok(&format!("kill {}", flood.id()));
    eventually("it has ended", || flood.state() == "exited");
}
