//! A bundle for the OCI runtime's command line, made by its own `spec`, and the commands on it.
//!
//! `ESTIVA_TEST_RUNTIME=runc` tells the stories to another runtime, which proves the stories.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::command::{self, Output};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A bundle with a folder, an id and a cgroup of its own; deleted when dropped.
#[derive(Debug)]
pub struct Bundle {
    /// The bundle's folder.
    pub folder: PathBuf,
    /// The container's id, and the name of its cgroup.
    pub id: String,
    /// Its `config.json`; written before each command.
    pub spec: Value,
}

impl Bundle {
    /// A busybox bundle as `spec` makes it, without a terminal, whose program is a shell script.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    #[must_use]
    pub fn sh(script: &str) -> Self {
        let id = format!(
            "estiva-test-bundle-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(&id);
        crate::rootfs::create(&folder.join("rootfs"));
        let mut bundle = Self {
            folder,
            id,
            spec: Value::Null,
        };
        let made = command::run(bundle.runtime("spec").current_dir(&bundle.folder), b"");
        made.success();
        let text = fs::read(bundle.folder.join("config.json")).expect("spec has written it");
        bundle.spec = serde_json::from_slice(&text).expect("it is JSON");
        bundle.set("/process/terminal", json!(false));
        bundle.set("/process/args", json!(["sh", "-c", script]));
        bundle.spec["linux"]["cgroupsPath"] = json!(format!("/{}", bundle.id));
        bundle
    }

    /// Changes a member that is there, by its JSON pointer.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn set(&mut self, pointer: &str, value: Value) {
        *self
            .spec
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("no {pointer} in the spec")) = value;
    }

    /// Where the runtime keeps its states.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Whether the stories are told to another runtime.
    #[must_use]
    pub fn is_peer() -> bool {
        std::env::var_os("ESTIVA_TEST_RUNTIME").is_some()
    }

    /// A command of the runtime, not started yet, in the bundle's folder.
    ///
    /// # Panics
    /// When the bundle's folder has gone.
    #[must_use]
    pub fn runtime(&self, line: &str) -> Command {
        let mut command = match std::env::var_os("ESTIVA_TEST_RUNTIME") {
            Some(peer) => Command::new(peer),
            None => {
                let mut command = Command::new(crate::engine::binary());
                command.arg("runtime");
                command
            }
        };
        if !self.spec.is_null() {
            let text = serde_json::to_vec(&self.spec).expect("a value is JSON");
            // Whole at any moment: a command that was started before may be reading it.
            let draft = self.folder.join("config.json.draft");
            fs::write(&draft, text).expect("a folder of ours");
            fs::rename(&draft, self.folder.join("config.json")).expect("a folder of ours");
        }
        command
            .arg("--root")
            .arg(self.root())
            .args(command::words(line))
            .current_dir(&self.folder);
        command
    }

    /// Runs a command; `ID` in the line is the container's id.
    #[track_caller]
    #[must_use]
    pub fn cli(&self, line: &str) -> Output {
        command::run(&mut self.runtime(&self.line(line)), b"")
    }

    /// Runs a command that must succeed, and gives what it printed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        self.cli(line).success()
    }

    /// Runs a command that must fail with this code, and gives its standard error.
    #[track_caller]
    pub fn fails(&self, code: i32, line: &str) -> String {
        self.cli(line).failure(code)
    }

    /// Runs a command whose container outlives it and keeps its standard streams: they are the files `out` and `err`.
    /// Gives the exit code.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn detached(&self, line: &str) -> i32 {
        let file = |name: &str| {
            let path = self.folder.join(name);
            let file = File::options().create(true).append(true).open(path);
            Stdio::from(file.expect("a folder of ours"))
        };
        let status = self
            .runtime(&self.line(line))
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .status();
        status.expect("the runtime is there").code().unwrap_or(-1)
    }

    /// Creates the container and starts it.
    #[track_caller]
    pub fn start(&self) {
        assert_eq!(self.detached("create ID"), 0, "{}", self.text("err"));
        self.ok("start ID");
    }

    /// A file of the bundle's folder; empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// A member of the state document.
    ///
    /// # Panics
    /// When there is no such container.
    #[track_caller]
    #[must_use]
    pub fn state(&self, member: &str) -> Value {
        let state: Value = serde_json::from_str(&self.ok("state ID")).expect("state is JSON");
        state[member].clone()
    }

    /// The container's first process.
    ///
    /// # Panics
    /// When there is no such container.
    #[track_caller]
    #[must_use]
    pub fn pid(&self) -> i32 {
        let pid = self.state("pid").as_i64().expect("a number");
        i32::try_from(pid).expect("a pid")
    }

    /// Waits until the container is in this state.
    #[track_caller]
    pub fn await_status(&self, status: &str) {
        crate::eventually(status, || self.state("status") == status);
    }

    /// What is left of the container: its folder of state and its cgroups.
    #[must_use]
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let state = Some(self.root().join(&self.id)).filter(|path| path.exists());
        state
            .into_iter()
            .chain(crate::cgroup::named(&self.id))
            .collect()
    }

    fn line(&self, line: &str) -> String {
        line.replace("ID", &self.id)
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        drop(self.cli("delete --force ID"));
        crate::leftovers::clean(Path::new(&self.folder), &format!("/{}", self.id));
    }
}
