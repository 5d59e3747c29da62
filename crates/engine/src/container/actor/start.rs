//! Starting: prepare, hand over to a shim, hear of it.

use std::os::fd::AsFd;

use lifecycle::restart::{Decision, Run};
use lifecycle::{Event, Exit, UnixNanos};
use shim::protocol::Request;

use super::{Actor, answer};
use crate::blocking;
use crate::container::command::Reply;
use crate::container::control::Control;
use crate::container::create::policy_of;
use crate::container::prepare;
use crate::container::request::{Started, WaitCondition};
use crate::error::{Error, Result};

impl Actor {
    /// A user starts it.
    pub(super) async fn start(&mut self, reply: Reply<Started>) {
        if matches!(self.record.state, lifecycle::State::Starting { .. }) {
            return self.starting.push(reply);
        }
        match self.apply(Event::Start).await {
            Ok(()) => {
                self.starting.push(reply);
                self.after_launch().await;
            }
            Err(Error::Refused(refusal)) if refusal.refused.is_no_op() => {
                answer(reply, Ok(Started::AlreadyStarted));
            }
            Err(error) => answer(reply, Err(error)),
        }
    }

    /// A user restarts it, and it does not run now.
    pub(super) async fn start_again(&mut self) {
        match self.apply(Event::Start).await {
            Ok(()) => self.after_launch().await,
            Err(error) => {
                for reply in std::mem::take(&mut self.restarting) {
                    answer(reply, Err(copy(&error)));
                }
            }
        }
    }

    /// The pause of the restart policy is over.
    pub(super) async fn restart_due(&mut self) {
        if self.apply(Event::RestartDue).await.is_ok() {
            self.after_launch().await;
        }
    }

    async fn after_launch(&mut self) {
        if let Some(error) = self.launch_error.take() {
            let code = match &error {
                Error::Start { code, .. } => *code,
                _ => 125,
            };
            self.fail_start(code, error).await;
        }
    }

    pub(super) async fn launch(&mut self) -> Result<()> {
        let joined = prepare::joined(&self.shared, &self.record.host)?;
        let (shared, record) = (self.shared.clone(), self.record.clone());
        let runtime = tokio::runtime::Handle::current();
        let launched = blocking::run("container start", move || {
            prepare::launch(&shared, &record, joined, &runtime)
        })
        .await?;
        let lost = |source| Error::Shim {
            peer: "shim",
            id: self.record.id.clone(),
            source,
        };
        let control = Control::new(launched.socket).map_err(lost)?;
        for (request, socket) in launched.publish {
            let socket = Some(socket.as_fd());
            control.send(&request, socket).await.map_err(lost)?;
        }
        for pending in self.attaches.drain(..) {
            pending.hand_over(&control).await.map_err(lost)?;
        }
        control.send(&Request::Start, None).await.map_err(lost)?;
        self.shim = Some(control);
        Ok(())
    }

    pub(super) async fn started(&mut self, pid: i32) {
        let now = self.shared.now();
        self.record.started_unix_nanos = now;
        self.record.error.clear();
        self.record.exit_code = 0;
        let at = UnixNanos(now);
        if let Err(error) = self.apply(Event::Started { pid, at }).await {
            tracing::error!(container = %self.record.id, error = fault::chain(&error), "start out of order");
        }
        self.tell_networks("connect");
        self.publish();
        for reply in self.starting.drain(..) {
            answer(reply, Ok(Started::Started));
        }
        for reply in std::mem::take(&mut self.restarting) {
            self.tell("restart", []);
            answer(reply, Ok(()));
        }
        self.remove_after_start().await;
    }

    pub(super) async fn start_failed(&mut self, code: i32, message: String) {
        self.fail_start(code, Error::Start { code, message }).await;
    }

    async fn fail_start(&mut self, code: i32, error: Error) {
        let text = fault::chain(&error);
        let now = self.shared.now();
        self.record.exit_code = code;
        self.record.error.clone_from(&text);
        self.attaches.clear();
        prepare::clean_up(&self.shared, &self.record);
        let exit = Exit {
            code,
            at: UnixNanos(now),
            oom: false,
        };
        let run = Run {
            code,
            by_user: false,
            uptime: std::time::Duration::ZERO,
        };
        let by_policy = self.starting.is_empty() && self.restarting.is_empty();
        let decision = match policy_of(&self.record.host.restart_policy) {
            Ok(policy) if by_policy => policy.decide(run, &mut self.record.backoff),
            _ => Decision::Stay,
        };
        let _ = self.apply(Event::StartFailed { exit, decision }).await;
        for reply in std::mem::take(&mut self.restarting) {
            answer(reply, Err(copy(&error)));
        }
        for reply in std::mem::take(&mut self.starting) {
            answer(reply, Err(copy(&error)));
        }
        self.answer_waits(
            &[WaitCondition::NotRunning, WaitCondition::NextExit],
            Some(&text),
        );
        self.remove_after_start().await;
        if self.record.host.auto_remove && !self.gone {
            self.remove_by_itself().await;
        }
    }
}

/// The same failure for one more who waits.
pub(super) fn copy(error: &Error) -> Error {
    match error {
        Error::Start { code, message } => Error::Start {
            code: *code,
            message: message.clone(),
        },
        Error::Conflict(text) => Error::Conflict(text.clone()),
        Error::Invalid(text) => Error::Invalid(text.clone()),
        Error::Refused(refusal) => Error::Refused(refusal.clone()),
        Error::Denied(text) => Error::Denied(text.clone()),
        Error::NoSuchContainer(target) => Error::NoSuchContainer(target.clone()),
        other if other.kind() == fault::Kind::NotFound => Error::NotFound(fault::chain(other)),
        other => Error::Start {
            code: 125,
            message: fault::chain(other),
        },
    }
}
