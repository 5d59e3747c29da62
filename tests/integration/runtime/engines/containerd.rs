//! containerd on our runtime, as a program that is like runc.

use std::process::{Child, Command, Stdio};

use testkit::{Output, Pty, cgroup, command, proc, within};

use super::{HOG, Home, Keeper, OBEDIENT, PATIENCE, limits_are};

/// A containerd of our own, and a root file system.
struct Containerd {
    home: Home,
    daemon: Child,
}

impl Containerd {
    fn start(keeper: Keeper) -> Option<Self> {
        let home = Home::of("containerd", keeper)?;
        testkit::rootfs::create(&home.folder.join("rootfs"));
        let at = home.folder.display();
        let config = format!(
            "version = 2\nroot = \"{at}/root\"\nstate = \"{at}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{at}/sock\"\n[ttrpc]\naddress = \"{at}/ttrpc\"\n"
        );
        std::fs::write(home.folder.join("config.toml"), config).expect("a folder of ours");
        let log = std::fs::File::create(home.folder.join("log")).expect("a folder of ours");
        let daemon = Command::new("containerd")
            .arg("--config")
            .arg(home.folder.join("config.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let engine = Self {
            home,
            daemon: daemon.expect("it was found"),
        };
        within(PATIENCE, "containerd answers", || {
            engine.cli("version").code == 0
        });
        Some(engine)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("ctr");
        command
            .arg("--namespace")
            .arg(self.home.folder.file_name().expect("it has one"))
            .arg("--address")
            .arg(self.home.folder.join("sock"))
            .args(command::words(line));
        command
    }

    fn cli(&self, line: &str) -> Output {
        command::run(&mut self.command(line), b"")
    }

    /// `run` of a container by its root file system; its groups lie under one of ours.
    fn run_line(&self, options: &str, id: &str, program: &str) -> String {
        let (at, parent) = (self.home.folder.display(), &self.home.parent);
        let group = match self.home.keeper {
            Keeper::Files => format!("--cgroup {parent}/{id}"),
            Keeper::Systemd => format!("--runc-systemd-cgroup --cgroup {parent}:ctr:{id}"),
        };
        format!(
            "run --env PATH=/bin --runtime io.containerd.runc.v2 --runc-binary {at}/estiva-runtime {group} {options} \
             --rootfs {at}/rootfs {id} {program}"
        )
    }

    fn run(&self, options: &str, id: &str, program: &str) -> Output {
        self.cli(&self.run_line(options, id, program))
    }

    fn exec(&self, number: u32, program: &str) -> Output {
        self.cli(&format!("task exec --exec-id e{number} c1 {program}"))
    }

    /// What the list of tasks says of `c1`: its pid and how it stands.
    fn task(&self) -> (i32, String) {
        let list = self.cli("task ls").success();
        let line = list.lines().find(|line| line.starts_with("c1"));
        let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        match words.as_slice() {
            [_, pid, standing] => (pid.parse().expect("a number"), (*standing).to_owned()),
            _ => panic!("no task c1:\n{list}"),
        }
    }

    /// The first process of `c1`, which is where it should be.
    fn pid(&self) -> i32 {
        let (pid, _) = self.task();
        self.home.holds(pid);
        pid
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.cli("task delete --force c1"));
        drop(self.cli("container delete c1"));
        super::end(&mut self.daemon);
    }
}

/// One story, told to a containerd with such groups.
fn tell(keeper: Keeper, story: fn(&Containerd)) {
    if let Some(containerd) = Containerd::start(keeper) {
        story(&containerd);
    }
}

