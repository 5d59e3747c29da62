//! Other engines on our runtime: podman, with its own monitor.

use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Output, command};

/// Podman with a storage of its own, and us under the runtime's name.
struct Podman {
    folder: PathBuf,
}

impl Podman {
    fn start() -> Option<Self> {
        if !Path::new("/usr/bin/podman").exists() {
            testkit::skip("podman is not installed");
            return None;
        }
        let folder =
            std::env::temp_dir().join(format!("estiva-test-podman-{}", std::process::id()));
        testkit::rootfs::create(&folder.join("rootfs"));
        std::os::unix::fs::symlink(testkit::engine::binary(), folder.join("estiva-runtime"))
            .expect("a folder of ours");
        let podman = Self { folder };
        let mut import = podman.command("import - localhost/busybox");
        command::run(&mut import, testkit::rootfs::archive()).success();
        Some(podman)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("podman");
        for name in ["root", "runroot", "tmpdir"] {
            command.arg(format!("--{name}")).arg(self.folder.join(name));
        }
        command.args([
            "--cgroup-manager=cgroupfs",
            "--events-backend=file",
            "--storage-driver=vfs",
        ]);
        command
            .arg("--runtime")
            .arg(self.folder.join("estiva-runtime"));
        command.args(command::words(line));
        command
    }

    fn cli(&self, line: &str) -> Output {
        command::run(&mut self.command(line), b"")
    }

    /// `run` or `create` with what this kind of machine needs.
    fn run(&self, options: &str, program: &str) -> Output {
        self.cli(&format!(
            "run --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
             --cgroup-parent /estiva-test-podman-{} {options} localhost/busybox {program}",
            std::process::id()
        ))
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.cli("rm --all --force --time 0"));
        testkit::leftovers::clean(
            &self.folder,
            &format!("/estiva-test-podman-{}", std::process::id()),
        );
    }
}

#[test]
fn podman_runs_its_containers_on_us() {
    let Some(podman) = Podman::start() else {
        return;
    };
    assert_eq!(podman.run("--rm", "echo hello").success(), "hello");
    assert_eq!(podman.run("--rm", "sh -c 'exit 7'").code, 7);
    assert_eq!(podman.run("--rm", "nosuchprogram").code, 127);
    let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    if !testkit::cgroup::is_unified() {
        assert_eq!(podman.run("--rm --memory 64m", limit).success(), "67108864");
    }
    assert_eq!(
        podman.run("--rm --tty", "tty").success().trim(),
        "/dev/pts/0"
    );
    let script = r#"sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done'"#;
    podman.run("--detach --name c1", script).success();
    assert_eq!(podman.cli("exec --user 1000 c1 id -u").success(), "1000");
    assert_eq!(podman.cli("exec c1 sh -c 'exit 5'").code, 5);
    assert_eq!(podman.cli("exec c1 nosuchprogram").code, 127);
    podman.cli("pause c1").success();
    podman.cli("unpause c1").success();
    podman.cli("stop --time 5 c1").success();
    let code = podman
        .cli("inspect --format {{.State.ExitCode}} c1")
        .success();
    assert_eq!(code, "9");
    podman.cli("rm c1").success();
}
