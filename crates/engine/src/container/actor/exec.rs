//! Execs of this container: their life from creation to the exit that `inspect` shows.

use std::os::fd::{AsFd, OwnedFd};

use shim::protocol::{Failure, Request, Target};

use super::{Actor, answer};
use crate::blocking;
use crate::container::command::Reply;
use crate::container::{detach_keys, prepare};
use crate::error::{Error, Result};
use crate::exec::{ExecConfig, ExecStart, ExecView};

/// How far an exec is.
#[derive(Debug)]
enum Phase {
    Created,
    Starting(Option<Reply<()>>),
    Running { pid: i32 },
    Ended { code: i32 },
}

/// One exec.
#[derive(Debug)]
pub(super) struct Exec {
    config: ExecConfig,
    phase: Phase,
    user: String,
    /// A health probe of ours: not shown, no events.
    is_probe: bool,
}

impl Exec {
    pub(super) fn is_listed(&self) -> bool {
        !self.is_probe && !matches!(self.phase, Phase::Ended { .. })
    }
}

/// Execs that have ended are remembered up to this number, so that clients can read the exit code.
const REMEMBERED: usize = 64;

impl Actor {
    pub(super) fn exec_create(&mut self, config: ExecConfig) -> Result<String> {
        self.permits(lifecycle::Use::Exec)?;
        if let Some(keys) = Some(&config.detach_keys).filter(|k| !k.is_empty()) {
            detach_keys::parse(keys)?;
        }
        let id = ids::ExecId::random().to_string();
        self.tell(
            &format!("exec_create: {}", config.cmd.join(" ")),
            [("execID", id.clone())],
        );
        self.add_exec(&id, config, false);
        self.publish();
        Ok(id)
    }

    pub(super) fn add_exec(&mut self, id: &str, config: ExecConfig, is_probe: bool) {
        let ended = |e: &Exec| matches!(e.phase, Phase::Ended { .. });
        if self.execs.len() >= REMEMBERED
            && let Some(old) = self
                .execs
                .iter()
                .find(|(_, e)| ended(e))
                .map(|(id, _)| id.clone())
        {
            self.execs.remove(&old);
            self.shared.execs.remove(&old);
        }
        let exec = Exec {
            config,
            phase: Phase::Created,
            user: String::new(),
            is_probe,
        };
        self.execs.insert(id.to_owned(), exec);
    }

    pub(super) async fn exec_start(&mut self, id: String, start: ExecStart, reply: Reply<()>) {
        match self.exec_launch(&id, start).await {
            Ok(()) => {
                if let Some(exec) = self.execs.get_mut(&id) {
                    exec.phase = Phase::Starting(Some(reply));
                }
            }
            Err(error) => {
                if let Some(exec) = self.execs.get_mut(&id)
                    && matches!(exec.phase, Phase::Created)
                {
                    exec.phase = Phase::Ended { code: 126 };
                }
                answer(reply, Err(error));
            }
        }
    }

    async fn exec_launch(&mut self, id: &str, start: ExecStart) -> Result<()> {
        let exec = self
            .execs
            .get(id)
            .ok_or_else(|| Error::NoSuchExec(id.into()))?;
        if !matches!(exec.phase, Phase::Created) {
            return Err(Error::Conflict(format!("exec {id} has already run")));
        }
        self.permits(lifecycle::Use::Exec)?;
        let pid = self
            .record
            .state
            .pid()
            .expect("a container that permits execs runs");
        let config = exec.config.clone();
        let is_probe = exec.is_probe;
        let (shared, record, exec_id) = (self.shared.clone(), self.record.clone(), id.to_owned());
        let size = start.console_size;
        let asked = config.clone();
        let (file, user) = blocking::run("exec start", move || {
            prepare::exec_launch(&shared, &record, pid, &exec_id, &asked, size)
        })
        .await?;
        if let Some(exec) = self.execs.get_mut(id) {
            exec.user = user;
        }
        if !is_probe {
            self.tell(
                &format!("exec_start: {}", config.cmd.join(" ")),
                [("execID", id.to_owned())],
            );
        }
        let keys = detach_keys::of(&config.detach_keys, config.tty)?;
        let attach = |early_input| Request::Attach {
            target: Target::Exec(id.to_owned()),
            stdin: config.attach_stdin,
            stdout: config.attach_stdout,
            stderr: config.attach_stderr,
            early_input,
            detach_keys: keys,
        };
        if let Some(stream) = start.stream.filter(|_| !start.detach) {
            self.request(&attach(start.early_input), Some(stream))
                .await?;
        }
        self.request(
            &Request::Exec {
                id: id.to_owned(),
                file,
            },
            None,
        )
        .await
    }

