//! Performing what the lifecycle decides, in its order.

use lifecycle::{Announcement, Effect, Event};
use tokio::time::Instant;

use super::Actor;
use crate::blocking;
use crate::error::Result;

impl Actor {
    /// Takes one step of the lifecycle and performs its effects.
    ///
    /// # Errors
    /// The refusal, or the effect that the kernel or the disk refused; the state is as before then.
    pub(super) async fn apply(&mut self, event: Event) -> Result<()> {
        let refuse = |refused: lifecycle::Refused| refused.of(&self.record.id, &self.record.name);
        let (state, effects) = lifecycle::next(&self.record.state, event).map_err(refuse)?;
        let before = std::mem::replace(&mut self.record.state, state);
        for effect in effects {
            if let Err(error) = self.perform(effect).await {
                self.record.state = before;
                self.persist();
                return Err(error);
            }
        }
        Ok(())
    }

    async fn perform(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::Persist => self.persist_step(),
            Effect::Launch => {
                self.publish();
                // A failure is an event of its own, which must not come inside this one.
                self.launch_error = self.launch().await.err();
            }
            Effect::Stop => self.send_stop().await,
            Effect::Signal(number) => self.signal(number, false).await,
            Effect::KillAndAwaitExit => self.kill_all().await,
            Effect::Freeze => self.freeze(true).await?,
            Effect::Thaw => self.freeze(false).await?,
            Effect::ScheduleRestart(pause) => self.restart_at = Some(Instant::now() + pause),
            Effect::CancelRestart => self.restart_at = None,
            Effect::StartHealth => self.health.begin(&self.record),
            Effect::ResumeHealth => self.health.resume(),
            Effect::StopHealth => self.health.end(),
            Effect::ResetBackoff => self.record.backoff = lifecycle::restart::Backoff::default(),
            Effect::TakeApart => self.take_apart().await?,
            Effect::Announce(announcement) => self.announce(announcement),
        }
        Ok(())
    }

    /// For a container that goes with its end, launch.json and exit.json say all that a crash leaves to be known.
    fn persist_step(&self) {
        if self.record.is_ephemeral() && self.shim.is_some() {
            self.publish();
        } else {
            self.persist();
        }
    }

    fn announce(&self, announcement: Announcement) {
        let name = announcement.name();
        match announcement {
            Announcement::Kill(number) => self.tell(name, [("signal", number.to_string())]),
            Announcement::Die(code) => {
                let ran = (self.record.finished_unix_nanos - self.record.started_unix_nanos).max(0);
                let seconds = (ran / 1_000_000_000).to_string();
                self.tell(
                    name,
                    [("exitCode", code.to_string()), ("execDuration", seconds)],
                );
            }
            Announcement::Stop if !self.stop.is_asked => {}
            Announcement::Oom if self.oom_told => {}
            _ => self.tell(name, []),
        }
    }

    async fn freeze(&self, on: bool) -> Result<()> {
        let cgroup = self.shared.cgroup_of(&self.record);
        blocking::run("container pause", move || {
            let group = cgroup::Group::open(&cgroup)?;
            let done = if on { group.freeze() } else { group.thaw() };
            Ok(done?)
        })
        .await
    }
}
