//! A throwaway engine: our daemon, or dockerd as the peer that proves a story.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::command::{self, Output, Running, words};
use crate::container::Container;
use crate::lan::Host;
use crate::{http, leftovers, ms, proc, rootfs, survey};

/// How an engine is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// No image in it.
    pub bare: bool,
    /// More words for the daemon.
    pub daemon_args: Vec<String>,
    /// The host of a [`Lan`](crate::Lan) on which the daemon runs; otherwise this machine.
    pub host: Option<Arc<Host>>,
}

/// A running engine; everything of it goes when it is dropped, and a story that left something fails.
#[derive(Debug)]
pub struct Engine {
    root: PathBuf,
    cgroup_parent: String,
    daemon: Option<Child>,
    options: Options,
    /// The host's network before the first daemon, which must be so again after the last.
    before: Vec<String>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Engine {
    /// Starts an engine in a folder of its own.
    ///
    /// # Panics
    /// When it does not answer in time.
    #[must_use]
    pub fn start(options: &Options) -> Self {
        let tag = format!(
            "estiva-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let root = std::env::temp_dir().join(&tag);
        std::fs::create_dir_all(&root).expect("a folder of our own");
        let mut engine = Self {
            root,
            cgroup_parent: format!("/{tag}"),
            daemon: None,
            options: options.clone(),
            before: options.host.as_deref().map(survey::of).unwrap_or_default(),
        };
        engine.start_daemon();
        if !options.bare {
            let import = engine.cli("import - busybox");
            import.with_input(rootfs::archive()).success();
        }
        engine
    }

    /// Whether the stories are told to dockerd.
    #[must_use]
    pub fn is_peer() -> bool {
        std::env::var_os("ESTIVA_TEST_PEER").is_some()
    }

    /// Whether the stories are told through the docker CLI.
    #[must_use]
    pub fn speaks_docker() -> bool {
        Self::is_peer() || std::env::var("ESTIVA_TEST_CLI").is_ok_and(|cli| cli == "docker")
    }

    /// The folder that holds all of the engine: `data`, `exec`, `d.sock`, `pid`, `daemon.log`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The data root.
    #[must_use]
    pub fn data_root(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The API's address, `unix://…`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The API's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.root.join("d.sock")
    }

    /// The cgroup below which containers run.
    #[must_use]
    pub fn cgroup_parent(&self) -> &str {
        &self.cgroup_parent
    }

    /// The daemon's pid.
    ///
    /// # Panics
    /// When it has been stopped.
    #[must_use]
    pub fn daemon_pid(&self) -> i32 {
        let daemon = self.daemon.as_ref().expect("the daemon runs");
        daemon.id().cast_signed()
    }

    /// What the daemon has written to its standard error.
    #[must_use]
    pub fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.root.join("daemon.log")).unwrap_or_default()
    }

    // --- commands ---

    /// A client's command, given as one line; not started yet.
    #[must_use]
    pub fn cli(&self, line: &str) -> Cli {
        self.cli_words(words(line))
    }

    /// A client's command, given as words; not started yet.
    #[must_use]
    pub fn cli_words<I, S>(&self, args: I) -> Cli
    where
        I: IntoIterator<Item = S>,
        S: AsRef<std::ffi::OsStr>,
    {
        let program = match Self::speaks_docker() {
            true => PathBuf::from("docker"),
            false => binary(),
        };
        self.program(program, args)
    }

    /// The same through the unmodified docker CLI, whatever the mode.
    #[must_use]
    pub fn docker(&self, line: &str) -> Cli {
        self.program(PathBuf::from("docker"), words(line))
    }

    fn program<I, S>(&self, program: PathBuf, args: I) -> Cli
    where
        I: IntoIterator<Item = S>,
        S: AsRef<std::ffi::OsStr>,
    {
        let mut command = Command::new(program);
        command
            .args(args)
            .env("ESTIVA_HOST", self.host())
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_CONFIG", self.root.join("client"))
            .env("ESTIVA_CONFIG", self.root.join("client"));
        Cli { command }
    }

