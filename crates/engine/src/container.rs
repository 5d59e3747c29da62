//! Containers: what faces may ask of them. Each one is owned by an actor; this file only sends commands and reads views.

pub(crate) mod accounts;
mod actor;
pub(crate) mod command;
mod control;
mod copy;
pub(crate) mod create;
mod detach_keys;
mod files;
pub(crate) mod handle;
mod history;
mod list;
mod log_attrs;
mod mounts;
mod prepare;
mod prune;
pub(crate) mod record;
pub(crate) mod recover;
pub(crate) mod registry;
mod request;
mod rootfs;
pub(crate) mod seccomp;
mod signal;
mod stats;
mod top;
mod view;
mod volumes;

pub use command::Waiter;
pub use copy::{PathStat, PutOptions};
pub use handle::Coming;
pub use history::LogStream;
pub use prune::Pruned;
pub use record::{MountKind, MountRecord, Record};
pub use request::*;
pub use stats::{Network, Sample};
pub use top::Top;
pub use view::{Size, View};

use command::Command;

use crate::engine::Engine;
use crate::error::Result;

impl Engine {
    /// Starts a created or stopped container; returns when its program runs.
    ///
    /// # Errors
    /// No such container; it is paused; the program or a limit was refused ([`crate::Error::Start`]).
    pub async fn start(&self, target: &str) -> Result<Started> {
        let handle = self.containers().require(target)?;
        handle.streams_are_there().await;
        handle.ask(|reply| Command::Start { reply }).await
    }

    /// Stops a running container: its stop signal, the time to comply, SIGKILL.
    ///
    /// # Errors
    /// No such container; an unknown signal.
    pub async fn stop(&self, target: &str, options: StopOptions) -> Result<Stopped> {
        let handle = self.containers().require(target)?;
        handle.ask(|reply| Command::Stop { options, reply }).await
    }

    /// Stops if need be, and starts.
    ///
    /// # Errors
    /// As [`Engine::stop`] and [`Engine::start`].
    pub async fn restart(&self, target: &str, options: StopOptions) -> Result<()> {
        let handle = self.containers().require(target)?;
        handle
            .ask(|reply| Command::Restart { options, reply })
            .await
    }

    /// Sends a signal (SIGKILL when none is named; then returns when it has ended).
    ///
    /// # Errors
    /// No such container; it does not run; an unknown signal.
    pub async fn kill(&self, target: &str, signal: Option<String>) -> Result<()> {
        let handle = self.containers().require(target)?;
        handle.ask(|reply| Command::Kill { signal, reply }).await
    }

    /// Freezes every process of a running container.
    ///
    /// # Errors
    /// No such container; it does not run, or is paused already.
    pub async fn pause(&self, target: &str) -> Result<()> {
        let handle = self.containers().require(target)?;
        handle.ask(|reply| Command::Pause { reply }).await
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    /// No such container; it is not paused.
    pub async fn unpause(&self, target: &str) -> Result<()> {
        let handle = self.containers().require(target)?;
        handle.ask(|reply| Command::Unpause { reply }).await
    }

    /// Removes a container and its writable layer.
    ///
    /// # Errors
    /// No such container; it runs and `force` was not given.
    pub async fn remove(&self, target: &str, options: RemoveOptions) -> Result<()> {
        let handle = self.containers().require(target)?;
        handle.ask(|reply| Command::Remove { options, reply }).await
    }

    /// Takes a link of a container away, by its alias.
    ///
    /// # Errors
    /// No such container, or it has no such link.
    pub async fn unlink(&self, target: &str, alias: &str) -> Result<()> {
        let handle = self.containers().require(target)?;
        let alias = alias.to_owned();
        handle.ask(|reply| Command::Unlink { alias, reply }).await
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// No such container; the name is taken or not a name.
    pub async fn rename(&self, target: &str, name: String) -> Result<()> {
        let handle = self.containers().require(target)?;
        handle
            .ask(|reply| Command::Rename { name, reply })
            .await
            .map(|_| ())
    }

    /// Changes limits and the restart policy, of a running container at once. Gives warnings.
    ///
    /// # Errors
    /// No such container; a limit that the kernel refuses (nothing is changed then).
    pub async fn update(&self, target: &str, update: Update) -> Result<Vec<String>> {
        let handle = self.containers().require(target)?;
        let update = Box::new(update);
        handle.ask(|reply| Command::Update { update, reply }).await
    }

    /// To be called before a client learns that it will be attached: it may start the container next, and that start waits
    /// until [`Engine::attach`] has its stream. Give it up after that.
    ///
    /// # Errors
    /// No such container; bad detach keys.
    pub fn expect_attach(&self, target: &str, detach_keys: Option<&str>) -> Result<Coming> {
        let handle = self.containers().require(target)?;
        detach_keys::of(
            detach_keys.unwrap_or_default(),
            handle.view().record.config.tty,
        )?;
        Ok(handle.expect_stream())
    }

    /// Hands a client's stream over to a container's streams; before the start it waits there and misses nothing.
    ///
    /// # Errors
    /// No such container; bad detach keys.
    pub async fn attach(&self, target: &str, attach: Attach) -> Result<()> {
        let handle = self.containers().require(target)?;
        handle.ask(|reply| Command::Attach { attach, reply }).await
    }

    /// Sets the size of a container's terminal.
    ///
    /// # Errors
    /// No such container; it does not run.
    pub async fn resize(&self, target: &str, height: u16, width: u16) -> Result<()> {
        let handle = self.containers().require(target)?;
        handle
            .ask(|reply| Command::Resize {
                height,
                width,
                reply,
            })
            .await
    }

    /// Registers a wait; the answer comes from [`Waiter::outcome`].
    ///
    /// # Errors
    /// No such container.
    pub async fn wait(&self, target: &str, condition: WaitCondition) -> Result<Waiter> {
        let handle = self.containers().require(target)?;
        handle.ask(|reply| Command::Wait { condition, reply }).await
    }

    /// A container's last published picture.
    ///
    /// # Errors
    /// No such container.
    pub fn container(&self, target: &str) -> Result<View> {
        Ok(self.containers().require(target)?.view())
    }
}
