//! An engine on a host of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::{Lan, Place, command, dns, http, leftovers, proc, rootfs, words};

use crate::peer::{binary, is_installed};
use crate::report::Report;

/// Which program an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ours.
    Estiva,
    /// dockerd with the docker client.
    Docker,
    /// podman, which has no daemon; with netavark where that is installed.
    Podman,
}

/// One engine with the image `busybox`, on the `host` of a network.
#[derive(Debug)]
pub(super) struct Contestant {
    /// Which.
    pub(super) kind: Kind,
    /// Its name in the report.
    pub(super) name: String,
    /// Its hosts.
    pub(super) lan: Lan,
    root: PathBuf,
    cgroup_parent: String,
    daemon: Option<Child>,
}

impl Contestant {
    /// Starts whatever is installed, ours first.
    pub(super) fn all(report: &mut Report) -> Vec<Self> {
        let mut all = Vec::new();
        for (kind, program) in [
            (Kind::Estiva, None),
            (Kind::Docker, Some("dockerd")),
            (Kind::Podman, Some("podman")),
        ] {
            if let Some(program) = program.filter(|program| !is_installed(program)) {
                report.note(&format!("not installed: {program}"));
                continue;
            }
            let contestant = Self::start(kind);
            let probe = contestant.client("run --rm busybox true").output();
            let probe = probe.expect("the client can be started");
            if probe.status.success() || kind == Kind::Estiva {
                report.note(&format!("measured: {}", contestant.name));
                all.push(contestant);
            } else {
                report.note(&format!(
                    "left out, it runs nothing here: {}: {}",
                    contestant.name,
                    String::from_utf8_lossy(&probe.stderr).trim()
                ));
            }
        }
        // dockerd loads br_netfilter, which then shows bridged frames to the tables of ip on every host of this machine.
        // Others are measured on a host that dockerd never ran on.
        for it in &all {
            it.show_bridged(it.kind == Kind::Docker);
        }
        all
    }

    /// Starts one with its daemon and its image.
    pub(super) fn start(kind: Kind) -> Self {
        let name = format!("{kind:?}").to_lowercase();
        let tag = format!("estiva-bench-net-{}-{name}", std::process::id());
        let root = std::env::temp_dir().join(&tag);
        std::fs::create_dir_all(&root).expect("a folder of our own");
        let mut contestant = Self {
            kind,
            name,
            lan: testkit::lan(),
            root,
            cgroup_parent: format!("/{tag}"),
            daemon: None,
        };
        contestant.start_daemon();
        let mut import = contestant.client("import - busybox");
        command::run(&mut import, rootfs::archive()).success();
        contestant
    }

    fn start_daemon(&mut self) {
        let mut command = match self.kind {
            Kind::Podman => return,
            Kind::Docker => self.lan.host.command("dockerd"),
            Kind::Estiva => {
                let mut command = self.lan.host.command(binary());
                command.arg("daemon");
                command
            }
        };
        for (option, file) in [
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ] {
            command.arg(option).arg(self.root.join(file));
        }
        let log = std::fs::File::create(self.root.join("daemon.log")).expect("a file of our own");
        let child = command
            .args(["-H", &self.address()])
            .args(["--cgroup-parent", &self.cgroup_parent])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.daemon = Some(child.unwrap_or_else(|error| panic!("start {command:?}: {error}")));
        testkit::within(Duration::from_secs(30), "the daemon answers", || {
            http::answers(&self.root.join("d.sock"))
        });
    }

    fn address(&self) -> String {
        format!("unix://{}", self.root.join("d.sock").display())
    }

    /// The client's command. Only podman's runs on the host itself: it is its own daemon.
    pub(super) fn client(&self, line: &str) -> Command {
        let mut words = words(line);
        let mut command = match self.kind {
            Kind::Estiva => Command::new(binary()),
            Kind::Docker => Command::new("docker"),
            Kind::Podman => {
                let mut command = self.lan.host.command("podman");
                command.arg("--root").arg(self.root.join("data"));
                command.arg("--runroot").arg(self.root.join("exec"));
                command.args(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
                if words.first().is_some_and(|word| word == "run") {
                    // Its default limits are above what a machine without CAP_SYS_RESOURCE grants.
                    let limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];
                    words.splice(1..1, limits.map(str::to_owned));
                }
                command
            }
        };
        command
            .args(words)
            .env("ESTIVA_HOST", self.address())
            .env("DOCKER_HOST", self.address())
            .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1")
            .stdin(Stdio::null());
        if self.kind != Kind::Podman {
            command.env("DOCKER_CONFIG", self.root.join("client"));
        }
        command
    }

    /// Runs a command that must succeed; gives its output.
    pub(super) fn ok(&self, line: &str) -> String {
        let output = self.client(line).output();
        let output = output.expect("the client can be started");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {line}: {error}", self.name);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Whether a command succeeds.
    pub(super) fn tries(&self, line: &str) -> bool {
        let output = self.client(line).output();
        output.expect("the client can be started").status.success()
    }

    /// How long some commands take, one after the other, that must all succeed.
    pub(super) fn time(&self, lines: &[&str]) -> Duration {
        let begun = Instant::now();
        for line in lines {
            let mut command = self.client(line);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            let status = status.expect("the client can be started");
            assert!(status.success(), "{}: {line}", self.name);
        }
        begun.elapsed()
    }

    /// Where a container is in the network.
    pub(super) fn place(&self, container: &str) -> Place {
        let pid = self.ok(&format!("inspect -f '{{{{.State.Pid}}}}' {container}"));
        Place::of(pid.parse().expect("a pid"))
    }

    /// Has bridged frames pass the tables of ip on its host, or not; gives what was so before.
    pub(super) fn show_bridged(&self, wanted: bool) -> bool {
        let mut before = false;
        for tables in ["iptables", "ip6tables", "arptables"] {
            let name = format!("bridge.bridge-nf-call-{tables}");
            // Without br_netfilter there is no such setting, and nothing is shown.
            if let Some(value) = self.lan.host.sysctl(&name) {
                before = value == "1";
                self.lan
                    .host
                    .set_sysctl(&name, if wanted { "1" } else { "0" });
            }
        }
        before
    }

    /// Removes every container.
    pub(super) fn remove_all(&self) {
        let ids = self.ok("ps -aq");
        for batch in ids.lines().collect::<Vec<_>>().chunks(50) {
            self.ok(&format!("rm -f {}", batch.join(" ")));
        }
    }
}

/// The server that a container's programs ask for names, when it answers.
pub(super) fn resolver(place: &Place, it: &Contestant) -> Option<SocketAddr> {
    let text = it.ok("exec asks cat /etc/resolv.conf");
    let server = text
        .lines()
        .find_map(|line| line.strip_prefix("nameserver "))?;
    let server = SocketAddr::new(server.trim().parse().ok()?, 53);
    let reply = place.dns(server, "known", dns::kind::A).ok()?;
    (!reply.answers.is_empty()).then_some(server)
}

impl Drop for Contestant {
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