    /// Standard output of a command that must succeed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        self.cli(line).run().success()
    }

    /// Standard error of a command that must fail with this code.
    #[track_caller]
    pub fn fails(&self, code: i32, line: &str) -> String {
        self.cli(line).run().failure(code)
    }

    /// Standard error of a command that must fail, with whatever code.
    #[track_caller]
    pub fn refuses(&self, line: &str) -> String {
        let output = self.cli(line).run();
        assert!(output.code != 0, "{line} succeeded: {}", output.text());
        output.error()
    }

    /// Runs a container in the background; `line` is what follows `run -d`.
    #[track_caller]
    #[must_use]
    pub fn run(&self, line: &str) -> Container<'_> {
        let id = self.ok(&format!("run -d {line}"));
        Container::new(
            self,
            id.lines().last().unwrap_or_default().trim().to_owned(),
        )
    }

    /// What `inspect` says of one object.
    #[track_caller]
    #[must_use]
    pub fn inspect(&self, name: &str) -> Value {
        let text = self.ok(&format!("inspect {name}"));
        let value: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        value[0].clone()
    }

    /// One request to the API: the status and the answer's JSON (null when there is none).
    #[track_caller]
    #[must_use]
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        http::request(&self.socket(), method, path, body)
    }

    // --- the daemon's life ---

    /// Starts the daemon and waits for its answer.
    ///
    /// # Panics
    /// When it ends or does not answer within 30 seconds.
    #[track_caller]
    pub fn start_daemon(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.root.join("daemon.log"))
            .expect("a file of our own");
        let mut command = self.daemon_command();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor to spare"))
            .stderr(log)
            .spawn();
        self.daemon = Some(child.unwrap_or_else(|error| panic!("start {command:?}: {error}")));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !http::answers(&self.socket()) {
            let ended = self.daemon.as_mut().is_some_and(|child| {
                child
                    .try_wait()
                    .expect("a child of ours can be waited for")
                    .is_some()
            });
            assert!(
                !ended && Instant::now() < deadline,
                "the daemon does not answer; it says:\n{}",
                self.daemon_log()
            );
            std::thread::sleep(ms(10));
        }
    }

    /// The command that starts a daemon for this folder, for stories about a second one.
    #[must_use]
    pub fn daemon_command(&self) -> Command {
        let program = match Self::is_peer() {
            true => PathBuf::from("dockerd"),
            false => binary(),
        };
        let mut command = match &self.options.host {
            Some(host) => host.command(program),
            None => Command::new(program),
        };
        if !Self::is_peer() {
            command.arg("daemon");
        }
        command
            .arg("--data-root")
            .arg(self.data_root())
            .arg("--exec-root")
            .arg(self.root.join("exec"))
            .args(["-H", &self.host()])
            .arg("--pidfile")
            .arg(self.root.join("pid"))
            .args(["--cgroup-parent", &self.cgroup_parent]);
        if Self::is_peer() {
            command.arg("--live-restore");
            if self.options.host.is_none() {
                command.args(["--bridge", "none", "--iptables=false"]);
            }
        }
        command.args(&self.options.daemon_args);
        command
    }

    /// Kills the daemon as a crash would, with no time to say goodbye.
    pub fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
        if Self::is_peer() {
            // dockerd would refuse to start beside the pid file of its dead self if the pid were taken again.
            drop(std::fs::remove_file(self.root.join("pid")));
        }
    }

    /// Asks the daemon to end and waits for it.
    ///
    /// # Panics
    /// When it is still there after 20 seconds.
    #[track_caller]
    pub fn stop_daemon(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        proc::signal(daemon.id().cast_signed(), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(20);
        while daemon
            .try_wait()
            .expect("a child of ours can be waited for")
            .is_none()
        {
            if Instant::now() > deadline {
                drop(daemon.kill());
                drop(daemon.wait());
                panic!("the daemon did not end; it says:\n{}", self.daemon_log());
            }
            std::thread::sleep(ms(10));
        }
    }

    /// Kills the daemon and starts the next one.
    #[track_caller]
    pub fn crash_and_restart(&mut self) {
        self.kill_daemon();
        self.start_daemon();
    }

    /// Removes every container, with its anonymous volumes.
    #[track_caller]
    pub fn remove_all_containers(&self) {
        let ids = self.ok("ps -aq --no-trunc");
        if !ids.is_empty() {
            let ids: Vec<&str> = ids.lines().collect();
            let mut line = vec!["rm", "-f", "-v"];
            line.extend(ids);
            self.cli_words(line).run().success();
        }
    }

    /// What is still there of it, on this machine and in its host's network.
    fn left(&self) -> Vec<String> {
        let mut left = leftovers::list(&self.root, &self.cgroup_parent);
        if let Some(host) = &self.options.host {
            let mounts = host.mounts_below(&self.root);
            left.extend(
                mounts
                    .iter()
                    .map(|mount| format!("mount {}", mount.display())),
            );
            // dockerd leaves its bridges and rules for its next life.
            if !Self::is_peer() {
                left.extend(survey::left(&self.before, &survey::of(host)));
            }
        }
        left
    }

    fn close(&mut self) {
        if self.daemon.is_none() {
            self.start_daemon();
        }
        self.remove_all_containers();
        if self.options.host.is_some() {
            self.ok("network prune -f");
        }
        self.stop_daemon();
        // Shims and the kernel's tear-down may outlive the daemon's last answer by a moment.
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut left = self.left();
        while !left.is_empty() && Instant::now() < deadline {
            std::thread::sleep(ms(50));
            left = self.left();
        }
        let log = self.daemon_log();
        leftovers::clean(&self.root, &self.cgroup_parent);
        // dockerd 20.10 leaves the network namespace it made for `none` mounted; ours is not judged by that.
        assert!(
            left.is_empty() || Self::is_peer(),
            "left behind:\n  {}\nthe daemon says:\n{log}",
            left.join("\n  ")
        );
    }
}

