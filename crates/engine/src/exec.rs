//! Execs: more processes in a running container.

use std::os::fd::OwnedFd;

use crate::engine::Engine;
use crate::error::{Error, Result};

pub use api::exec::ExecConfig;

/// How to start an exec.
#[derive(Debug, Default)]
pub struct ExecStart {
    /// Do not attach anyone.
    pub detach: bool,
    /// The caller's idea of `Tty`; must fit the exec's own.
    pub tty: bool,
    /// Rows and columns of the first size.
    pub console_size: Option<(u16, u16)>,
    /// The client's raw stream, unless detached.
    pub stream: Option<OwnedFd>,
    /// Input that came before the stream was handed over.
    pub early_input: Vec<u8>,
}

/// An exec as others see it.
#[derive(Debug, Clone)]
pub struct ExecView {
    /// Its id.
    pub id: String,
    /// The container's id.
    pub container_id: String,
    /// As it was asked for.
    pub config: ExecConfig,
    /// It runs.
    pub running: bool,
    /// How it ended, if it has.
    pub exit_code: Option<i32>,
    /// Its pid in the daemon's pid namespace; 0 when it does not run.
    pub pid: i32,
    /// The user as resolved, `uid:gid`.
    pub user: String,
}

impl Engine {
    /// Prepares an exec in a running container and gives its id.
    ///
    /// # Errors
    /// No such container; it does not run, or is paused; no command.
    pub async fn exec_create(&self, target: &str, config: ExecConfig) -> Result<String> {
        if config.cmd.is_empty() {
            return Err(Error::Invalid("No exec command specified".into()));
        }
        let handle = self.containers().require(target)?;
        let config = Box::new(config);
        let id = handle
            .ask(|reply| super::container::command::Command::ExecCreate { config, reply })
            .await?;
        self.shared.execs.add(&id, handle.id());
        Ok(id)
    }

    /// Starts a prepared exec; returns when its process runs.
    ///
    /// # Errors
    /// No such exec; it ran already; the program could not be started ([`Error::Start`]).
    pub async fn exec_start(&self, id: &str, start: ExecStart) -> Result<()> {
        let handle = self.exec_owner(id)?;
        let id = id.to_owned();
        handle
            .ask(|reply| super::container::command::Command::ExecStart { id, start, reply })
            .await
    }

    /// Sets the terminal size of an exec.
    ///
    /// # Errors
    /// No such exec; it does not run.
    pub async fn exec_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let handle = self.exec_owner(id)?;
        let id = id.to_owned();
        handle
            .ask(|reply| super::container::command::Command::ExecResize {
                id,
                height,
                width,
                reply,
            })
            .await
    }

    /// What an exec is, or was.
    ///
    /// # Errors
    /// No such exec.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecView> {
        let handle = self.exec_owner(id)?;
        let id = id.to_owned();
        handle
            .ask(|reply| super::container::command::Command::ExecInspect { id, reply })
            .await
    }

    fn exec_owner(&self, id: &str) -> Result<crate::container::handle::Handle> {
        let owner = self
            .shared
            .execs
            .owner(id)
            .ok_or_else(|| Error::NoSuchExec(id.into()))?;
        self.containers()
            .require(&owner)
            .map_err(|_| Error::NoSuchExec(id.into()))
    }
}

/// Which container an exec belongs to.
#[derive(Debug, Default)]
pub(crate) struct Owners(std::sync::Mutex<std::collections::HashMap<String, String>>);

impl Owners {
    fn lock(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, String>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn add(&self, exec: &str, container: &str) {
        self.lock().insert(exec.into(), container.into());
    }

    pub(crate) fn owner(&self, exec: &str) -> Option<String> {
        self.lock().get(exec).cloned()
    }

    /// Forgets the execs that `keep` denies.
    pub(crate) fn remove(&self, exec: &str) {
        self.lock().remove(exec);
    }
}
