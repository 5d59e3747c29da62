//! Refusals of what a state does not allow, in Docker's words.

use crate::state::State;

/// Why a state does not allow an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It runs already. Not a fault: HTTP answers 304.
    AlreadyStarted,
    /// It does not run anyway. Not a fault: HTTP answers 304.
    AlreadyStopped,
    /// It must run for that.
    NotRunning,
    /// It must run for a signal.
    NotRunningToKill,
    /// It is paused already.
    AlreadyPaused,
    /// It is not paused.
    NotPaused,
    /// It waits for its restart.
    Restarting,
    /// It is paused: start is no way out of that.
    StartOfPaused,
    /// It is paused: nothing can be run in it.
    ExecInPaused,
    /// It is paused: nobody can talk to it.
    AttachToPaused,
    /// It is being removed.
    StartOfRemoved,
    /// It is being removed already.
    RemovalInProgress,
    /// It is being removed, and cannot be changed.
    UpdateOfRemoved,
    /// It is in a state that removal without force does not end.
    RemovalOf(&'static str),
    /// An event that cannot happen in this state; the sender has lost track.
    OutOfOrder,
}

impl Refused {
    /// The refusal of this container, with its full id and its name.
    #[must_use]
    pub fn of(self, id: &str, name: &str) -> Refusal {
        Refusal {
            refused: self,
            id: id.to_owned(),
            name: name.trim_start_matches('/').to_owned(),
        }
    }

    /// Nothing had to be done: what was asked for is so already.
    #[must_use]
    pub fn is_no_op(self) -> bool {
        matches!(self, Refused::AlreadyStarted | Refused::AlreadyStopped)
    }

    pub(crate) fn removal_of(state: &State) -> Refused {
        Refused::RemovalOf(state.name())
    }
}

/// A refusal, with the container that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub refused: Refused,
    /// The container's full id.
    pub id: String,
    /// The container's name, without slash.
    pub name: String,
}

impl Refusal {
    /// What this error means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self.refused {
            // Docker's answer to unpausing what is not paused is 500; its clients expect it.
            Refused::NotPaused | Refused::OutOfOrder => fault::Kind::Internal,
            _ => fault::Kind::Conflict,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (id, name) = (&self.id, &self.name);
        match self.refused {
            Refused::AlreadyStarted => write!(f, "container is already started"),
            Refused::AlreadyStopped => write!(f, "container is already stopped"),
            Refused::NotRunning => write!(f, "container {id} is not running"),
            Refused::NotRunningToKill => {
                write!(
                    f,
                    "cannot kill container: {name}: container {id} is not running"
                )
            }
            Refused::AlreadyPaused => write!(f, "Container {id} is already paused"),
            Refused::NotPaused => write!(f, "Container {id} is not paused"),
            Refused::Restarting => write!(
                f,
                "Container {id} is restarting, wait until the container is running"
            ),
            Refused::StartOfPaused => {
                write!(f, "cannot start a paused container, try unpause instead")
            }
            Refused::ExecInPaused => write!(
                f,
                "Container {name} is paused, unpause the container before exec"
            ),
            Refused::AttachToPaused => write!(
                f,
                "container {id} is paused, unpause the container before attach"
            ),
            Refused::StartOfRemoved => {
                write!(f, "container is marked for removal and cannot be started")
            }
            Refused::RemovalInProgress => {
                write!(f, "removal of container {name} is already in progress")
            }
            Refused::UpdateOfRemoved => write!(
                f,
                "cannot update container {id}: container is marked for removal and cannot be \"update\""
            ),
            Refused::RemovalOf("paused") => write!(
                f,
                "cannot remove container \"/{name}\": container is paused and must be unpaused first"
            ),
            Refused::RemovalOf(state) => write!(
                f,
                "cannot remove container \"/{name}\": container is {state}: stop the container before removing or force \
                 remove"
            ),
            Refused::OutOfOrder => {
                write!(f, "container {id} is not in the state for that event")
            }
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_docker_s_words() {
        let check = |refused: Refused, expect: &str| {
            assert_eq!(refused.of("ab12", "/web").to_string(), expect);
        };
        check(
            Refused::RemovalOf("running"),
            "cannot remove container \"/web\": container is running: stop the container before removing or force remove",
        );
        check(
            Refused::NotRunningToKill,
            "cannot kill container: web: container ab12 is not running",
        );
        check(Refused::NotRunning, "container ab12 is not running");
    }
}
