//! The end of a run: what is written, who is told, and whether the policy starts it again.

use std::time::Duration;

use lifecycle::State;
use lifecycle::restart::{Decision, Ended};
use shim::protocol::{Exit, Request};
use tokio::time::Instant;

use super::{Actor, AtExit, answer};
use crate::container::prepare;
use crate::container::request::{Stopped, WaitCondition};
use crate::error::{Error, Result};

/// The exit code of a container whose end nobody saw, as in Docker.
const UNSEEN: i32 = 255;

impl Actor {
    pub(super) async fn exited(&mut self, exit: Exit) {
        if let Some(shim) = self.shim.take() {
            // The record is on disk and read: the shim may go. A shim that has gone already needs no word.
            let _ = shim.send(&Request::Forget, None).await;
        }
        self.kill_at = None;
        self.health.end();
        self.forget_execs();
        self.attaches.clear();
        self.record.running = false;
        self.record.exit_code = exit.code;
        self.record.oom_killed = exit.oom_killed;
        self.record.finished_unix_nanos = exit.at_unix_nanos;
        self.rest();
        prepare::clean_up(&self.shared, &self.record);
        if exit.oom_killed {
            self.tell("oom", []);
        }
        let ran = (exit.at_unix_nanos - exit.started_unix_nanos).max(0);
        self.tell("die", [
            ("exitCode", exit.code.to_string()),
            ("execDuration", (ran / 1_000_000_000).to_string()),
        ]);
        let asked = std::mem::take(&mut self.at_exit);
        let (restarts, asked): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|a| matches!(a, AtExit::Restart(_)));
        let removed = asked.iter().any(|a| matches!(a, AtExit::Remove { .. }));
        if removed {
            self.state = State::Removing;
        }
        let again = (!removed && restarts.is_empty()).then(|| self.decide(Duration::from_nanos(ran.unsigned_abs())));
        if let Some(Some(after)) = again {
            self.record.restart_count += 1;
            self.backoff = after;
            self.restart_at = Some(Instant::now() + after);
            self.state = State::Restarting { code: exit.code, at_unix_nanos: exit.at_unix_nanos };
        }
        let goes = self.record.host.auto_remove && restarts.is_empty();
        if goes {
            self.publish();
        } else {
            self.publish_and_save();
        }
        self.answer_waits(&[WaitCondition::NotRunning, WaitCondition::NextExit], None);
        let stopped = asked.iter().any(|a| matches!(a, AtExit::Stop(_)));
        if stopped {
            self.tell("stop", []);
        }
        let mut removals = Vec::new();
        for at_exit in asked {
            match at_exit {
                AtExit::Stop(reply) => answer(reply, Ok(Stopped::Stopped)),
                AtExit::Kill(reply) => answer(reply, Ok(())),
                AtExit::Remove { volumes, reply } => removals.push((volumes, reply)),
                AtExit::Restart(reply) => answer(reply, Ok(())),
            }
        }
        if !removals.is_empty() || goes {
            let volumes = goes || removals.iter().any(|(volumes, _)| *volumes);
            let result = self.remove_now(volumes).await;
            for (_, reply) in removals {
                answer(reply, result.as_ref().copied().map_err(copy));
            }
        } else if !restarts.is_empty() {
            self.at_exit = restarts;
            self.record.restart_count = 0;
            self.record.stopped_by_user = false;
            self.start(None).await;
        }
    }

    /// The connection to the shim broke: either it was killed, or it has written its record and gone.
    pub(super) async fn shim_lost(&mut self) {
        let exit = match prepare::read_exit(&self.shared, &self.record.id) {
            Some(exit) => exit,
            None => {
                tracing::error!(container = %self.record.id, "the shim is gone without a record: its processes are killed");
                prepare::kill_leftovers(&self.shared, &self.record);
                let now = self.shared.now();
                Exit {
                    code: UNSEEN,
                    oom_killed: false,
                    at_unix_nanos: now,
                    started_unix_nanos: self.record.started_unix_nanos,
                }
            }
        };
        self.shim = None;
        if !self.starting.is_empty() {
            let message = "the shim ended before the program was started".to_owned();
            return self.start_failed(125, message).await;
        }
        self.exited(exit).await;
    }

    /// The state of a container that stands.
    pub(super) fn rest(&mut self) {
        self.state = State::Exited {
            code: self.record.exit_code,
            at_unix_nanos: self.record.finished_unix_nanos,
            oom_killed: self.record.oom_killed,
        };
    }

    fn decide(&self, uptime: Duration) -> Option<Duration> {
        let policy = policy_of(&self.record.host.restart_policy).ok()?;
        let ended = Ended {
            code: self.record.exit_code,
            stopped_by_user: self.record.stopped_by_user,
            restarts: self.record.restart_count,
            uptime,
            last_backoff: self.backoff,
        };
        match policy.decide(&ended) {
            Decision::Restart { after } => Some(after),
            Decision::Stay => None,
        }
    }
}

/// The restart policy as the lifecycle knows it.
pub(crate) fn policy_of(asked: &api::container::RestartPolicy) -> Result<lifecycle::restart::Policy> {
    lifecycle::restart::Policy::parse(&asked.name, asked.maximum_retry_count)
        .map_err(|e| Error::Invalid(e.to_string()))
}

fn copy(error: &Error) -> Error {
    match error {
        Error::Conflict(text) => Error::Conflict(text.clone()),
        other => Error::Conflict(fault::chain(other)),
    }
}
