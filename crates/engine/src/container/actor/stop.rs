//! Stopping: signals, the time to comply, restart by hand.

use std::time::Duration;

use lifecycle::{Event, State};
use shim::protocol::{Request, Target};
use tokio::time::Instant;

use super::{Actor, AtExit, answer};
use crate::container::command::Reply;
use crate::container::prepare;
use crate::container::request::{StopOptions, Stopped};
use crate::container::signal;
use crate::error::{Error, Result};

/// How long a shim may take for a SIGKILL.
const SHIM_PATIENCE: Duration = Duration::from_secs(2);

/// The signal and the time that a stop goes with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    signal: i32,
    /// `None` waits for ever.
    patience: Option<Duration>,
    /// A stop or restart was asked for, so that its end is told as `stop`; a mere kill is not.
    pub(super) is_asked: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            signal: signal::TERM,
            patience: Some(Duration::from_secs(10)),
            is_asked: false,
        }
    }
}

impl Actor {
    pub(super) async fn stop(&mut self, options: StopOptions, reply: Reply<Stopped>) {
        match self.begin_stop(&options).await {
            // Nothing ran, only a restart was planned.
            Ok(()) if self.shim.is_none() => answer(reply, Ok(Stopped::Stopped)),
            Ok(()) => self.at_exit.push(AtExit::Stop(reply)),
            Err(Error::Refused(refusal)) if refusal.refused.is_no_op() => {
                answer(reply, Ok(Stopped::AlreadyStopped));
            }
            Err(error) => answer(reply, Err(error)),
        }
    }

    pub(super) async fn restart(&mut self, options: StopOptions, reply: Reply<()>) {
        match self.begin_stop(&options).await {
            Ok(()) if self.shim.is_some() => self.at_exit.push(AtExit::Restart(reply)),
            Err(Error::Refused(refusal)) if !refusal.refused.is_no_op() => {
                answer(reply, Err(Error::Refused(refusal)));
            }
            Err(error) if !matches!(error, Error::Refused(_)) => answer(reply, Err(error)),
            _ => {
                self.restarting.push(reply);
                self.start_again().await;
            }
        }
    }

    pub(super) async fn kill(&mut self, asked: Option<String>, reply: Reply<()>) {
        let asked = asked.as_deref().filter(|s| !s.is_empty());
        let number = match asked.map_or(Ok(signal::KILL), signal::parse) {
            Ok(number) => number,
            Err(error) => return answer(reply, Err(error)),
        };
        let ends = number == signal::KILL || self.stop_signal().is_ok_and(|own| own == number);
        match self
            .apply(Event::Kill {
                signal: number,
                ends,
            })
            .await
        {
            Ok(()) if number == signal::KILL && self.shim.is_some() => {
                self.at_exit.push(AtExit::Kill(reply))
            }
            result => answer(reply, result),
        }
    }

    async fn begin_stop(&mut self, options: &StopOptions) -> Result<()> {
        let signal = match options.signal.as_deref().filter(|s| !s.is_empty()) {
            Some(text) => signal::parse(text)?,
            None => self.stop_signal()?,
        };
        let own = self
            .record
            .config
            .stop_timeout
            .unwrap_or(i64::from(self.shared.options.stop_timeout_secs));
        let secs = options.timeout_secs.unwrap_or(own);
        self.stop = Plan {
            signal,
            patience: u64::try_from(secs).ok().map(Duration::from_secs),
            is_asked: true,
        };
        self.apply(Event::Stop).await
    }

    /// Sends the stop signal and sets the time for SIGKILL.
    pub(super) async fn send_stop(&mut self) {
        let Plan {
            signal, patience, ..
        } = self.stop;
        self.kill_at = patience.map(|patience| Instant::now() + patience);
        self.signal(signal, false).await;
        self.tell("kill", [("signal", signal.to_string())]);
    }

    /// Ends everything in the container, and tells so.
    pub(super) async fn kill_all(&mut self) {
        self.signal(signal::KILL, true).await;
        self.tell("kill", [("signal", signal::KILL.to_string())]);
    }

    pub(super) async fn signal(&mut self, signal: i32, all: bool) {
        if let Some(shim) = &self.shim {
            let request = Request::Signal {
                target: Target::Init,
                signal,
                all,
            };
            if let Err(error) = shim.send(&request, None).await {
                tracing::warn!(container = %self.record.id, %error, "signal not sent");
            }
            if signal == signal::KILL {
                self.force_at = Some(Instant::now() + SHIM_PATIENCE);
            }
        }
    }

    /// Kills everything of the container by ourselves. Its shim may stand still, because a program that the container has
    /// stopped, or a file system of the container's that never answers, keeps an exec from coming to its end.
    pub(super) fn kill_without_shim(&self) {
        if self.shim.is_none() {
            return;
        }
        tracing::warn!(container = %self.record.id, "its shim does not kill it: killed by its cgroup");
        let (shared, record) = (self.shared.clone(), self.record.clone());
        tokio::task::spawn_blocking(move || prepare::kill_all(&shared, &record));
    }

    fn stop_signal(&self) -> Result<i32> {
        match self.record.config.stop_signal.as_str() {
            "" => Ok(signal::TERM),
            text => signal::parse(text),
        }
    }

    /// The user has asked for the end of this run.
    pub(super) fn is_stopping(&self) -> bool {
        matches!(
            self.record.state,
            State::Running { stopping: true, .. }
                | State::Paused { stopping: true, .. }
                | State::Starting { stopping: true, .. }
        )
    }
}
