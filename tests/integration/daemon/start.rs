//! Starting and ending a daemon.

use testkit::command::run;
use testkit::{Engine, Options, eventually};

#[test]
fn a_second_daemon_on_the_same_root_is_refused() {
    let engine = testkit::engine();
    let mut command = engine.daemon_command();
    if Engine::is_peer() {
        return testkit::skip("the peer notices by its pid file only");
    }
    command.args([
        "-H",
        &format!("unix://{}", engine.root().join("other.sock").display()),
    ]);
    let output = run(&mut command, &[]);
    assert_ne!(output.code, 0);
    assert!(
        output
            .error()
            .contains(&engine.data_root().display().to_string()),
        "{}",
        output.error()
    );
    assert_eq!(engine.ok("run --rm busybox echo unharmed"), "unharmed");
}

#[test]
fn a_daemon_that_ends_takes_its_socket_and_pid_file_along() {
    let mut engine = testkit::engine();
    let pid = std::fs::read_to_string(engine.root().join("pid")).expect("there is a pid file");
    assert_eq!(pid.trim(), engine.daemon_pid().to_string());
    engine.stop_daemon();
    assert!(!engine.root().join("pid").exists());
    if !Engine::is_peer() {
        assert!(!engine.socket().exists());
    }
    let output = engine.docker("ps").run();
    assert_ne!(output.code, 0);
    engine.start_daemon();
}

#[test]
fn images_containers_and_volumes_are_there_again() {
    let mut engine = testkit::engine();
    engine.ok(
        "run --name kept -v store:/s busybox sh -c 'echo x > /s/f; echo said; exit 4'"
            .replace("run", "create")
            .as_str(),
    );
    engine.cli("start -a kept").run().failure(4);
    engine.stop_daemon();
    engine.start_daemon();
    assert_eq!(engine.inspect("kept")["State"]["ExitCode"], 4);
    assert_eq!(engine.ok("logs kept"), "said");
    assert_eq!(engine.ok("run --rm -v store:/s busybox cat /s/f"), "x");
}

#[test]
fn a_config_file_sets_what_options_set() {
    let file = std::env::temp_dir().join(format!("estiva-config-{}.json", std::process::id()));
    std::fs::write(
        &file,
        r#"{"debug": true, "labels": ["from=file"], "log-driver": "local"}"#,
    )
    .expect("a file of ours");
    let engine = Engine::start(&Options {
        daemon_args: vec!["--config-file".into(), file.display().to_string()],
        ..Options::default()
    });
    std::fs::remove_file(&file).expect("a file of ours");
    let (status, info) = engine.api("GET", "/info", None);
    assert_eq!(status, 200);
    assert_eq!(info["LoggingDriver"], "local");
    assert_eq!(info["Debug"], true);
    assert_eq!(info["Labels"], serde_json::json!(["from=file"]));
}

#[test]
fn a_broken_config_file_is_named() {
    let file = std::env::temp_dir().join(format!("estiva-broken-{}.json", std::process::id()));
    std::fs::write(&file, "{ broken").expect("a file of ours");
    let engine = testkit::engine();
    let mut command = engine.daemon_command();
    command.arg("--config-file").arg(&file);
    let output = run(&mut command, &[]);
    std::fs::remove_file(&file).expect("a file of ours");
    assert_ne!(output.code, 0);
    assert!(!output.error().is_empty());
}

#[test]
fn an_idle_daemon_is_small() {
    if Engine::is_peer() {
        return testkit::skip("this is a promise of ours");
    }
    let engine = testkit::engine();
    eventually("the daemon is small", || {
        let rss = proc_rss(engine.daemon_pid());
        // The debug build's code pages count too; bench/ measures the release build against 15 MiB.
        rss < 60 * 1024 * 1024
    });
}

fn proc_rss(pid: i32) -> u64 {
    let text = testkit::proc::status(pid, "VmRSS");
    text.trim_end_matches(" kB")
        .parse::<u64>()
        .expect("kibibytes")
        * 1024
}

#[test]
fn a_daemon_that_nothing_is_asked_of_is_small() {
    let engine = testkit::engine();
    if Engine::is_peer() {
        return testkit::skip("the peer keeps its memory");
    }
    for _ in 0..20 {
        engine.ok("run --rm busybox true");
    }
    let resident = || -> u64 {
        let text = testkit::proc::status(engine.daemon_pid(), "VmRSS");
        let number = text.trim_end_matches(" kB").trim();
        number.parse().expect("a number of KiB")
    };
    // A build without optimisation is three times the size of one that is shipped.
    eventually("the daemon gives its memory back", || {
        resident() < 15 * 1024
    });
    assert_eq!(engine.ok("run --rm busybox echo awake"), "awake");
}
