//! Docker's own engine on our runtime, by `--add-runtime`.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use testkit::{Output, command, eventually};

/// A dockerd of our own whose default runtime is ours.
struct Dockerd {
    folder: PathBuf,
    daemon: Child,
}

impl Dockerd {
    fn start() -> Option<Self> {
        let installed = |program: &str| {
            let found = Command::new("which").arg(program).output();
            found.is_ok_and(|output| output.status.success())
        };
        if !installed("dockerd") || !installed("docker") {
            testkit::skip("dockerd is not installed");
            return None;
        }
        let folder =
            std::env::temp_dir().join(format!("estiva-test-dockerd-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder of ours");
        let ours = folder.join("estiva-runtime");
        std::os::unix::fs::symlink(testkit::engine::binary(), &ours).expect("a folder of ours");
        let log = std::fs::File::create(folder.join("log")).expect("a folder of ours");
        let daemon = Command::new("dockerd")
            .args([
                "--bridge",
                "none",
                "--iptables=false",
                "--default-runtime",
                "ours",
            ])
            .arg("--add-runtime")
            .arg(format!("ours={}", ours.display()))
            .arg("--data-root")
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("pid"))
            .arg("--host")
            .arg(format!("unix://{}", folder.join("sock").display()))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it was found");
        let engine = Self { folder, daemon };
        eventually("dockerd answers", || engine.cli("version").code == 0);
        let mut import = engine.command("import - busybox");
        command::run(&mut import, testkit::rootfs::archive()).success();
        Some(engine)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("docker");
        command
            .arg("--host")
            .arg(format!("unix://{}", self.folder.join("sock").display()))
            .args(command::words(line));
        command
    }

    fn cli(&self, line: &str) -> Output {
        command::run(&mut self.command(line), b"")
    }

    fn run(&self, options: &str, program: &str) -> Output {
        let group = format!("/estiva-test-dockerd-{}", std::process::id());
        self.cli(&format!(
            "run --network none --ulimit nofile=1024:1024 --cgroup-parent {group} {options} busybox {program}"
        ))
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        drop(self.cli("rm --force --volumes c1"));
        let pid = rustix::process::Pid::from_child(&self.daemon);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        drop(self.daemon.wait());
        let group = format!("/estiva-test-dockerd-{}", std::process::id());
        testkit::leftovers::clean(&self.folder, &group);
    }
}

#[test]
fn dockerd_runs_its_containers_on_us() {
    let Some(docker) = Dockerd::start() else {
        return;
    };
    assert_eq!(docker.run("--rm", "echo hello").success(), "hello");
    assert_eq!(docker.run("--rm", "sh -c 'exit 7'").code, 7);
    assert_eq!(docker.run("--rm", "nosuchprogram").code, 127);
    assert_eq!(
        docker.run("--rm --tty", "tty").success().trim(),
        "/dev/pts/0"
    );
    let script = r#"sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done'"#;
    docker
        .run("--detach --name c1 --memory 64m --pids-limit 20", script)
        .success();
    let limit = match testkit::cgroup::is_unified() {
        true => "cat /sys/fs/cgroup/memory.max",
        false => "cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
    };
    assert_eq!(
        docker.cli(&format!("exec c1 {limit}")).success(),
        "67108864"
    );
    assert_eq!(docker.cli("exec --user 1000 c1 id -u").success(), "1000");
    assert_eq!(docker.cli("exec c1 sh -c 'exit 5'").code, 5);
    assert_eq!(docker.cli("exec c1 nosuchprogram").code, 126);
    docker
        .cli("update --memory 32m --memory-swap 32m c1")
        .success();
    assert_eq!(
        docker.cli(&format!("exec c1 {limit}")).success(),
        "33554432"
    );
    docker.cli("pause c1").success();
    docker.cli("unpause c1").success();
    assert!(docker.cli("top c1").success().lines().count() > 1);
    docker.cli("stop c1").success();
    let code = docker.cli("inspect --format {{.State.ExitCode}} c1");
    assert_eq!(code.success(), "9");
    docker.cli("rm c1").success();
}
