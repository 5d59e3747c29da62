//! A container from outside: where to send commands, and what was last published.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::command::Command;
use super::view::View;
use crate::error::{Error, Result};

/// Commands that may wait for an actor.
const QUEUE: usize = 32;

/// The way to one container's actor.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    id: Arc<str>,
    commands: mpsc::Sender<Command>,
    view: watch::Receiver<View>,
    /// Clients whose stream is on its way to the actor.
    coming: Arc<watch::Sender<usize>>,
}

/// The word that a client's stream is on its way: a start waits until it is there, or this is dropped.
#[derive(Debug)]
pub struct Coming(Arc<watch::Sender<usize>>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// How long a start waits for streams on their way; they are there in milliseconds, unless their client went.
const PATIENCE: Duration = Duration::from_secs(1);

/// The actor's ends of a [`Handle`].
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) view: watch::Sender<View>,
}

impl Handle {
    pub(crate) fn new(view: View) -> (Self, Inbox) {
        let id: Arc<str> = view.record.id.as_str().into();
        let (to, commands) = mpsc::channel(QUEUE);
        let (publish, view) = watch::channel(view);
        (
            Self {
                id,
                commands: to,
                view,
                coming: Arc::new(watch::Sender::new(0)),
            },
            Inbox {
                commands,
                view: publish,
            },
        )
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The last published picture.
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// The picture as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// One more stream is on its way.
    pub(crate) fn expect_stream(&self) -> Coming {
        self.coming.send_modify(|count| *count += 1);
        Coming(self.coming.clone())
    }

    /// Waits a little for the streams that are on their way.
    pub(crate) async fn streams_are_there(&self) {
        let mut coming = self.coming.subscribe();
        let _ = tokio::time::timeout(PATIENCE, coming.wait_for(|count| *count == 0)).await;
    }

    /// Sends a command without waiting for what comes of it.
    pub(crate) async fn send(&self, command: Command) -> Result<()> {
        self.commands
            .send(command)
            .await
            .map_err(|_| Error::Gone(self.id.to_string()))
    }

    /// Sends the command that `make` builds around a reply, and waits for the reply.
    pub(crate) async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T>>) -> Command,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.send(make(reply)).await?;
        answer.await.map_err(|_| Error::Gone(self.id.to_string()))?
    }
}
