//! The end of a run: what is written, who is told, and what comes next.

use std::time::Duration;

use lifecycle::restart::{Decision, LastRun, Run};
use lifecycle::{Event, State, UnixNanos};
use shim::protocol::{Exit, Request};
use tokio::time::Instant;

use super::{Actor, AtExit, answer};
use crate::container::create::policy_of;
use crate::container::prepare;
use crate::container::request::{Stopped, WaitCondition};

/// The exit code of a container whose end nobody saw, as in Docker.
pub(in crate::container) const UNSEEN: i32 = 255;

impl Actor {
    pub(super) async fn exited(&mut self, exit: Exit) {
        if let Some(shim) = self.shim.take() {
            // The record is on disk and read: the shim may go. A shim that has gone already needs no word.
            let _ = shim.send(&Request::Forget, None).await;
        }
        self.kill_at = None;
        self.force_at = None;
        self.forget_execs();
        self.attaches.clear();
        self.record.exit_code = exit.code;
        self.record.finished_unix_nanos = exit.at_unix_nanos;
        self.tell_networks("disconnect");
        prepare::clean_up(&self.shared, &self.record);
        let asked = std::mem::take(&mut self.at_exit);
        let decision = self.decide(&exit, &asked);
        let by_policy = matches!(decision, Decision::Restart { .. });
        let ended = lifecycle::Exit {
            code: exit.code,
            at: UnixNanos(exit.at_unix_nanos),
            oom: exit.oom_killed,
        };
        if let Err(error) = self
            .apply(Event::Exited {
                exit: ended,
                decision,
            })
            .await
        {
            tracing::error!(container = %self.record.id, error = fault::chain(&error), "exit out of order");
        }
        self.stop = super::stop::Plan::default();
        self.oom_told = false;
        self.publish();
        self.answer_waits(&[WaitCondition::NotRunning, WaitCondition::NextExit], None);
        let goes = self.record.host.auto_remove;
        self.follow_up(asked, by_policy || goes).await;
        if goes && !self.gone && self.restarting.is_empty() {
            self.remove_by_itself().await;
        }
    }

    /// Answers those who waited for the end, and does what they wanted it for.
    async fn follow_up(&mut self, asked: Vec<AtExit>, settled: bool) {
        let mut removals = Vec::new();
        for at_exit in asked {
            match at_exit {
                AtExit::Stop(reply) => answer(reply, Ok(Stopped::Stopped)),
                AtExit::Kill(reply) => answer(reply, Ok(())),
                AtExit::Restart(reply) => self.restarting.push(reply),
                AtExit::Remove { volumes, reply } => {
                    self.with_volumes |= volumes;
                    removals.push(reply);
                }
            }
        }
        if !removals.is_empty() {
            let result = self.apply_removal(true).await;
            let text = result.as_ref().err().map(|e| fault::chain(e));
            for reply in removals {
                answer(
                    reply,
                    match &text {
                        None => Ok(()),
                        Some(text) => Err(crate::error::Error::Conflict(text.clone())),
                    },
                );
            }
        } else if !self.restarting.is_empty() {
            self.start_again().await;
        } else if !settled {
            tracing::debug!(container = %self.record.id, code = self.record.exit_code, "ended");
        }
    }

    /// What the restart policy says; nothing when a user has other plans.
    fn decide(&mut self, exit: &Exit, asked: &[AtExit]) -> Decision {
        let has_plans = asked
            .iter()
            .any(|a| matches!(a, AtExit::Restart(_) | AtExit::Remove { .. }));
        let Ok(policy) = policy_of(&self.record.host.restart_policy) else {
            return Decision::Stay;
        };
        if has_plans {
            return Decision::Stay;
        }
        let ran = exit.at_unix_nanos.saturating_sub(exit.started_unix_nanos);
        let run = Run {
            code: exit.code,
            by_user: self.is_stopping(),
            uptime: Duration::from_nanos(u64::try_from(ran).unwrap_or(0)),
        };
        policy.decide(run, &mut self.record.backoff)
    }

    /// The connection to the shim broke: either it was killed, or it has written its record and gone.
    pub(super) async fn shim_lost(&mut self) {
        let exit = prepare::read_exit(&self.shared, &self.record.id).unwrap_or_else(|| {
            tracing::error!(container = %self.record.id, "the shim is gone without a record: its processes are killed");
            prepare::kill_leftovers(&self.shared, &self.record);
            Exit {
                code: UNSEEN,
                oom_killed: false,
                at_unix_nanos: self.shared.now(),
                started_unix_nanos: self.record.started_unix_nanos,
            }
        });
        self.shim = None;
        if matches!(self.record.state, State::Starting { .. }) {
            let message = "the shim ended before the program was started".to_owned();
            return self.start_failed(125, message).await;
        }
        self.exited(exit).await;
    }

    /// Taking up a container that runs under a shim of a former daemon.
    pub(in crate::container) fn resume(&mut self) {
        self.health.begin(&self.record);
        self.persist();
    }

    /// Taking up a container that does not run: its policy may want that it does, `--rm` that it goes.
    pub(in crate::container) async fn after_start_up(&mut self) {
        self.persist();
        let last = match &self.record.state {
            State::Exited { exit, by_user } => LastRun::Ended {
                code: exit.code,
                by_user: *by_user,
                count: self.record.backoff.count,
            },
            State::Restarting { exit } => LastRun::Ended {
                code: exit.code,
                by_user: false,
                count: 0,
            },
            State::Removing | State::Dead => {
                // The removal that was under way ended with the daemon that did it: this is another one.
                self.record.state = State::Dead;
                return self.remove_by_itself().await;
            }
            _ => LastRun::Never,
        };
        if self.record.host.auto_remove && last != LastRun::Never {
            return self.remove_by_itself().await;
        }
        let revives = policy_of(&self.record.host.restart_policy).is_ok_and(|p| p.revives(last));
        if let (true, Some(exit)) = (revives, self.record.state.exit()) {
            self.record.state = State::Restarting { exit };
            self.restart_at = Some(Instant::now());
        }
    }
}
