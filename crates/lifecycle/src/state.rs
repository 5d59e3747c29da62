//! The states of a container, each with what exists in it.

use serde::{Deserialize, Serialize};

use crate::health;
use crate::time::{UnixNanos, human};

/// How a container's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0-255; 128+n after signal n.
    pub code: i32,
    /// When.
    pub at: UnixNanos,
    /// The kernel's OOM killer struck.
    pub oom: bool,
}

/// The state of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum State {
    /// Made, never started.
    #[default]
    Created,
    /// On its way to running; `exit` tells how it ended before, if it ran before.
    Starting {
        /// How the last run ended.
        exit: Option<Exit>,
        /// The restart policy starts it, not a user.
        again: bool,
        /// Somebody asked for its end meanwhile.
        stopping: bool,
    },
    /// Its process runs.
    Running {
        /// The process in the daemon's pid namespace.
        pid: i32,
        /// Since when.
        since: UnixNanos,
        /// Somebody asked for its end: the restart policy must not start it again.
        stopping: bool,
    },
    /// Its processes are frozen.
    Paused {
        /// The process in the daemon's pid namespace.
        pid: i32,
        /// Since when it runs.
        since: UnixNanos,
        /// Somebody asked for its end.
        stopping: bool,
    },
    /// Has ended, and waits for the restart policy to start it again.
    Restarting {
        /// How the last run ended.
        exit: Exit,
    },
    /// Has ended.
    Exited {
        /// How.
        exit: Exit,
        /// A user ended it, so `unless-stopped` leaves it alone when the daemon starts.
        by_user: bool,
    },
    /// Is being taken apart.
    Removing,
    /// Could not be taken apart wholly; can only be removed again.
    Dead,
}

impl State {
    /// Docker's word for it: `State.Status` of inspect.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            State::Created
            | State::Starting {
                exit: None,
                again: false,
                ..
            } => "created",
            State::Starting { again: true, .. } | State::Restarting { .. } => "restarting",
            State::Running { .. } => "running",
            State::Paused { .. } => "paused",
            State::Exited { .. } | State::Starting { .. } => "exited",
            State::Removing => "removing",
            State::Dead => "dead",
        }
    }

    /// Whether its process exists, frozen or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// Its process in the daemon's pid namespace.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        match self {
            State::Running { pid, .. } | State::Paused { pid, .. } => Some(*pid),
            _ => None,
        }
    }

    /// How the last run ended.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        match self {
            State::Restarting { exit } | State::Exited { exit, .. } => Some(*exit),
            State::Starting { exit, .. } => *exit,
            _ => None,
        }
    }

    /// The line of `ps`: `Up 5 minutes (healthy)`, `Exited (0) 2 hours ago`.
    #[must_use]
    pub fn summary(&self, now: UnixNanos, health: Option<health::Status>) -> String {
        let ended = |word: &str, exit: &Exit| {
            format!("{word} ({}) {} ago", exit.code, human(now.since(exit.at)))
        };
        match self {
            State::Running { since, .. } => {
                let health = match health {
                    None | Some(health::Status::None) => String::new(),
                    Some(health::Status::Starting) => " (health: starting)".to_owned(),
                    Some(status) => format!(" ({})", status.name()),
                };
                format!("Up {}{health}", human(now.since(*since)))
            }
            State::Paused { since, .. } => format!("Up {} (Paused)", human(now.since(*since))),
            State::Restarting { exit }
            | State::Starting {
                exit: Some(exit),
                again: true,
                ..
            } => ended("Restarting", exit),
            State::Exited { exit, .. }
            | State::Starting {
                exit: Some(exit), ..
            } => ended("Exited", exit),
            State::Created | State::Starting { .. } => "Created".to_owned(),
            State::Removing => "Removal In Progress".to_owned(),
            State::Dead => "Dead".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ps_shows_docker_s_words() {
        let now = UnixNanos(600_000_000_000);
        let exit = Exit {
            code: 137,
            at: UnixNanos(0),
            oom: true,
        };
        let running = State::Running {
            pid: 1,
            since: UnixNanos(0),
            stopping: false,
        };
        let paused = State::Paused {
            pid: 1,
            since: UnixNanos(0),
            stopping: false,
        };
        let exited = State::Exited {
            exit,
            by_user: false,
        };
        let check = |state: &State, health, expect: &str| {
            assert_eq!(state.summary(now, health), expect);
        };
        check(&running, None, "Up 10 minutes");
        check(
            &running,
            Some(health::Status::Healthy),
            "Up 10 minutes (healthy)",
        );
        check(
            &running,
            Some(health::Status::Starting),
            "Up 10 minutes (health: starting)",
        );
        check(&paused, None, "Up 10 minutes (Paused)");
        check(&exited, None, "Exited (137) 10 minutes ago");
        check(
            &State::Restarting { exit },
            None,
            "Restarting (137) 10 minutes ago",
        );
        check(&State::Created, None, "Created");
        check(&State::Removing, None, "Removal In Progress");
    }
}
