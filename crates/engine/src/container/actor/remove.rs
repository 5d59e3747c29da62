//! Removing: the writable layer, the folder, the name. Whatever a crash interrupts, the next start finishes.

use lifecycle::Event;

use super::{Actor, AtExit, answer};
use crate::blocking;
use crate::container::command::Reply;
use crate::container::request::{RemoveOptions, WaitCondition};
use crate::container::{MountKind, prepare};
use crate::error::{Error, Result};

impl Actor {
    pub(super) async fn remove(&mut self, options: RemoveOptions, reply: Reply<()>) {
        if options.link {
            let text = "Conflict, cannot remove the default link name of the container".to_owned();
            return answer(reply, Err(Error::Invalid(text)));
        }
        // A start in progress ends in milliseconds, one way or the other: only then is there something to kill.
        if options.force && matches!(self.record.state, lifecycle::State::Starting { .. }) {
            return self.removals.push((options, reply));
        }
        self.with_volumes |= options.volumes;
        match self.apply_removal(options.force).await {
            Ok(()) if self.shim.is_some() => {
                self.at_exit.push(AtExit::Remove {
                    volumes: options.volumes,
                    reply,
                });
            }
            result => answer(reply, result),
        }
    }

    /// The start that forced removals waited for is over.
    pub(super) async fn remove_after_start(&mut self) {
        for (options, reply) in std::mem::take(&mut self.removals) {
            self.remove(options, reply).await;
        }
    }

    /// `--rm`: anonymous volumes go too, as in Docker.
    pub(super) async fn remove_by_itself(&mut self) {
        self.with_volumes = true;
        if let Err(error) = self.apply_removal(true).await {
            tracing::error!(container = %self.record.id, error = fault::chain(&error), "not removed");
        }
    }

    pub(super) async fn apply_removal(&mut self, force: bool) -> Result<()> {
        let result = self.apply(Event::Remove { force }).await;
        if let Err(error) = &result
            && !matches!(error, Error::Refused(_))
        {
            self.record.state = lifecycle::State::Removing;
            let _ = self.apply(Event::RemoveFailed).await;
            let text = fault::chain(error);
            self.answer_waits(&[WaitCondition::Removed], Some(&text));
        }
        result
    }

    /// Removes everything of a container that does not run.
    pub(super) async fn take_apart(&mut self) -> Result<()> {
        let (shared, record) = (self.shared.clone(), self.record.clone());
        blocking::run("container removal", move || {
            prepare::remove(&shared, &record)
        })
        .await?;
        self.shared
            .containers
            .forget(&self.record.id, &self.record.name);
        for id in self.execs.keys() {
            self.shared.execs.remove(id);
        }
        if self.with_volumes {
            self.remove_anonymous_volumes();
        }
        self.answer_waits(
            &[
                WaitCondition::Removed,
                WaitCondition::NotRunning,
                WaitCondition::NextExit,
            ],
            None,
        );
        self.tell("destroy", []);
        self.shared.sweep_soon();
        self.gone = true;
        Ok(())
    }

    fn remove_anonymous_volumes(&self) {
        let anonymous =
            |m: &&crate::container::MountRecord| m.kind == MountKind::Volume && m.anonymous;
        for name in self
            .record
            .mounts
            .iter()
            .filter(anonymous)
            .filter_map(|m| m.volume.as_ref())
        {
            if !self.shared.volume_users(name).is_empty() {
                continue;
            }
            match self.shared.volumes.remove(name) {
                Ok(()) => {
                    let driver = ("driver".to_owned(), "local".to_owned());
                    self.shared.tell("volume", "destroy", name, [driver].into());
                }
                Err(error) => {
                    tracing::warn!(
                        volume = name,
                        error = fault::chain(&error),
                        "anonymous volume stays"
                    );
                }
            }
        }
    }
}
