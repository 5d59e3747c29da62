//! `kill -9` of the daemon, at rest and in the middle of things.

use std::time::Duration;

use testkit::image::Image;
use testkit::tar::Archive;
use testkit::{Engine, eventually, leftovers, ms, proc, within};

#[test]
fn containers_go_on_and_every_line_and_exit_code_is_kept() {
    if Engine::is_peer() {
        return testkit::skip("the peer loses output or does not come back");
    }
    let mut engine = testkit::engine();
    let script =
        "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done; sleep 1; echo last; exit 23";
    let id = engine
        .cli_words([
            "run", "-d", "--name", "goes-on", "busybox", "sh", "-c", script,
        ])
        .run()
        .success();
    let pid = engine.inspect(&id)["State"]["Pid"].as_i64().expect("a pid");
    engine.kill_daemon();
    assert!(proc::is_alive(i32::try_from(pid).expect("a pid fits")));
    std::thread::sleep(ms(2500));
    assert!(
        !proc::is_alive(i32::try_from(pid).expect("a pid fits")),
        "it ended while nobody looked"
    );
    engine.start_daemon();
    eventually("its end is known", || {
        engine.inspect(&id)["State"]["Status"] == "exited"
    });
    assert_eq!(engine.inspect(&id)["State"]["ExitCode"], 23);
    let text = engine.ok(&format!("logs {id}"));
    assert_eq!(text.lines().count(), 3001);
    assert_eq!(text.lines().last(), Some("last"));
}

#[test]
fn the_next_daemon_finds_what_runs_and_can_do_everything_with_it() {
    if Engine::is_peer() {
        return testkit::skip("the peer loses output or does not come back");
    }
    let mut engine = testkit::engine();
    let id = engine.ok(
        "run -d -i --name found -v data:/data busybox sh -c 'echo begun; read line; echo $line; echo over; exit 9'",
    );
    eventually("it has begun", || engine.ok("logs found") == "begun");
    engine.crash_and_restart();
    let before = engine.inspect("found");
    assert_eq!(before["Id"], id.as_str());
    assert_eq!(before["State"]["Status"], "running");
    assert_eq!(engine.ok("exec found echo inside"), "inside");
    engine.ok("pause found");
    engine.ok("unpause found");
    assert!(engine.ok("top found").contains("read line"));
    engine.fails(1, "rm found");
    engine.fails(1, "volume rm data");
    // Its input stays open meanwhile: an attached client that ends its input is let go, as in Docker.
    let mut attached = engine.cli("attach found").start();
    attached.write(b"typed after the crash\n");
    eventually("it has ended", || {
        engine.inspect("found")["State"]["Status"] == "exited"
    });
    let output = attached.finish();
    assert_eq!(
        output.text(),
        "typed after the crash\nover",
        "{}",
        output.error()
    );
    assert_eq!(output.code, 9);
    assert_eq!(engine.ok("wait found"), "9");
}

#[test]
fn a_crash_while_clients_are_attached_loses_them_no_byte_of_the_log() {
    if Engine::is_peer() {
        return testkit::skip("the peer loses output or does not come back");
    }
    let mut engine = testkit::engine();
    let client = engine.cli("run --name chatty busybox sh -c 'for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done'").start();
    eventually("it speaks", || {
        engine.cli("logs chatty").run().text().contains('2')
    });
    engine.crash_and_restart();
    eventually("it has ended", || {
        engine.inspect("chatty")["State"]["Status"] == "exited"
    });
    assert_eq!(engine.ok("logs chatty"), "1\n2\n3\n4\n5\n6\n7\n8");
    drop(client);
}

#[test]
fn restart_policies_hold_across_a_crash() {
    let mut engine = testkit::engine();
    drop(engine.run("--name always --restart always busybox sleep 1"));
    drop(engine.run("--name never busybox sleep 1"));
    drop(engine.run("--name stopped --restart unless-stopped busybox sleep 60"));
    engine.ok("stop -t 1 stopped");
    engine.kill_daemon();
    std::thread::sleep(ms(1500));
    engine.start_daemon();
    within(Duration::from_secs(15), "the one runs again", || {
        engine.inspect("always")["RestartCount"]
            .as_i64()
            .unwrap_or(0)
            >= 1
            || engine.inspect("always")["State"]["Status"] == "running"
    });
    assert_eq!(engine.inspect("never")["State"]["Status"], "exited");
    assert_eq!(engine.inspect("stopped")["State"]["Status"], "exited");
}