impl Drop for Engine {
    #[expect(
        clippy::print_stderr,
        reason = "a failed story's daemon log is the first thing to look at"
    )]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let closed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.close()));
            if let Err(panic) = closed {
                self.kill_daemon();
                leftovers::clean(&self.root, &self.cgroup_parent);
                std::panic::resume_unwind(panic);
            }
            return;
        }
        eprintln!(
            "--- the daemon of {} says:\n{}",
            self.root.display(),
            self.daemon_log()
        );
        self.kill_daemon();
        if std::env::var_os("ESTIVA_TEST_KEEP").is_none() {
            leftovers::clean(&self.root, &self.cgroup_parent);
        }
    }
}

/// A client's command on its way.
#[derive(Debug)]
pub struct Cli {
    command: Command,
}

impl Cli {
    /// Sets a variable for the client.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the client's working folder.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it with nothing on standard input.
    #[track_caller]
    #[must_use]
    pub fn run(self) -> Output {
        self.with_input(&[])
    }

    /// Runs it with these bytes on standard input.
    #[track_caller]
    #[must_use]
    pub fn with_input(mut self, input: &[u8]) -> Output {
        command::run(&mut self.command, input)
    }

    /// Starts it and lets it run.
    #[track_caller]
    #[must_use]
    pub fn start(mut self) -> Running {
        Running::start(&mut self.command)
    }

    /// The bare command, for a terminal or streams of the story's own.
    #[must_use]
    pub fn into_command(self) -> Command {
        self.command
    }
}

/// The binary under test.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("ESTIVA_BIN") {
        return PathBuf::from(path);
    }
    let own = std::env::current_exe().expect("a running program has a path");
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("estiva"))
        .find(|path| path.is_file());
    beside.expect("estiva is built (cargo build -p estiva) or ESTIVA_BIN says where it is")
}
