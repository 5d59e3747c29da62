//! The one task that owns a container: takes commands, shim events and deadlines in turn, and publishes what changed.
//!
//! ```text
//! commands ─┐                                   ┌─► view (watch)      ─► list, inspect, logs
//! shim ─────┼─► lifecycle::next ─► effects ─────┼─► events            ─► docker events
//! deadlines ┘                                   └─► config.json, replies, requests to the shim
//! ```
//! Nothing here waits for the container: what takes time leaves a reply behind that a later event answers.

mod attach;
mod change;
mod effects;
mod exec;
mod exit;
mod health;
mod network;
mod remove;
mod start;
mod stop;

pub(in crate::container) use exit::UNSEEN;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::Event;
use shim::protocol::Event as ShimEvent;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::command::{Command, Reply, Waiter};
use super::control::Control;
use super::handle::{Handle, Inbox};
use super::record::Record;
use super::request::{RemoveOptions, Started, Stopped, WaitCondition, WaitOutcome};
use super::view::View;
use crate::engine::Shared;
use crate::error::{Error, Result};

/// What is answered when the running program has ended.
#[derive(Debug)]
enum AtExit {
    Stop(Reply<Stopped>),
    Kill(Reply<()>),
    Restart(Reply<()>),
    Remove { volumes: bool, reply: Reply<()> },
}

/// The container's task.
#[derive(Debug)]
pub(crate) struct Actor {
    shared: Arc<Shared>,
    record: Record,
    inbox: Inbox,
    /// There is one from the launch to the exit.
    shim: Option<Control>,
    /// Why the launch that an event asked for has failed.
    launch_error: Option<Error>,
    starting: Vec<Reply<Started>>,
    restarting: Vec<Reply<()>>,
    /// Forced removals that wait for the end of a start.
    removals: Vec<(RemoveOptions, Reply<()>)>,
    /// Clients that wait for the start.
    attaches: Vec<attach::Pending>,
    at_exit: Vec<AtExit>,
    waits: Vec<(WaitCondition, oneshot::Sender<WaitOutcome>)>,
    execs: HashMap<String, exec::Exec>,
    health: health::Watch,
    /// How the stop under way goes on.
    stop: stop::Plan,
    /// When the stop signal turns into SIGKILL.
    kill_at: Option<Instant>,
    /// `oom` was told while this run went on.
    oom_told: bool,
    /// When we kill what a shim that does not answer should have killed.
    force_at: Option<Instant>,
    /// When the restart policy starts it again.
    restart_at: Option<Instant>,
    /// Remove anonymous volumes with it.
    with_volumes: bool,
    /// The container is removed: the task ends.
    gone: bool,
}

impl Actor {
    /// Makes the actor of a container and the handle to it; `shim` is the connection to a shim that survived a former daemon.
    pub(crate) fn new(
        shared: Arc<Shared>,
        record: Record,
        shim: Option<Control>,
    ) -> (Self, Handle) {
        let view = View {
            record: Arc::new(record.clone()),
            network: shared.networks.live(&record.id),
            health: None,
            execs: Vec::new(),
        };
        let (handle, inbox) = Handle::new(view);
        let health = health::Watch::new(&record);
        let actor = Self {
            shared,
            record,
            inbox,
            shim,
            launch_error: None,
            starting: Vec::new(),
            restarting: Vec::new(),
            removals: Vec::new(),
            attaches: Vec::new(),
            at_exit: Vec::new(),
            waits: Vec::new(),
            execs: HashMap::new(),
            health,
            stop: stop::Plan::default(),
            kill_at: None,
            oom_told: false,
            force_at: None,
            restart_at: None,
            with_volumes: false,
            gone: false,
        };
        (actor, handle)
    }

    /// Lives as long as the container is known.
    pub(crate) async fn run(mut self) {
        while !self.gone {
            let deadline = self.deadline();
            // What the shim told before a client could ask is known before the question is answered.
            tokio::select! {
                biased;
                event = next_event(self.shim.as_ref()) => self.hear(event).await,
                command = self.inbox.commands.recv() => match command {
                    Some(command) => {
                        self.catch_up().await;
                        self.take(command).await;
                    }
                    None => break,
                },
                () = tokio::time::sleep_until(deadline) => self.on_time().await,
            }
        }
    }

