//! Engines of others with us as their runtime: podman, containerd and Docker's own. Told on cgroup v2, with systemd and
//! without, by `tests/vm/run --peers`. `ESTIVA_TEST_RUNTIME=/usr/sbin/runc` tells them with runc, which proves the stories.

mod containerd;
mod dockerd;
mod podman;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::{Output, Pty, cgroup, command, proc, within};

/// An emulated machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Who makes the groups of an engine's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// The runtime, in the file system.
    Files,
    /// systemd: the runtime is called with `--systemd-cgroup`.
    Systemd,
}

/// What an engine has of its own: a folder with us in it, and a group above its containers.
#[derive(Debug)]
struct Home {
    folder: PathBuf,
    parent: String,
    keeper: Keeper,
}

impl Home {
    /// One for an engine, or none: then it says why.
    fn of(engine: &str, keeper: Keeper) -> Option<Self> {
        let installed = Command::new("which").arg(engine).output();
        if !installed.is_ok_and(|which| which.status.success()) {
            testkit::skip(&format!("{engine} is not installed"));
            return None;
        }
        if keeper == Keeper::Systemd && !Path::new("/run/systemd/system").is_dir() {
            testkit::skip("systemd does not run this machine");
            return None;
        }
        let name = format!(
            "estiva-test-{engine}-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let parent = match keeper {
            Keeper::Files => format!("/{name}"),
            // A dash would make a tree of slices.
            Keeper::Systemd => name.replace('-', "_") + ".slice",
        };
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder of ours");
        let home = Self {
            folder,
            parent,
            keeper,
        };
        let runtime = match std::env::var_os("ESTIVA_TEST_RUNTIME") {
            Some(peer) => peer.into(),
            None => testkit::engine::binary(),
        };
        std::os::unix::fs::symlink(runtime, home.runtime()).expect("a folder of ours");
        Some(home)
    }

    /// We, by the name that makes us a runtime.
    fn runtime(&self) -> PathBuf {
        self.folder.join("estiva-runtime")
    }

    /// A process of a container is where its engine wanted it: below the parent, and in a scope if systemd keeps them.
    fn holds(&self, pid: i32) {
        let group = cgroup::folder(pid, "memory");
        let name = group.file_name().expect("not the root").to_string_lossy();
        let parent = group.parent().expect("not the root");
        assert!(
            parent.ends_with(self.parent.trim_start_matches('/')),
            "{}",
            group.display()
        );
        assert_eq!(
            name.ends_with(".scope"),
            self.keeper == Keeper::Systemd,
            "{name}"
        );
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        testkit::leftovers::clean(&self.folder, &self.parent);
    }
}

/// Ends a daemon.
fn end(daemon: &mut std::process::Child) {
    proc::signal(daemon.id().cast_signed(), Signal::TERM);
    drop(daemon.wait());
}

/// A file of a group: its controller, its name and value on v1, its name and value on v2.
type Limit = (
    &'static str,
    (&'static str, &'static str),
    (&'static str, &'static str),
);

/// The kernel has these limits for the group of a process.
#[track_caller]
fn limits_are(pid: i32, limits: &[Limit]) {
    for (controller, v1, v2) in limits {
        let expected = if cgroup::is_unified() { v2.1 } else { v1.1 };
        let file = if cgroup::is_unified() { v2.0 } else { v1.0 };
        let found = cgroup::read(pid, controller, v1.0, v2.0);
        assert_eq!(found, expected, "{file}");
    }
}

/// Has a child that grows until it is killed, and outlives it a little: systemd removes the group of a container that has ended
/// before others can read there what happened.
const HOG: &str = r#"sh -c 'sh -c "x=aaaaaaaaaaaaaaaa; while :; do x=\$x\$x; done"; code=$?; sleep 3; exit $code'"#;
/// Ends with code 9 when it is asked to end.
const OBEDIENT: &str = r#"sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done'"#;

/// The shell on a terminal learns of another size. Clients listen for it only some time after the program runs.
#[track_caller]
fn size_follows(person: &mut Pty) {
    let deadline = Instant::now() + PATIENCE;
    for columns in 100.. {
        person.resize(30, columns);
        person.type_keys("stty size\n");
        std::thread::sleep(testkit::ms(500));
        let screen = person.screen();
        // The answer may be to an earlier question.
        if (100..=columns).any(|columns| screen.contains(&format!("30 {columns}"))) {
            return;
        }
        assert!(Instant::now() < deadline, "{}", person.screen());
    }
}

// --- Engines with docker's words ---

/// An engine whose client takes docker's words.
trait Docker {
    /// Its client.
    fn command(&self, line: &str) -> Command;
    /// What is told after `run`, `create` for this kind of machine.
    fn common(&self) -> String;
    fn home(&self) -> &Home;

    fn cli(&self, line: &str) -> Output {
        command::run(&mut self.command(line), b"")
    }

    fn run_line(&self, options: &str, program: &str) -> String {
        format!("run {} {options} busybox {program}", self.common())
    }

    fn run(&self, options: &str, program: &str) -> Output {
        self.cli(&self.run_line(options, program))
    }

