//! Attaching clients: now if it runs, otherwise with the next start.

use std::os::fd::{AsFd, OwnedFd};

use shim::protocol::{Request, Target};

use super::Actor;
use crate::container::control::Control;
use crate::container::request::Attach;
use crate::container::{detach_keys, history};
use crate::error::{Error, Result};

/// A client that waits for the start.
#[derive(Debug)]
pub(super) struct Pending {
    request: Request,
    stream: OwnedFd,
}

impl Pending {
    pub(super) async fn hand_over(&self, control: &Control) -> std::io::Result<()> {
        control.send(&self.request, Some(self.stream.as_fd())).await
    }
}

impl Actor {
    pub(super) async fn attach(&mut self, attach: Attach) -> Result<()> {
        self.permits(lifecycle::Use::Attach)?;
        let tty = self.record.config.tty;
        let detach_keys = detach_keys::of(attach.detach_keys.as_deref().unwrap_or(""), tty)?;
        if attach.logs {
            history::replay(&self.shared, &self.record, &attach).await?;
        }
        if !attach.follow {
            return Ok(());
        }
        let pending = Pending {
            request: Request::Attach {
                target: Target::Init,
                stdin: attach.stdin && self.record.config.open_stdin,
                stdout: attach.stdout,
                stderr: attach.stderr,
                early_input: attach.early_input,
                detach_keys,
            },
            stream: attach.stream,
        };
        match &self.shim {
            Some(control) => pending
                .hand_over(control)
                .await
                .map_err(|source| Error::Shim {
                    peer: "shim",
                    id: self.record.id.clone(),
                    source,
                })?,
            None => self.attaches.push(pending),
        }
        self.tell("attach", []);
        Ok(())
    }

    pub(super) async fn resize(&mut self, height: u16, width: u16) -> Result<()> {
        match &self.shim {
            Some(control) => control
                .send(
                    &Request::Resize {
                        target: Target::Init,
                        height,
                        width,
                    },
                    None,
                )
                .await
                .map_err(|source| Error::Shim {
                    peer: "shim",
                    id: self.record.id.clone(),
                    source,
                })?,
            None => {
                return Err(Error::Conflict(format!(
                    "cannot resize a stopped container: container {} is not running",
                    self.record.id
                )));
            }
        }
        self.tell(
            "resize",
            [("height", height.to_string()), ("width", width.to_string())],
        );
        Ok(())
    }
}
