//! Stopping: signals, the time to comply, restart by hand.

use std::time::Duration;

use lifecycle::State;
use shim::protocol::{Request, Target};
use tokio::time::Instant;

use super::{Actor, AtExit, answer};
use crate::container::command::Reply;
use crate::container::request::{StopOptions, Stopped};
use crate::container::signal;
use crate::error::{Error, Result};

impl Actor {
    pub(super) async fn stop(&mut self, options: StopOptions, reply: Reply<Stopped>) {
        match self.begin_stop(options).await {
            Ok(true) => {
                self.record.stopped_by_user = true;
                self.at_exit.push(AtExit::Stop(reply));
            }
            Ok(false) => {
                let was_restarting = self.cancel_restart();
                answer(reply, Ok(if was_restarting { Stopped::Stopped } else { Stopped::AlreadyStopped }));
            }
            Err(error) => answer(reply, Err(error)),
        }
    }

    pub(super) async fn restart(&mut self, options: StopOptions, reply: Reply<()>) {
        match self.begin_stop(options).await {
            Ok(true) => self.at_exit.push(AtExit::Restart(reply)),
            Ok(false) => {
                self.cancel_restart();
                self.at_exit.push(AtExit::Restart(reply));
                self.record.restart_count = 0;
                self.start(None).await;
            }
            Err(error) => answer(reply, Err(error)),
        }
    }

    pub(super) async fn kill(&mut self, signal: Option<String>, reply: Reply<()>) {
        let number = match signal.as_deref().filter(|s| !s.is_empty()).map_or(Ok(signal::KILL), signal::parse) {
            Ok(number) => number,
            Err(error) => return answer(reply, Err(error)),
        };
        if self.pid().is_none() {
            if number == signal::KILL && self.cancel_restart() {
                return answer(reply, Ok(()));
            }
            let refused = Error::Conflict(format!("cannot kill container: {}: container {} is not running", self.record.name, self.record.id));
            return answer(reply, Err(refused));
        }
        // A signal that ends it on the user's word is a stop on the user's word.
        if number == signal::KILL || self.stop_signal().is_ok_and(|own| own == number) {
            self.record.stopped_by_user = true;
        }
        self.signal(number, false).await;
        self.tell("kill", [("signal", number.to_string())]);
        if number == signal::KILL {
            self.at_exit.push(AtExit::Kill(reply));
        } else {
            answer(reply, Ok(()));
        }
    }

    /// Sends the stop signal and sets the time for SIGKILL; false when nothing runs.
    async fn begin_stop(&mut self, options: StopOptions) -> Result<bool> {
        let number = match options.signal.as_deref().filter(|s| !s.is_empty()) {
            Some(text) => signal::parse(text)?,
            None => self.stop_signal()?,
        };
        if self.pid().is_none() {
            return Ok(false);
        }
        let own = self.record.config.stop_timeout.unwrap_or(i64::from(self.shared.options.stop_timeout_secs));
        let secs = options.timeout_secs.unwrap_or(own);
        self.kill_at = u64::try_from(secs).ok().map(|secs| Instant::now() + Duration::from_secs(secs));
        if matches!(self.state, State::Paused { .. }) {
            // A frozen program cannot take a signal: thaw it first, as Docker does.
            let _ = self.unpause().await;
        }
        self.signal(number, false).await;
        self.tell("kill", [("signal", number.to_string())]);
        Ok(true)
    }

    /// Ends it at once: for `rm -f`.
    pub(super) async fn kill_now(&mut self) {
        if matches!(self.state, State::Paused { .. }) {
            self.signal(signal::KILL, true).await;
            let _ = self.unpause().await;
        }
        self.signal(signal::KILL, true).await;
        self.tell("kill", [("signal", signal::KILL.to_string())]);
    }

    pub(super) async fn signal(&mut self, signal: i32, all: bool) {
        if let Some(shim) = &self.shim {
            let request = Request::Signal { target: Target::Init, signal, all };
            if let Err(error) = shim.send(&request, None).await {
                tracing::warn!(container = %self.record.id, %error, "signal not sent");
            }
        }
    }

    /// Calls off a restart that the policy has planned.
    fn cancel_restart(&mut self) -> bool {
        let planned = self.restart_at.take().is_some();
        if planned {
            self.record.stopped_by_user = true;
            self.rest();
            self.publish_and_save();
        }
        planned
    }

    fn stop_signal(&self) -> Result<i32> {
        match self.record.config.stop_signal.as_str() {
            "" => Ok(signal::TERM),
            text => signal::parse(text),
        }
    }

    /// Answers restarts by hand.
    pub(super) fn finish_restarts(&mut self, outcome: impl Fn() -> Result<()>) {
        let (restarts, rest) = std::mem::take(&mut self.at_exit)
            .into_iter()
            .partition(|at_exit| matches!(at_exit, AtExit::Restart(_)));
        self.at_exit = rest;
        let restarts: Vec<_> = restarts;
        for restart in restarts {
            if let AtExit::Restart(reply) = restart {
                let result = outcome();
                if result.is_ok() {
                    self.tell("restart", []);
                }
                answer(reply, result);
            }
        }
    }
}