fn programs_run(containerd: &Containerd) {
    let hello = containerd.run("--rm", "r1", "echo hello");
    assert_eq!(hello.success(), "hello");
    assert_eq!(containerd.run("--rm", "r2", "sh -c 'exit 7'").code, 7);
    let missing = containerd.run("--rm", "r3", "nosuchprogram").error();
    assert!(missing.contains("executable file not found"), "{missing}");

    containerd.run("--detach", "c1", OBEDIENT).success();
    let pid = containerd.pid();
    assert_eq!(containerd.exec(1, "echo inside").success(), "inside");
    assert_eq!(containerd.exec(2, "sh -c 'exit 5'").code, 5);
    let listed = containerd.cli("task ps c1").success();
    assert!(listed.contains(&pid.to_string()), "{listed}");
    let frozen = || cgroup::read(pid, "freezer", "freezer.state", "cgroup.freeze");
    containerd.cli("task pause c1").success();
    assert_eq!(containerd.task().1, "PAUSED");
    assert!(matches!(frozen().as_str(), "FROZEN" | "1"), "{}", frozen());
    containerd.cli("task resume c1").success();
    assert_eq!(containerd.task().1, "RUNNING");

    let group = cgroup::folder(pid, "pids");
    containerd.cli("task kill --signal TERM c1").success();
    within(PATIENCE, "it has stopped", || {
        containerd.task().1 == "STOPPED"
    });
    let deleted = containerd.cli("task delete c1");
    let error = deleted.error();
    assert!(
        error.contains("exit code 9") || deleted.code == 9,
        "{error}"
    );
    containerd.cli("container delete c1").success();
    assert!(!proc::is_alive(pid) && !group.exists());
}

fn limits_hold(containerd: &Containerd) {
    let options = "--detach --memory-limit 67108864 --cpus 0.5 --cpu-shares 512";
    containerd.run(options, "c1", "sleep 1000").success();
    let pid = containerd.pid();
    limits_are(
        pid,
        &[
            (
                "memory",
                ("memory.limit_in_bytes", "67108864"),
                ("memory.max", "67108864"),
            ),
            (
                "cpu",
                ("cpu.cfs_quota_us", "50000"),
                ("cpu.max", "50000 100000"),
            ),
            ("cpu", ("cpu.shares", "512"), ("cpu.weight", "59")),
        ],
    );
    let used = containerd.cli("task metrics c1").success();
    assert!(used.contains("67108864"), "{used}");
}

fn memory_has_an_end(containerd: &Containerd) {
    let events = command::Running::start(&mut containerd.command("events"));
    let run = containerd.run("--rm --memory-limit 33554432", "c1", HOG);
    assert_eq!(run.code, 137, "{}", run.error());
    // What it is told of is told on: then the end of the events holds it.
    events.signal(rustix::process::Signal::INT);
    let told = events.finish().text();
    assert!(told.contains("/tasks/oom"), "{told}");
}

fn terminals_work(containerd: &Containerd) {
    let line = containerd.run_line("--rm --tty", "c1", "sh");
    let mut person = Pty::start(&containerd.command(&line));
    person.type_keys("tty; echo rea''dy\n");
    person.await_text("ready");
    assert!(
        person.screen().contains("/dev/pts/0"),
        "{}",
        person.screen()
    );
    super::size_follows(&mut person);
    let exec = containerd.command("task exec --tty --exec-id e1 c1 tty");
    let mut second = Pty::start(&exec);
    assert_eq!(second.finish(), 0, "{}", second.screen());
    assert!(second.screen().contains("/dev/pts/"), "{}", second.screen());
    person.type_keys("exit 4\n");
    assert_eq!(person.finish(), 4);
}

#[test]
fn containerds_programs_run_on_us() {
    tell(Keeper::Files, programs_run);
}

#[test]
fn containerds_limits_are_the_kernels() {
    tell(Keeper::Files, limits_hold);
}

#[test]
fn containerd_hears_that_memory_has_ended() {
    tell(Keeper::Files, memory_has_an_end);
}

#[test]
fn containerds_terminals_work() {
    tell(Keeper::Files, terminals_work);
}

#[test]
fn containerds_programs_run_in_scopes() {
    tell(Keeper::Systemd, programs_run);
}

#[test]
fn containerds_limits_in_scopes_are_the_kernels() {
    tell(Keeper::Systemd, limits_hold);
}

#[test]
fn containerd_hears_that_memory_of_a_scope_has_ended() {
    tell(Keeper::Systemd, memory_has_an_end);
}