#[test]
fn removed_on_exit_holds_across_a_crash() {
    let mut engine = testkit::engine();
    drop(engine.run("--rm --name brief busybox sleep 1"));
    engine.kill_daemon();
    std::thread::sleep(ms(1500));
    engine.start_daemon();
    eventually("it is gone", || engine.ok("ps -aq").is_empty());
}

#[test]
fn a_removal_that_was_ended_after_its_first_step_can_be_finished() {
    if Engine::is_peer() {
        return testkit::skip("the peer lays its layers out in another way");
    }
    let mut engine = testkit::engine();
    engine.ok("create --name half busybox true");
    let upper = engine.inspect("half")["GraphDriver"]["Data"]["UpperDir"].clone();
    let upper = std::path::PathBuf::from(upper.as_str().expect("a path"));
    let layer = upper.parent().expect("the layer's folder");
    let number = layer.file_name().expect("its number").to_string_lossy();
    engine.kill_daemon();
    let trash = layer.with_file_name(format!("trash-{number}"));
    std::fs::rename(layer, &trash).expect("one file system");
    engine.start_daemon();
    assert_eq!(engine.ok("ps -a --format '{{.Names}}'"), "half");
    engine.ok("rm half");
    assert_eq!(engine.ok("ps -aq"), "");
    eventually("its files are gone", || !trash.exists());
}

#[test]
fn kill_9_at_any_moment_leaves_nothing_that_the_next_start_does_not_repair() {
    if Engine::is_peer() {
        return testkit::skip("the peer does not promise this");
    }
    let mut engine = Engine::start(&testkit::Options {
        bare: true,
        ..Default::default()
    });
    let image = Image::new("big:1")
        .layer(Archive::new().file("fill", &vec![7; 8_000_000]).finish())
        .docker_archive();
    let root = testkit::rootfs::archive().to_vec();
    for round in 0..44u64 {
        engine.cli("load").with_input(&image).success();
        drop(engine.run("--name runs big:1 sleep 600"));
        let victim = [
            "create --name half big:1 true",
            "run -d --name half big:1 sleep 5",
            "rm -f runs",
            "load",
            "rmi -f big:1",
            "commit runs snap",
            "import - made:1",
            "volume create half",
            "rename runs renamed",
            "update -m 100m --restart on-failure runs",
            "tag big:1 again:2",
        ];
        let line = victim[usize::try_from(round).expect("small") % victim.len()];
        let mut command = engine.cli(line).start();
        match line {
            "load" => command.write(&image),
            "import - made:1" => command.write(&root),
            _ => {}
        }
        command.close_stdin();
        // A few milliseconds, other ones each round: what takes long is hit early, in the middle and late.
        std::thread::sleep(Duration::from_micros(300 + 1_700 * (round * 7 % 11)));
        engine.kill_daemon();
        drop(command);
        engine.start_daemon();
        let names = engine.ok("ps -a --format '{{.Names}}'");
        let running = names
            .lines()
            .filter(|name| ["runs", "renamed"].contains(name));
        assert!(running.count() <= 1, "one container has one name: {names}");
        for name in names.lines() {
            engine.ok(&format!("rm -f -v {name}"));
        }
        let images = engine.ok("images -aq");
        for id in images.lines() {
            drop(engine.cli(&format!("rmi -f {id}")).run());
        }
        assert_eq!(engine.ok("ps -aq"), "", "after {line}");
        assert_eq!(engine.ok("images -aq"), "", "after {line}");
        engine.ok("volume prune -af");
        for folder in ["containers", "snapshots", "blobs/sha256", "volumes"] {
            let path = engine.data_root().join(folder);
            eventually(&format!("after {line} nothing is left in {folder}"), || {
                // The store's own: its lock and the empty folder under images without layers.
                let own = |entry: &std::fs::DirEntry| {
                    entry.file_name() == "lock" || entry.file_name() == "empty"
                };
                let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
                entries.filter(|entry| !own(entry)).count() == 0
            });
        }
    }
    // Its bridge stands as long as it may be needed.
    engine.stop_daemon();
    let left: Vec<String> = leftovers::list(engine.root(), engine.cgroup_parent())
        .into_iter()
        .filter(|line| !line.starts_with("process"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}