    fn inspect(&self, member: &str) -> String {
        let line = format!("inspect --format {{{{.State.{member}}}}} c1");
        self.cli(&line).success()
    }

    /// The first process of `c1`, which is where it should be.
    fn pid(&self) -> i32 {
        let pid = self.inspect("Pid").parse().expect("a number");
        self.home().holds(pid);
        pid
    }
}

/// Programs end with their codes, run beside the first one, and stand still when paused.
fn programs_run(engine: &impl Docker, code_of_missing_exec: i32) {
    assert_eq!(engine.run("--rm", "echo hello").success(), "hello");
    assert_eq!(engine.run("--rm", "sh -c 'exit 7'").code, 7);
    assert_eq!(engine.run("--rm", "nosuchprogram").code, 127);
    assert_eq!(engine.run("--rm", "/etc/passwd").code, 126);
    let env = engine.run("--rm --env A=b --workdir /tmp", "sh -c 'echo $A; pwd'");
    assert_eq!(env.success(), "b\n/tmp");

    engine.run("--detach --name c1", "sleep 1000").success();
    let pid = engine.pid();
    assert_eq!(engine.cli("exec --user 1000 c1 id -u").success(), "1000");
    assert_eq!(engine.cli("exec c1 sh -c 'exit 5'").code, 5);
    assert_eq!(
        engine.cli("exec c1 nosuchprogram").code,
        code_of_missing_exec
    );
    engine.cli("exec --detach c1 sleep 2000").success();
    let group = cgroup::folder(pid, "pids");
    within(PATIENCE, "both are in the group", || {
        let pids = std::fs::read_to_string(group.join("cgroup.procs"));
        pids.is_ok_and(|pids| pids.lines().count() == 2)
    });
    assert!(engine.cli("top c1").success().contains("sleep 2000"));

    let frozen = || cgroup::read(pid, "freezer", "freezer.state", "cgroup.freeze");
    engine.cli("pause c1").success();
    assert!(matches!(frozen().as_str(), "FROZEN" | "1"), "{}", frozen());
    assert_eq!(engine.inspect("Status"), "paused");
    engine.cli("unpause c1").success();
    assert!(matches!(frozen().as_str(), "THAWED" | "0"), "{}", frozen());
    engine.cli("rm --force c1").success();
    within(PATIENCE, "nothing is left of it", || {
        !proc::is_alive(pid) && !group.exists()
    });
}

/// A disk of this machine: its node and its number.
fn disk() -> (String, String) {
    let names = std::fs::read_dir("/sys/block").expect("the kernel lists them");
    names
        .flatten()
        .find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let node = format!("/dev/{name}");
            let is_disk = ["vd", "sd", "nvme", "xvd"]
                .iter()
                .any(|kind| name.starts_with(kind));
            let number = std::fs::read_to_string(entry.path().join("dev")).ok()?;
            (is_disk && Path::new(&node).exists()).then(|| (node, number.trim().to_owned()))
        })
        .expect("the machine has a disk")
}

/// What `run` is told of limits is in the kernel's files, and so is what `update` changes.
fn limits_hold(engine: &impl Docker) {
    let (node, number) = disk();
    let options = format!(
        "--detach --name c1 --memory 64m --memory-swap 96m --memory-reservation 32m --pids-limit 20 --cpus 0.5 \
         --cpu-shares 512 --cpuset-cpus 0 --device-read-bps {node}:1mb --device-write-iops {node}:100"
    );
    engine.run(&options, "sleep 1000").success();
    let pid = engine.pid();
    let all = || {
        limits_are(
            pid,
            &[
                (
                    "memory",
                    ("memory.limit_in_bytes", "67108864"),
                    ("memory.max", "67108864"),
                ),
                (
                    "memory",
                    ("memory.memsw.limit_in_bytes", "100663296"),
                    ("memory.swap.max", "33554432"),
                ),
                (
                    "memory",
                    ("memory.soft_limit_in_bytes", "33554432"),
                    ("memory.low", "33554432"),
                ),
                ("pids", ("pids.max", "20"), ("pids.max", "20")),
                (
                    "cpu",
                    ("cpu.cfs_quota_us", "50000"),
                    ("cpu.max", "50000 100000"),
                ),
                ("cpu", ("cpu.shares", "512"), ("cpu.weight", "59")),
                ("cpuset", ("cpuset.cpus", "0"), ("cpuset.cpus", "0")),
            ],
        );
        let reads = cgroup::read(pid, "blkio", "blkio.throttle.read_bps_device", "io.max");
        let writes = cgroup::read(pid, "blkio", "blkio.throttle.write_iops_device", "io.max");
        if cgroup::is_unified() {
            let both = format!("{number} rbps=1048576 wbps=max riops=max wiops=100");
            assert_eq!(reads, both);
        } else {
            assert_eq!(reads, format!("{number} 1048576"));
            assert_eq!(writes, format!("{number} 100"));
        }
    };
    all();
    if engine.home().keeper == Keeper::Systemd {
        // It writes what it knows, and nothing else.
        command::run(Command::new("systemctl").arg("daemon-reload"), b"").success();
        all();
    }
    engine
        .cli("update --memory 32m --memory-swap 48m --cpus 0.25 --cpu-shares 1024 c1")
        .success();
    limits_are(
        pid,
        &[
            (
                "memory",
                ("memory.limit_in_bytes", "33554432"),
                ("memory.max", "33554432"),
            ),
            (
                "memory",
                ("memory.memsw.limit_in_bytes", "50331648"),
                ("memory.swap.max", "16777216"),
            ),
            (
                "cpu",
                ("cpu.cfs_quota_us", "25000"),
                ("cpu.max", "25000 100000"),
            ),
            ("cpu", ("cpu.shares", "1024"), ("cpu.weight", "100")),
            ("pids", ("pids.max", "20"), ("pids.max", "20")),
        ],
    );
    let inside = match cgroup::is_unified() {
        true => "cat /sys/fs/cgroup/memory.max",
        false => "cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
    };
    assert_eq!(
        engine.cli(&format!("exec c1 {inside}")).success(),
        "33554432"
    );
}

