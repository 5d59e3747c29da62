//! Taking up a container that a former daemon has left.

use std::time::Duration;

use lifecycle::State;
use tokio::time::Instant;

use super::Actor;

impl Actor {
    /// It runs: watch it as if we had started it.
    pub(in crate::container) fn resume(&mut self) {
        self.health.begin(&self.record);
        self.save();
    }

    /// It does not run: the restart policy may want that it does, `--rm` that it goes.
    pub(in crate::container) fn after_start_up(&mut self) {
        self.publish_and_save();
        if self.record.host.auto_remove && !matches!(self.state, State::Created) {
            self.remove_at_once = true;
            self.restart_at = Some(Instant::now());
            return;
        }
        let wanted = match self.record.host.restart_policy.name.as_str() {
            "always" => self.record.finished_unix_nanos != 0,
            "unless-stopped" => self.record.finished_unix_nanos != 0 && !self.record.stopped_by_user,
            "on-failure" => self.decide(Duration::ZERO).is_some() && self.record.finished_unix_nanos != 0,
            _ => false,
        };
        if wanted {
            self.restart_at = Some(Instant::now());
        }
    }
}
