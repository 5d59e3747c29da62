//! The shim: one small single-threaded process that holds one container.
//!
//! ```text
//!              ┌──────────────── epoll ────────────────┐
//! control ◄──► │ launch ► init, execs: pidfd, pipes/pty │ ──► log
//! shim.sock    │ attached clients: sockets             │ ◄─► clients
//!              └───────────────────────────────────────┘
//! ```
//! It lives as long as its container and longer than its daemon: when the control socket closes it goes on and takes the next
//! daemon's connection on `shim.sock`. What it owes in order: the exit record is on disk before anyone is told; all output is
//! in the log before `Exited` is told. It leaves on `Forget`, or by itself when the record is written and nobody listens.

mod attach;
mod daemon;
mod detach;
mod exit;
mod input;
mod launch;
mod oom;
mod output;
mod poller;
mod process;
mod proxy;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use logs::Writer;

use crate::protocol::{Event, Exit, Failure, Launch, Target};

use attach::Client;
use daemon::Daemon;
use output::Reading;
use poller::{Poller, What};
use process::{Key, Process};
use proxy::Proxy;

/// How long output is awaited after its process has ended (a grandchild may hold the pipe open).
const DRAIN: Duration = Duration::from_secs(2);
/// How long clients may take in all to fetch what a process wrote before it ended.
const FLUSH: Duration = Duration::from_secs(30);
/// After how much quiet the memory of a busy time is given back.
const QUIET: Duration = Duration::from_millis(300);

/// The whole state of a shim.
pub(crate) struct Shim {
    poller: Poller,
    daemon: Daemon,
    /// Until `Start`.
    launch: Option<Box<Launch>>,
    facts: Facts,
    container: Option<launch::Running>,
    /// Of a container with a memory limit.
    oom: Option<oom::OomWatch>,
    exit: Option<Exit>,
    /// `Exited` was told: nothing is left but clients that still fetch output.
    finished: bool,
    processes: BTreeMap<Key, Process>,
    next_key: Key,
    /// Clients whose process is not there yet.
    waiting: Vec<(Target, Client)>,
    log: Option<Writer>,
    log_failed: bool,
    reading: Reading,
    proxy: Proxy,
    leave: bool,
}

/// What is kept of the launch order after the start.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) run_dir: std::path::PathBuf,
    pub(crate) exit_file: std::path::PathBuf,
    pub(crate) durable: bool,
}

/// The life of a shim, from the fork on.
pub(crate) fn main(run_dir: &Path, control: Option<OwnedFd>) -> ExitCode {
    // Its own session: no terminal's and no service manager's signal to the daemon's group reaches it.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"estiva-shim");
    let Some(control) = control else {
        return ExitCode::FAILURE;
    };
    match Shim::prepare(run_dir) {
        Ok(mut shim) => {
            shim.adopt(control);
            shim.run();
            let _ = rustix::fs::unlink(shim.facts.run_dir.join(crate::client::SOCKET));
            ExitCode::SUCCESS
        }
        Err(message) => {
            let failed = Event::Failed(Failure { code: 125, message });
            if let Ok(bytes) = serde_json::to_vec(&failed) {
                let _ = crate::packet::send(control.as_fd(), &bytes, None);
            }
            ExitCode::FAILURE
        }
    }
}

impl Shim {
    fn prepare(run_dir: &Path) -> Result<Self, String> {
        let path = run_dir.join("launch.json");
        let text = std::fs::read(&path).map_err(|e| format!("read {}: {e}", path.display()))?;
        let launch: Box<Launch> = serde_json::from_slice(&text)
            .map_err(|e| format!("understand {}: {e}", path.display()))?;
        drop(text);
        let mut poller = Poller::new().map_err(|e| format!("create an epoll set: {e}"))?;
        let daemon = Daemon::listen(run_dir, &mut poller)
            .map_err(|e| format!("listen in {}: {e}", run_dir.display()))?;
        let facts = Facts {
            run_dir: run_dir.to_owned(),
            exit_file: launch.exit_file.clone(),
            durable: launch.durable,
        };
        Ok(Self {
            poller,
            daemon,
            launch: Some(launch),
            facts,
            container: None,
            oom: None,
            exit: None,
            finished: false,
            processes: BTreeMap::new(),
            next_key: process::INIT,
            waiting: Vec::new(),
            log: None,
            log_failed: false,
            reading: Reading::default(),
            proxy: Proxy::default(),
            leave: false,
        })
    }

    fn adopt(&mut self, control: OwnedFd) {
        self.daemon.replace(control, &mut self.poller);
    }

    // --- the loop ---------------------------------------------------------------------------