/// A weight of block I/O, which only cgroup v2 has without BFQ.
fn a_weight_of_block_io_holds(engine: &impl Docker) {
    if !cgroup::is_unified() {
        return testkit::skip("on v1 only BFQ has weights of block I/O");
    }
    engine
        .run("--detach --name c1 --blkio-weight 500", "sleep 1000")
        .success();
    let pid = engine.pid();
    assert_eq!(cgroup::read(pid, "blkio", "", "io.weight"), "default 4950");
}

/// Who outgrows his memory is killed; `is_told` says whether the engine learns why.
fn memory_has_an_end(engine: &impl Docker, is_told: bool) {
    let run = engine.run("--name c1 --memory 32m --memory-swap 32m", HOG);
    assert_eq!(run.code, 137, "{}", run.error());
    within(PATIENCE, "the engine has heard of it", || {
        !is_told || engine.inspect("OOMKilled") == "true"
    });
}

/// Where the kernel has AppArmor, every process has the profile that the engine gives.
fn a_profile_confines(engine: &impl Docker, profile: &str) {
    if !Path::new("/sys/kernel/security/apparmor").exists() {
        return testkit::skip("this machine has no AppArmor");
    }
    let expected = format!("{profile} (enforce)");
    let shown = "cat /proc/self/attr/apparmor/current";
    engine.run("--detach --name c1", "sleep 1000").success();
    let current = proc::read(engine.pid(), "attr/apparmor/current").expect("it runs");
    assert_eq!(current.trim(), expected);
    assert_eq!(engine.cli(&format!("exec c1 {shown}")).success(), expected);
    let free = engine.run("--rm --security-opt apparmor=unconfined", shown);
    assert_eq!(free.success(), "unconfined");
    let unknown = engine.run("--rm --security-opt apparmor=nosuchprofile", shown);
    assert_ne!(unknown.code, 0);
    let error = unknown.error().to_lowercase();
    assert!(error.contains("apparmor"), "{error}");
}

/// `stop` asks, and then insists; `kill` sends what it is told.
fn containers_stop(engine: &impl Docker) {
    engine.run("--detach --name c1", OBEDIENT).success();
    // Its shell has come so far when it has started something.
    let children = |pid: i32| proc::read(pid, &format!("task/{pid}/children"));
    let is_ready = |pid| {
        within(PATIENCE, "it loops", || {
            children(pid).is_some_and(|list| !list.is_empty())
        })
    };
    is_ready(engine.pid());
    engine.cli("stop --time 30 c1").success();
    assert_eq!(engine.inspect("ExitCode"), "9");
    engine.cli("start c1").success();
    is_ready(engine.pid());
    engine.cli("kill --signal TERM c1").success();
    within(PATIENCE, "it has ended", || {
        engine.inspect("Status") == "exited"
    });
    assert_eq!(engine.inspect("ExitCode"), "9");
    engine.cli("rm c1").success();

    let stubborn = r#"sh -c 'trap "" TERM; while :; do sleep 0.1; done'"#;
    engine.run("--detach --name c1", stubborn).success();
    is_ready(engine.pid());
    engine.cli("stop --time 1 c1").success();
    assert_eq!(engine.inspect("ExitCode"), "137");
    engine.cli("rm c1").success();
}

/// A terminal is the container's own, has the size of the caller's, and follows it.
fn terminals_work(engine: &impl Docker) {
    let output = engine.run("--rm --tty", "tty");
    assert_eq!(output.success().trim(), "/dev/pts/0");
    let line = engine.run_line("--rm --interactive --tty --name c1", "sh");
    let mut person = Pty::start(&engine.command(&line));
    person.type_keys("echo rea''dy\n");
    person.await_text("ready");
    size_follows(&mut person);
    let second = engine.cli("exec --tty c1 tty").success();
    assert!(second.trim().starts_with("/dev/pts/"), "{second}");
    person.type_keys("exit 4\n");
    assert_eq!(person.finish(), 4);
}
