//! What an actor can be told.

use std::sync::Arc;

use api::network::EndpointSettings;
use tokio::sync::oneshot;

use super::request::{
    Attach, RemoveOptions, Started, StopOptions, Stopped, Update, WaitCondition, WaitOutcome,
};
use crate::error::Result;
use crate::exec::{ExecConfig, ExecStart, ExecView};
use crate::network::Network;

/// Where the answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;

/// One command; the actor takes them in order and never waits inside one.
#[derive(Debug)]
pub(crate) enum Command {
    Start {
        reply: Reply<Started>,
    },
    Stop {
        options: StopOptions,
        reply: Reply<Stopped>,
    },
    Restart {
        options: StopOptions,
        reply: Reply<()>,
    },
    Kill {
        signal: Option<String>,
        reply: Reply<()>,
    },
    Pause {
        reply: Reply<()>,
    },
    Unpause {
        reply: Reply<()>,
    },
    Remove {
        options: RemoveOptions,
        reply: Reply<()>,
    },
    Unlink {
        alias: String,
        reply: Reply<()>,
    },
    Rename {
        name: String,
        reply: Reply<String>,
    },
    Connect {
        network: Arc<Network>,
        wish: Box<EndpointSettings>,
        reply: Reply<()>,
    },
    Disconnect {
        network: Arc<Network>,
        reply: Reply<()>,
    },
    Update {
        update: Box<Update>,
        reply: Reply<Vec<String>>,
    },
    Attach {
        attach: Attach,
        reply: Reply<()>,
    },
    Resize {
        height: u16,
        width: u16,
        reply: Reply<()>,
    },
    Wait {
        condition: WaitCondition,
        reply: Reply<Waiter>,
    },
    ExecCreate {
        config: Box<ExecConfig>,
        reply: Reply<String>,
    },
    ExecStart {
        id: String,
        start: ExecStart,
        reply: Reply<()>,
    },
    ExecResize {
        id: String,
        height: u16,
        width: u16,
        reply: Reply<()>,
    },
    ExecInspect {
        id: String,
        reply: Reply<ExecView>,
    },
}

/// A registered wait.
#[derive(Debug)]
pub struct Waiter {
    pub(crate) outcome: oneshot::Receiver<WaitOutcome>,
}

impl Waiter {
    /// Waits for what was asked for.
    pub async fn outcome(self) -> WaitOutcome {
        self.outcome.await.unwrap_or_else(|_| WaitOutcome {
            code: 125,
            error: Some("the daemon stopped watching the container".into()),
        })
    }
}