    fn run(&mut self) {
        while !self.leave {
            let timeout = self.timeout();
            let Ok(events) = self.poller.wait(timeout) else {
                return; // without epoll nothing can be done; the next daemon finds the container by its cgroup
            };
            if events.is_empty() && self.reading.is_busy() {
                self.rest();
            }
            for (what, ready) in events {
                match what {
                    What::Listener => self.accept(),
                    What::Control => self.serve_daemon(ready),
                    What::Oom => self.notice_oom(),
                    What::Exit(key) => self.note_exit(key),
                    What::Output(key, stream) => self.pump(key, stream),
                    What::Input(key) => self.feed(key),
                    What::Client(key, id) => self.serve_client(key, id, ready),
                    What::Port(port) => self.proxy.serve_port(port, &mut self.poller),
                    What::Flow(flow, side) => {
                        self.proxy.serve_flow(flow, side, ready, &mut self.poller);
                    }
                }
            }
            self.settle();
        }
        self.daemon.flush();
    }

    /// How long nothing may happen before there is something to do all the same.
    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let deadlines = self
            .processes
            .values()
            .filter_map(Process::deadline)
            .map(|at| at.saturating_duration_since(now));
        let look = self.oom.as_ref().and_then(oom::OomWatch::deadline);
        let look = look.map(|at| at.saturating_duration_since(now));
        let quiet = self.reading.is_busy().then_some(QUIET);
        let flows = self.proxy.deadline();
        let flows = flows.map(|at| at.saturating_duration_since(now));
        deadlines.chain(look).chain(quiet).chain(flows).min()
    }

    /// Gives back what a busy time needed.
    fn rest(&mut self) {
        self.reading = Reading::default();
        if let Some(log) = &mut self.log {
            log.rest();
        }
        sys::memory::trim_heap();
    }

    /// After every round: ends what is complete, asks epoll for what is wanted now.
    fn settle(&mut self) {
        self.settle_oom();
        self.proxy.settle(&mut self.poller);
        let keys: Vec<Key> = self.processes.keys().copied().collect();
        // Execs first: the container has ended when all its processes have.
        for key in keys.into_iter().rev() {
            self.settle_process(key);
        }
        self.daemon.settle(&mut self.poller);
        if self.daemon.is_connected() {
            // stays until told to go
        } else if self.container.is_none() && self.exit.is_none() {
            self.leave = true; // nothing was started, and nobody is there to start it
        } else if self.finished && self.processes.is_empty() {
            self.leave = true;
        }
    }

    fn settle_process(&mut self, key: Key) {
        let execs_left = self
            .processes
            .range(process::INIT + 1..)
            .any(|(_, exec)| !exec.told);
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        if let Some(ended) = process.ended
            && !process.told
        {
            let expired = process.deadline().is_some_and(|at| at <= Instant::now());
            let complete = process.outputs_closed() && (key != process::INIT || !execs_left);
            if complete || expired {
                if !complete {
                    self.abandon_output(key);
                }
                self.tell_end(key, ended);
            }
        }
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        if process.told && process.clients.is_empty() {
            let mut process = self
                .processes
                .remove(&key)
                .expect("it was found a line above");
            process.release(&mut self.poller);
            return;
        }
        let lost = process.ask(&mut self.poller);
        let target = process.target.clone();
        for _ in 0..lost {
            self.daemon.send(&Event::Detached {
                target: target.clone(),
                by_keys: false,
            });
        }
    }

    /// The process and its output are over: says so and lets its clients go.
    fn tell_end(&mut self, key: Key, ended: process::Ended) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        process.told = true;
        process.close_outputs(&mut self.poller);
        for client in &mut process.clients {
            client.finish();
        }
        match process.target.clone() {
            Target::Exec(id) => {
                self.daemon.send(&Event::ExecExited {
                    id,
                    code: ended.code,
                });
            }
            Target::Init => self.tell_container_end(),
        }
        // Before the clients see the end of their streams: what they then ask the daemon, it knows.
        self.daemon.flush();
    }

    fn tell_container_end(&mut self) {
        if let Some(log) = &mut self.log {
            let now = logs::unix_nanos_now();
            for stream in [logs::Stream::Stdout, logs::Stream::Stderr] {
                let _ = log.end(stream, now);
            }
        }
        self.log = None;
        if let Some(container) = &self.container {
            container.remove_group();
        }
        // Before anyone is told: the next run, or another container, may want the ports.
        self.proxy.close(&mut self.poller);
        self.finished = true;
        for (_, mut client) in std::mem::take(&mut self.waiting) {
            client.hang_up(&mut self.poller);
        }
        if let Some(exit) = self.exit {
            self.daemon.send(&Event::Exited(exit));
        }
    }
}
