//! Removing: the writable layer, the folder, the name. Whatever a crash interrupts, the next start finishes.

use lifecycle::State;

use super::{Actor, AtExit, answer};
use crate::blocking;
use crate::container::command::Reply;
use crate::container::request::{RemoveOptions, WaitCondition};
use crate::container::{MountKind, prepare};
use crate::error::{Error, Result};

impl Actor {
    pub(super) async fn remove(&mut self, options: RemoveOptions, reply: Reply<()>) {
        if options.link {
            return answer(reply, Err(Error::Invalid("Conflict, cannot remove the default link name of the container".into())));
        }
        if matches!(self.state, State::Removing) {
            let text = format!("removal of container {} is already in progress", self.record.name);
            return answer(reply, Err(Error::Conflict(text)));
        }
        if self.is_up() {
            if !options.force {
                return answer(reply, Err(self.refuse_removal()));
            }
            self.at_exit.push(AtExit::Remove { volumes: options.volumes, reply });
            self.kill_now().await;
            return;
        }
        if self.restart_at.is_some() && !options.force {
            return answer(reply, Err(self.refuse_removal()));
        }
        self.restart_at = None;
        let result = self.remove_now(options.volumes).await;
        answer(reply, result);
    }

    fn refuse_removal(&self) -> Error {
        let state = match self.state {
            State::Paused { .. } => "paused",
            State::Restarting { .. } => "restarting",
            _ => "running",
        };
        let hint = if state == "paused" { "unpause and then stop the container before attempting removal or force remove" }
            else { "stop the container before attempting removal or force remove" };
        Error::Conflict(format!(
            "cannot remove container {:?}: container is {state}: {hint}",
            format!("/{}", self.record.name)
        ))
    }

    /// Removes everything of a container that does not run.
    pub(super) async fn remove_now(&mut self, volumes: bool) -> Result<()> {
        self.state = State::Removing;
        self.publish();
        let shared = self.shared.clone();
        let record = self.record.clone();
        let result = blocking::run("container removal", move || prepare::remove(&shared, &record)).await;
        if let Err(error) = result {
            self.state = State::Dead;
            self.publish_and_save();
            let text = fault::chain(&error);
            self.answer_waits(&[WaitCondition::Removed], Some(&text));
            return Err(error);
        }
        self.shared.containers.forget(&self.record.id, &self.record.name);
        for id in self.execs.keys() {
            self.shared.execs.remove(id);
        }
        if volumes {
            self.remove_anonymous_volumes();
        }
        self.answer_waits(&[WaitCondition::Removed, WaitCondition::NotRunning, WaitCondition::NextExit], None);
        self.tell("destroy", []);
        self.shared.sweep_soon();
        self.gone = true;
        Ok(())
    }

    fn remove_anonymous_volumes(&self) {
        let anonymous = self
            .record
            .mounts
            .iter()
            .filter(|m| m.kind == MountKind::Volume && m.anonymous)
            .filter_map(|m| m.volume.clone());
        for name in anonymous {
            if !self.shared.volume_users(&name).is_empty() {
                continue;
            }
            if let Err(error) = self.shared.volumes.remove(&name) {
                tracing::warn!(volume = name, error = fault::chain(&error), "anonymous volume stays");
            } else {
                self.shared.tell("volume", "destroy", &name, [("driver".to_owned(), "local".to_owned())].into());
            }
        }
    }
}
