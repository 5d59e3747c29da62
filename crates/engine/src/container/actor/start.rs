//! Starting: prepare, hand over to a shim, hear of it.

use std::time::Duration;

use lifecycle::State;
use shim::protocol::Request;

use super::{Actor, answer};
use crate::blocking;
use crate::container::command::Reply;
use crate::container::control::Control;
use crate::container::prepare;
use crate::container::request::{Started, WaitCondition};
use crate::error::{Error, Result};

impl Actor {
    /// Starts the program; `None` as reply means that the restart policy wants it.
    pub(super) async fn start(&mut self, reply: Option<Reply<Started>>) {
        let by_user = reply.is_some();
        let early = match self.state {
            _ if !self.starting.is_empty() => None,
            State::Running { .. } => Some(Ok(Started::AlreadyStarted)),
            State::Paused { .. } => Some(Err(Error::Conflict(
                "cannot start a paused container, try unpause instead".into(),
            ))),
            State::Removing | State::Dead => Some(Err(Error::Conflict(
                "container is marked for removal and cannot be started".into(),
            ))),
            _ => None,
        };
        match (early, reply) {
            (Some(result), Some(reply)) => return answer(reply, result),
            (Some(_), None) => return,
            (None, Some(reply)) => self.starting.push(reply),
            (None, None) => {}
        }
        if self.shim.is_some() {
            return; // already on its way: the replies are answered together
        }
        self.restart_at = None;
        if by_user {
            self.record.restart_count = 0;
            self.record.stopped_by_user = false;
            self.backoff = Duration::ZERO;
        }
        if let Err(error) = self.launch().await {
            let code = match &error {
                Error::Start { code, .. } => *code,
                _ => 125,
            };
            self.fail_start(code, error).await;
        }
    }

    async fn launch(&mut self) -> Result<()> {
        let joined = prepare::joined(&self.shared, &self.record.host)?;
        let (shared, record) = (self.shared.clone(), self.record.clone());
        let socket =
            blocking::run("container start", move || prepare::launch(&shared, &record, joined)).await?;
        let lost = |source| Error::Shim { peer: "shim", id: self.record.id.clone(), source };
        let control = Control::new(socket).map_err(lost)?;
        for pending in self.attaches.drain(..) {
            pending.hand_over(&control).await.map_err(lost)?;
        }
        control.send(&Request::Start, None).await.map_err(lost)?;
        self.shim = Some(control);
        Ok(())
    }

    pub(super) async fn started(&mut self, pid: i32) {
        let now = self.shared.now();
        self.record.running = true;
        self.record.started_unix_nanos = now;
        self.record.error.clear();
        self.record.exit_code = 0;
        self.record.oom_killed = false;
        self.state = State::Running { pid, since_unix_nanos: now };
        self.health.begin(&self.record);
        self.publish();
        self.tell("start", []);
        for reply in self.starting.drain(..) {
            answer(reply, Ok(Started::Started));
        }
        // A restart asked for by a user is done when the program runs again.
        self.finish_restarts(|| Ok(()));
        // Not before the answer: launch.json says already that it runs, this only repeats it for after a reboot.
        if !self.record.is_ephemeral() {
            self.save();
        }
    }

    pub(super) async fn start_failed(&mut self, code: i32, message: String) {
        self.shim = None;
        let message = format!("failed to create task for container: {message}");
        self.fail_start(code, Error::Start { code, message }).await;
    }

    async fn fail_start(&mut self, code: i32, error: Error) {
        let text = fault::chain(&error);
        self.record.exit_code = code;
        self.record.error.clone_from(&text);
        self.record.running = false;
        self.attaches.clear();
        if !matches!(self.state, State::Created) {
            self.state = State::Exited { code, at_unix_nanos: self.shared.now(), oom_killed: false };
        }
        prepare::clean_up(&self.shared, &self.record);
        self.publish_and_save();
        let again = |error: &Error| match error {
            Error::Start { code, message } => Error::Start { code: *code, message: message.clone() },
            other => Error::Start { code, message: fault::chain(other) },
        };
        self.finish_restarts(|| Err(again(&error)));
        let mut replies = std::mem::take(&mut self.starting);
        let last = replies.pop();
        for reply in replies {
            answer(reply, Err(again(&error)));
        }
        if let Some(reply) = last {
            answer(reply, Err(error));
        }
        self.answer_waits(&[WaitCondition::NotRunning, WaitCondition::NextExit], Some(&text));
        if self.record.host.auto_remove {
            self.remove_now(true).await;
        }
    }
}
