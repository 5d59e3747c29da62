//! One process of the container and everything joined to it: outputs, input, clients.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use logs::Stream;

use super::attach::Client;
use super::input::Input;
use super::poller::{Poller, Ready, Watched, What};
use super::{DRAIN, FLUSH};
use crate::protocol::Target;

/// A process's number in this shim.
pub(crate) type Key = u32;

/// The container's own process.
pub(crate) const INIT: Key = 0;

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// 0-255; 128+n after signal n.
    pub(crate) code: i32,
    pub(crate) at: Instant,
}

/// A started process. It stays here until its end is told and its last client has fetched its output.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) target: Target,
    pub(crate) key: Key,
    pub(crate) pid: i32,
    pub(crate) pidfd: Watched,
    pub(crate) terminal: bool,
    /// stdout, or the terminal's master.
    pub(crate) stdout: Option<Watched>,
    pub(crate) stderr: Option<Watched>,
    pub(crate) input: Input,
    pub(crate) clients: Vec<Client>,
    pub(crate) next_client: u64,
    pub(crate) ended: Option<Ended>,
    /// Its end was told to the daemon.
    pub(crate) told: bool,
    /// When a client last took bytes.
    pub(crate) moved: Instant,
}

impl Process {
    pub(crate) fn output(&mut self, stream: Stream) -> &mut Option<Watched> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    pub(crate) fn outputs_closed(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    /// The terminal's master, if it has one and still uses it.
    pub(crate) fn console(&self) -> Option<&Watched> {
        self.stdout.as_ref().filter(|_| self.terminal)
    }

    /// Until when its output is awaited: a little while after its end, longer as long as a client keeps fetching.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ended = self.ended?;
        if self.told {
            // Only clients are left: each has its time from the end on.
            return (!self.clients.is_empty())
                .then(|| (self.moved + DRAIN * 5).max(ended.at + DRAIN));
        }
        if self.clients.iter().any(Client::is_congested) {
            Some(
                (self.moved + DRAIN)
                    .min(ended.at + FLUSH)
                    .max(ended.at + DRAIN),
            )
        } else {
            Some(ended.at + DRAIN)
        }
    }

    pub(crate) fn close_outputs(&mut self, poller: &mut Poller) {
        for mut output in [self.stdout.take(), self.stderr.take()]
            .into_iter()
            .flatten()
        {
            poller.forget(&mut output);
        }
        self.input.close(poller);
    }

    /// Asks epoll for exactly what is wanted now, and drops clients that are done or stuck. Answers how many of them
    /// had hung up.
    pub(crate) fn ask(&mut self, poller: &mut Poller) -> usize {
        let (mut lost, mut gave_input) = (0, false);
        let key = self.key;
        if self.told && self.deadline().is_some_and(|at| at <= Instant::now()) {
            for client in &mut self.clients {
                client.hang_up(poller);
            }
        }
        self.clients.retain_mut(|client| {
            if client.is_done() {
                if client.is_lost() {
                    lost += 1;
                    gave_input |= client.gives_input();
                }
                client.hang_up(poller);
                return false;
            }
            true
        });
        if gave_input {
            self.input.client_ended();
        }
        let interest = if self.ended.is_none() {
            Ready::IN
        } else {
            Ready::empty()
        };
        poller.ask(&mut self.pidfd, What::Exit(key), interest);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let congested = self
                .clients
                .iter()
                .any(|c| c.wants(stream) && c.is_congested());
            if let Some(output) = self.output(stream) {
                let interest = if congested { Ready::empty() } else { Ready::IN };
                poller.ask(output, What::Output(key, stream), interest);
            }
        }
        self.input.ask(poller, key);
        let takes_input = self.input.has_room();
        for client in &mut self.clients {
            client.ask(poller, key, takes_input);
        }
        lost
    }

    /// Takes every descriptor out of the set, before they close.
    pub(crate) fn release(&mut self, poller: &mut Poller) {
        poller.forget(&mut self.pidfd);
        self.close_outputs(poller);
        for client in &mut self.clients {
            client.hang_up(poller);
        }
    }
}

/// The descriptors of a process that was just started.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: OwnedFd,
    /// None for a terminal.
    pub(crate) stderr: Option<OwnedFd>,
}

impl Ends {
    /// The process as it is kept; every stream becomes nonblocking.
    pub(crate) fn into_process(self, target: Target, key: Key, ends_with_client: bool) -> Process {
        for fd in [
            Some(&self.stdout),
            self.stderr.as_ref(),
            self.stdin.as_ref(),
        ]
        .into_iter()
        .flatten()
        {
            set_nonblocking(fd);
        }
        let terminal = self.stderr.is_none();
        Process {
            target,
            key,
            pid: self.pid,
            pidfd: Watched::new(self.pidfd),
            terminal,
            stdout: Some(Watched::new(self.stdout)),
            stderr: self.stderr.map(Watched::new),
            input: Input::new(self.stdin, ends_with_client && !terminal),
            clients: Vec::new(),
            next_client: 0,
            ended: None,
            told: false,
            moved: Instant::now(),
        }
    }
}

/// Reads and writes answer "would block" instead of waiting. A descriptor that cannot do so stays as it is.
pub(crate) fn set_nonblocking(fd: impl AsFd) {
    // Of the flags that can be changed, ours have no other: not asking saves a call for each stream.
    let _ = rustix::fs::fcntl_setfl(&fd, rustix::fs::OFlags::NONBLOCK);
}
