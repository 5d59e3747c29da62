//! The engines under measurement: each in a folder of its own, each spoken to by its own client.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::{command, http, leftovers, proc, rootfs, words};

use crate::report::Report;

/// Which program an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours.
    Estiva,
    /// dockerd with the docker client.
    Docker,
    /// podman, which has no daemon.
    Podman,
}

/// One engine with the image `busybox`.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Which.
    pub(crate) kind: Kind,
    /// Its name in the report.
    pub(crate) name: String,
    root: PathBuf,
    cgroup_parent: String,
    daemon: Option<Child>,
}

/// All engines found, ours first.
#[derive(Debug)]
pub(crate) struct Peers {
    /// The engines.
    pub(crate) all: Vec<Peer>,
}

impl Peers {
    /// Starts whatever is installed.
    pub(crate) fn start(report: &mut Report) -> Self {
        let mut all = Vec::new();
        for (kind, program) in [
            (Kind::Estiva, None),
            (Kind::Docker, Some("dockerd")),
            (Kind::Podman, Some("podman")),
        ] {
            match program {
                Some(program) if !is_installed(program) => {
                    report.note(&format!("not installed: {program}"))
                }
                _ => {
                    let peer = Peer::start(kind);
                    let probe = command::run(
                        &mut peer.client("run --rm --network none busybox true"),
                        &[],
                    );
                    if probe.code == 0 || kind == Kind::Estiva {
                        all.push(peer);
                    } else {
                        report.note(&format!(
                            "left out, it runs nothing here: {}: {}",
                            peer.name,
                            probe.error().trim()
                        ));
                    }
                }
            }
        }
        for peer in &all {
            report.note(&format!("measured: {}", peer.name));
        }
        Self { all }
    }

    /// Ours and, if it is there, docker's.
    #[must_use]
    pub(crate) fn position(&self, kind: Kind) -> Option<usize> {
        self.all.iter().position(|peer| peer.kind == kind)
    }
}

impl Peer {
    fn start(kind: Kind) -> Self {
        let tag = format!("estiva-bench-{}-{kind:?}", std::process::id()).to_lowercase();
        let root = std::env::temp_dir().join(&tag);
        std::fs::create_dir_all(root.join("client")).expect("a folder of our own");
        // podman refuses to run where the file is named and missing.
        std::fs::write(root.join("client/config.json"), "{}").expect("a folder of our own");
        let mut peer = Self {
            kind,
            name: String::new(),
            root,
            cgroup_parent: format!("/{tag}"),
            daemon: None,
        };
        peer.start_daemon();
        peer.name = match kind {
            Kind::Estiva => "estiva".to_owned(),
            Kind::Docker => "docker".to_owned(),
            Kind::Podman => "podman".to_owned(),
        };
        command::run(&mut peer.client("import - busybox"), rootfs::archive()).success();
        peer
    }

    fn start_daemon(&mut self) {
        let mut command = match self.kind {
            Kind::Podman => return,
            Kind::Docker => Command::new("dockerd"),
            Kind::Estiva => {
                let mut command = Command::new(binary());
                command.arg("daemon");
                command
            }
        };
        command
            .arg("--data-root")
            .arg(self.root.join("data"))
            .arg("--exec-root")
            .arg(self.root.join("exec"))
            .args(["-H", &self.host()])
            .arg("--pidfile")
            .arg(self.root.join("pid"))
            .args(["--cgroup-parent", &self.cgroup_parent]);
        if self.kind == Kind::Docker {
            command.args(["--bridge", "none", "--iptables=false"]);
        }
        let log = std::fs::File::create(self.root.join("daemon.log")).expect("a file of our own");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.daemon = Some(child.unwrap_or_else(|error| panic!("start {command:?}: {error}")));
        testkit::within(Duration::from_secs(30), "the daemon answers", || {
            http::answers(&self.root.join("d.sock"))
        });
    }

    fn host(&self) -> String {
        format!("unix://{}", self.root.join("d.sock").display())
    }