    /// Hears what the shim has told already: a client that saw its exec's stream end must find the exit code known.
    async fn catch_up(&mut self) {
        while let Some(event) = self.shim.as_ref().and_then(Control::try_recv) {
            self.hear(event).await;
        }
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Start { reply } => self.start(reply).await,
            Command::Stop { options, reply } => self.stop(options, reply).await,
            Command::Restart { options, reply } => self.restart(options, reply).await,
            Command::Kill { signal, reply } => self.kill(signal, reply).await,
            Command::Pause { reply } => {
                let result = self.apply(Event::Pause).await;
                answer(reply, result);
            }
            Command::Unpause { reply } => {
                let result = self.apply(Event::Unpause).await;
                answer(reply, result);
            }
            Command::Remove { options, reply } => self.remove(options, reply).await,
            Command::Connect {
                network,
                wish,
                reply,
            } => answer(reply, self.connect(network, *wish).await),
            Command::Disconnect { network, reply } => {
                answer(reply, self.disconnect(network).await);
            }
            Command::Unlink { alias, reply } => answer(reply, self.unlink(&alias).await),
            Command::Rename { name, reply } => answer(reply, self.rename(name)),
            Command::Update { update, reply } => answer(reply, self.update(*update).await),
            Command::Attach { attach, reply } => answer(reply, self.attach(attach).await),
            Command::Resize {
                height,
                width,
                reply,
            } => answer(reply, self.resize(height, width).await),
            Command::Wait { condition, reply } => {
                let waiter = self.wait(condition);
                answer(reply, Ok(waiter));
            }
            Command::ExecCreate { config, reply } => answer(reply, self.exec_create(*config)),
            Command::ExecStart { id, start, reply } => self.exec_start(id, start, reply).await,
            Command::ExecResize {
                id,
                height,
                width,
                reply,
            } => {
                answer(reply, self.exec_resize(id, height, width).await);
            }
            Command::ExecInspect { id, reply } => answer(reply, self.exec_inspect(&id)),
        }
    }

    async fn hear(&mut self, event: std::io::Result<Option<ShimEvent>>) {
        match event {
            Ok(Some(ShimEvent::Started { pid })) => self.started(pid).await,
            Ok(Some(ShimEvent::Failed(failure))) => {
                self.shim = None;
                self.start_failed(failure.code, failure.message).await;
            }
            Ok(Some(ShimEvent::Exited(exit))) => self.exited(exit).await,
            Ok(Some(ShimEvent::ExecStarted { id, pid })) => self.exec_started(&id, pid),
            Ok(Some(ShimEvent::ExecFailed { id, failure })) => self.exec_failed(&id, failure).await,
            Ok(Some(ShimEvent::ExecExited { id, code })) => self.exec_exited(&id, code).await,
            Ok(Some(ShimEvent::Detached { by_keys, .. })) => {
                if by_keys {
                    self.tell("detach", []);
                }
            }
            Ok(Some(ShimEvent::Oom)) => {
                self.oom_told = true;
                self.tell("oom", []);
            }
            Ok(Some(ShimEvent::LogFailed { message })) => {
                tracing::error!(container = %self.record.id, message, "the log cannot be written");
            }
            Ok(Some(ShimEvent::Hello { .. })) => {}
            Ok(None) | Err(_) => self.shim_lost().await,
        }
    }

    fn deadline(&self) -> Instant {
        let far = || Instant::now() + Duration::from_secs(86_400);
        [
            self.kill_at,
            self.force_at,
            self.restart_at,
            self.health.next(),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or_else(far)
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.kill_at) {
            self.kill_at = None;
            self.kill_all().await;
        }
        if due(self.force_at) {
            self.force_at = None;
            self.kill_without_shim();
        }
        if due(self.restart_at) {
            self.restart_at = None;
            self.restart_due().await;
        }
        if due(self.health.next()) {
            self.check_health().await;
        }
    }

    fn wait(&mut self, condition: WaitCondition) -> Waiter {
        let (tell, outcome) = oneshot::channel();
        let stands = self.shim.is_none() && self.restart_at.is_none();
        if condition == WaitCondition::NotRunning && stands {
            let _ = tell.send(self.outcome(None));
        } else {
            self.waits.push((condition, tell));
        }
        Waiter { outcome }
    }

    /// Answers the waits for these conditions.
    fn answer_waits(&mut self, conditions: &[WaitCondition], error: Option<&str>) {
        let outcome = self.outcome(error);
        let (answered, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waits)
            .into_iter()
            .partition(|(c, _)| conditions.contains(c));
        self.waits = rest;
        for (_, tell) in answered {
            let _ = tell.send(outcome.clone());
        }
    }

    fn outcome(&self, error: Option<&str>) -> WaitOutcome {
        WaitOutcome {
            code: i64::from(self.record.exit_code),
            error: error.map(str::to_owned),
        }
    }

    /// Shows the world the present state.
    fn publish(&self) {
        let view = View {
            record: Arc::new(self.record.clone()),
            network: self.shared.networks.live(&self.record.id),
            health: self.health.shown(),
            execs: self
                .execs
                .iter()
                .filter(|(_, e)| e.is_listed())
                .map(|(id, _)| id.clone())
                .collect(),
        };
        self.inbox.view.send_replace(view);
    }

    /// Publishes, and writes the record; a record that cannot be written is logged, the container goes on.
    fn persist(&self) {
        self.publish();
        if let Err(error) = self.record.write(&self.folder()) {
            tracing::error!(container = %self.record.id, error = fault::chain(&error), "record not written");
            return;
        }
        if !self.record.is_ephemeral() {
            self.shared.flusher.later(self.folder().join("config.json"));
        }
    }

    /// Tells an event of this container.
    pub(in crate::container) fn tell<const N: usize>(
        &self,
        action: &str,
        extra: [(&str, String); N],
    ) {
        self.shared.tell_of(&self.record, action, extra);
    }

    fn folder(&self) -> PathBuf {
        self.shared.container_folder(&self.record.id)
    }

    /// Whether the container can be used so.
    fn permits(&self, purpose: lifecycle::Use) -> Result<()> {
        lifecycle::permits(&self.record.state, purpose)
            .map_err(|refused| refused.of(&self.record.id, &self.record.name).into())
    }
}

async fn next_event(shim: Option<&Control>) -> std::io::Result<Option<ShimEvent>> {
    match shim {
        Some(control) => control.recv().await,
        None => std::future::pending().await,
    }
}

/// Gives an answer to whoever still waits for it.
fn answer<T>(reply: Reply<T>, result: Result<T>) {
    let _ = reply.send(result);
}