    /// Sends a request to the shim.
    pub(super) async fn request(&self, request: &Request, fd: Option<OwnedFd>) -> Result<()> {
        let gone = || Error::Conflict(format!("container {} is not running", self.record.id));
        let shim = self.shim.as_ref().ok_or_else(gone)?;
        shim.send(request, fd.as_ref().map(AsFd::as_fd))
            .await
            .map_err(|source| Error::Shim {
                peer: "shim",
                id: self.record.id.clone(),
                source,
            })
    }

    pub(super) fn exec_started(&mut self, id: &str, pid: i32) {
        if let Some(exec) = self.execs.get_mut(id)
            && let Phase::Starting(Some(reply)) =
                std::mem::replace(&mut exec.phase, Phase::Running { pid })
        {
            answer(reply, Ok(()));
        }
    }

    pub(super) async fn exec_failed(&mut self, id: &str, failure: Failure) {
        let Failure { code, message } = failure;
        if let Some(exec) = self.execs.get_mut(id)
            && let Phase::Starting(Some(reply)) =
                std::mem::replace(&mut exec.phase, Phase::Ended { code })
        {
            answer(reply, Err(Error::Start { code, message }));
        }
        self.probe_ended(id, code).await;
        self.publish();
    }

    pub(super) async fn exec_exited(&mut self, id: &str, code: i32) {
        if let Some(exec) = self.execs.get_mut(id) {
            exec.phase = Phase::Ended { code };
            if !exec.is_probe {
                self.tell(
                    "exec_die",
                    [("execID", id.to_owned()), ("exitCode", code.to_string())],
                );
            }
        }
        self.probe_ended(id, code).await;
        self.publish();
    }

    pub(super) async fn exec_resize(&mut self, id: String, height: u16, width: u16) -> Result<()> {
        let exec = self
            .execs
            .get(&id)
            .ok_or_else(|| Error::NoSuchExec(id.clone()))?;
        if matches!(exec.phase, Phase::Ended { .. } | Phase::Created) {
            return Err(Error::Conflict(format!("exec process {id} is not running")));
        }
        self.request(
            &Request::Resize {
                target: Target::Exec(id),
                height,
                width,
            },
            None,
        )
        .await
    }

    pub(super) fn exec_inspect(&self, id: &str) -> Result<ExecView> {
        let exec = self
            .execs
            .get(id)
            .ok_or_else(|| Error::NoSuchExec(id.into()))?;
        Ok(ExecView {
            id: id.to_owned(),
            container_id: self.record.id.clone(),
            config: exec.config.clone(),
            running: matches!(exec.phase, Phase::Running { .. } | Phase::Starting(_)),
            exit_code: match exec.phase {
                Phase::Ended { code } => Some(code),
                _ => None,
            },
            pid: match exec.phase {
                Phase::Running { pid } => pid,
                _ => 0,
            },
            user: exec.user.clone(),
        })
    }

    /// The container has ended: so have they all.
    pub(super) fn forget_execs(&mut self) {
        for exec in self.execs.values_mut() {
            if let Phase::Starting(Some(reply)) =
                std::mem::replace(&mut exec.phase, Phase::Ended { code: 137 })
            {
                let message = "the container ended before the exec was started".to_owned();
                answer(reply, Err(Error::Start { code: 125, message }));
            }
        }
    }
}
