//! A running container, seen from outside: through the client, and through the kernel.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::engine::Engine;
use crate::place::Place;
use crate::{cgroup, eventually, proc};

/// A container of an engine.
#[derive(Debug)]
pub struct Container<'e> {
    engine: &'e Engine,
    id: String,
}

impl<'e> Container<'e> {
    /// The container of that id or name.
    #[must_use]
    pub fn new(engine: &'e Engine, id: String) -> Self {
        Self { engine, id }
    }

    /// The id as `run -d` printed it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What `inspect` says of it.
    #[track_caller]
    #[must_use]
    pub fn inspect(&self) -> Value {
        self.engine.inspect(&self.id)
    }

    /// Its state as `inspect` says: `running`, `exited`, …
    #[track_caller]
    #[must_use]
    pub fn state(&self) -> String {
        self.inspect()["State"]["Status"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The pid of its process on the host.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    #[must_use]
    pub fn pid(&self) -> i32 {
        let pid = self.inspect()["State"]["Pid"].as_i64().unwrap_or(0);
        assert!(pid > 0, "container {} does not run", self.id);
        i32::try_from(pid).expect("a pid fits")
    }

    /// Where it is in the network: sockets and programs of the story's can be put beside its own.
    #[track_caller]
    #[must_use]
    pub fn place(&self) -> Place {
        Place::of(self.pid())
    }

    /// A field of its process's status.
    #[track_caller]
    #[must_use]
    pub fn status(&self, field: &str) -> String {
        proc::status(self.pid(), field)
    }

    /// A cgroup file of its process; v1 and v2 name it differently.
    #[track_caller]
    #[must_use]
    pub fn cgroup(&self, controller: &str, v1: &str, v2: &str) -> String {
        cgroup::read(self.pid(), controller, v1, v2)
    }

    /// Standard output of a command run inside; it must succeed.
    #[track_caller]
    pub fn exec(&self, line: &str) -> String {
        self.engine.ok(&format!("exec {} {line}", self.id))
    }

    /// What it has written so far, stdout and stderr each.
    #[track_caller]
    #[must_use]
    pub fn logs(&self) -> (String, String) {
        let output = self.engine.cli(&format!("logs {}", self.id)).run();
        let (text, error) = (output.text(), output.error());
        output.success();
        (text, error)
    }

    /// The text of one of its files, read by the host through `/proc/PID/root`.
    #[track_caller]
    #[must_use]
    pub fn read(&self, path: &str) -> String {
        let file = self.path(path);
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// One of its files as the host reaches it.
    #[track_caller]
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid()))
    }

    /// Waits until one of its files is there.
    #[track_caller]
    pub fn await_file(&self, path: &str) {
        let file = self.path(path);
        eventually(&format!("{path} appears"), || file.exists());
    }

    /// Waits until its output holds a text.
    #[track_caller]
    pub fn await_log(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), || {
            let (out, err) = self.logs();
            out.contains(text) || err.contains(text)
        });
    }

    /// Waits until `inspect` tells this state.
    #[track_caller]
    pub fn await_state(&self, state: &str) {
        eventually(&format!("the container is {state}"), || {
            self.state() == state
        });
    }

    /// Waits for its end; gives the exit code.
    #[track_caller]
    pub fn wait(&self) -> i32 {
        let code = self.engine.ok(&format!("wait {}", self.id));
        code.parse().expect("wait prints a number")
    }

    /// The same after a while.
    #[must_use]
    pub fn after(&self, pause: Duration) -> &Self {
        std::thread::sleep(pause);
        self
    }
}
