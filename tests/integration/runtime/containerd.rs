//! containerd on our runtime, as a program that is like runc.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use testkit::{Output, command, eventually};

/// A containerd of our own, and a root file system.
struct Containerd {
    folder: PathBuf,
    daemon: Child,
}

impl Containerd {
    fn start() -> Option<Self> {
        let folder =
            std::env::temp_dir().join(format!("estiva-test-containerd-{}", std::process::id()));
        testkit::rootfs::create(&folder.join("rootfs"));
        std::os::unix::fs::symlink(testkit::engine::binary(), folder.join("estiva-runtime"))
            .expect("a folder of ours");
        let at = folder.display();
        let config = format!(
            "version = 2\nroot = \"{at}/root\"\nstate = \"{at}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{at}/sock\"\n[ttrpc]\naddress = \"{at}/ttrpc\"\n"
        );
        std::fs::write(folder.join("config.toml"), config).expect("a folder of ours");
        let log = std::fs::File::create(folder.join("log")).expect("a folder of ours");
        let started = Command::new("containerd")
            .arg("--config")
            .arg(folder.join("config.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let Ok(daemon) = started else {
            drop(std::fs::remove_dir_all(&folder));
            testkit::skip("containerd is not installed");
            return None;
        };
        let engine = Self { folder, daemon };
        eventually("containerd answers", || engine.cli("version").code == 0);
        Some(engine)
    }

    fn cli(&self, line: &str) -> Output {
        let mut command = Command::new("ctr");
        command
            .args(["--namespace", "estiva-test", "--address"])
            .arg(self.folder.join("sock"))
            .args(command::words(line));
        command::run(&mut command, b"")
    }

    /// `run` of a container by its root file system; its groups lie under one of ours.
    fn run(&self, options: &str, id: &str, program: &str) -> Output {
        let at = self.folder.display();
        let group = format!("/estiva-test-containerd-{}/{id}", std::process::id());
        self.cli(&format!(
            "run --runtime io.containerd.runc.v2 --runc-binary {at}/estiva-runtime --cgroup {group} {options} \
             --rootfs {at}/rootfs {id} {program}"
        ))
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.cli("task delete --force c1"));
        drop(self.cli("container delete c1"));
        let pid = rustix::process::Pid::from_child(&self.daemon);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        drop(self.daemon.wait());
        let group = format!("/estiva-test-containerd-{}", std::process::id());
        testkit::leftovers::clean(&self.folder, &group);
    }
}

#[test]
fn containerd_runs_its_containers_on_us() {
    let Some(containerd) = Containerd::start() else {
        return;
    };
    assert_eq!(
        containerd.run("--rm", "r1", "echo hello").success(),
        "hello"
    );
    assert_eq!(containerd.run("--rm", "r2", "sh -c 'exit 7'").code, 7);
    let error = containerd.run("--rm", "r3", "nosuchprogram");
    assert!(
        error.error().contains("executable file not found"),
        "{}",
        error.error()
    );
    let script = r#"sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done'"#;
    containerd
        .run("--detach --memory-limit 67108864", "c1", script)
        .success();
    let exec = |number: u32, program: &str| {
        containerd.cli(&format!("task exec --exec-id e{number} c1 {program}"))
    };
    assert_eq!(exec(1, "echo inside").success(), "inside");
    assert_eq!(exec(2, "sh -c 'exit 5'").code, 5);
    let limit = match testkit::cgroup::is_unified() {
        true => "memory.max",
        false => "memory/memory.limit_in_bytes",
    };
    let group = exec(3, "cat /proc/self/cgroup").success();
    assert!(group.contains("/c1"), "{group}");
    let (folder, file) = limit.split_once('/').unwrap_or(("", limit));
    let place = format!(
        "/sys/fs/cgroup/{folder}/estiva-test-containerd-{}/c1/{file}",
        std::process::id()
    );
    assert_eq!(
        std::fs::read_to_string(place).expect("its limit").trim(),
        "67108864"
    );
    containerd.cli("task pause c1").success();
    assert!(containerd.cli("task ls").success().contains("PAUSED"));
    containerd.cli("task resume c1").success();
    containerd.cli("task kill --signal TERM c1").success();
    eventually("it has stopped", || {
        containerd.cli("task ls").success().contains("STOPPED")
    });
    let deleted = containerd.cli("task delete c1");
    assert!(
        deleted.error().contains("exit code 9") || deleted.code == 9,
        "{}",
        deleted.error()
    );
    containerd.cli("container delete c1").success();
}