    /// A folder of the engine's, for files that the work needs.
    #[must_use]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The client's command; options that only one engine needs on this machine are put in.
    #[must_use]
    pub(crate) fn client(&self, line: &str) -> Command {
        let mut words = words(line);
        let mut command = match self.kind {
            Kind::Estiva => Command::new(binary()),
            Kind::Docker => Command::new("docker"),
            Kind::Podman => {
                let mut command = Command::new("podman");
                command.arg("--root").arg(self.root.join("data"));
                command.arg("--runroot").arg(self.root.join("exec"));
                command.args(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
                if words.first().is_some_and(|word| word == "run") {
                    // Its default limits are above what a VM without CAP_SYS_RESOURCE grants.
                    let limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];
                    words.splice(1..1, limits.map(str::to_owned));
                }
                command
            }
        };
        command
            .args(words)
            .env("ESTIVA_HOST", self.host())
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_CONFIG", self.root.join("client"))
            .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
        command
    }

    /// Runs a command that must succeed; gives its output. Some work of some peers takes minutes: there is no deadline.
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.client(line).stdin(Stdio::null()).output();
        let output = output.expect("the client can be started");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {line}: {error}", self.name);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// How long a command takes that must succeed.
    pub(crate) fn time(&self, line: &str) -> Duration {
        let mut command = self.client(line);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begun = Instant::now();
        let status = command.status().expect("the client can be started");
        let took = begun.elapsed();
        assert!(status.success(), "{}: {line}", self.name);
        took
    }

    /// Pids of the engine's own processes: daemon, its helpers, one per container.
    #[must_use]
    pub(crate) fn processes(&self) -> Vec<i32> {
        let root = format!("{}/", self.root.display());
        let names_root =
            |pid: i32| proc::read(pid, "cmdline").is_some_and(|line| line.contains(&root));
        // Our spawner and shims name no folder: they are known by their ancestor, the daemon.
        let daemon = self.daemon.as_ref().map(|daemon| daemon.id().cast_signed());
        let is_ours = |pid: i32| {
            let name = proc::read(pid, "cmdline").unwrap_or_default();
            name.starts_with("estiva-spawner") && ancestors(pid).any(|above| Some(above) == daemon)
        };
        proc::pids()
            .into_iter()
            .filter(|pid| names_root(*pid) || is_ours(*pid))
            .filter(|pid| *pid != std::process::id().cast_signed())
            .collect()
    }

    /// Removes every container.
    pub(crate) fn remove_all(&self) {
        let ids = self.ok("ps -aq");
        for batch in ids.lines().collect::<Vec<_>>().chunks(50) {
            self.ok(&format!("rm -f {}", batch.join(" ")));
        }
    }
}

/// A process's parent, its parent, and so on.
fn ancestors(pid: i32) -> impl Iterator<Item = i32> {
    let parent = |pid: &i32| -> Option<i32> {
        let status = proc::read(*pid, "status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        line.trim().parse().ok().filter(|above| *above > 1)
    };
    std::iter::successors(parent(&pid), move |pid| parent(pid))
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.remove_all();
        }
        if let Some(daemon) = &mut self.daemon {
            proc::signal(daemon.id().cast_signed(), Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(15);
            while daemon.try_wait().is_ok_and(|status| status.is_none())
                && Instant::now() < deadline
            {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        leftovers::clean(&self.root, &self.cgroup_parent);
    }
}

/// Takes turns: everyone does the work once unmeasured, then `rounds` times each, A B C A B C.
pub(crate) fn alternate(
    peers: &[Peer],
    rounds: usize,
    mut work: impl FnMut(&Peer) -> Duration,
) -> Vec<(String, Vec<Duration>)> {
    let mut rows: Vec<(String, Vec<Duration>)> = peers
        .iter()
        .map(|peer| (peer.name.clone(), Vec::new()))
        .collect();
    for peer in peers {
        work(peer);
    }
    for _ in 0..rounds {
        for (peer, (_, times)) in peers.iter().zip(&mut rows) {
            times.push(work(peer));
        }
    }
    rows
}

/// The release binary.
#[must_use]
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("ESTIVA_BIN") {
        return PathBuf::from(path);
    }
    let own = std::env::current_exe().expect("a running program has a path");
    let beside = own.with_file_name("estiva");
    assert!(
        beside.is_file(),
        "build it first (cargo build --release -p estiva) or set ESTIVA_BIN"
    );
    beside
}

/// Whether a program is in `PATH`.
#[must_use]
pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}
