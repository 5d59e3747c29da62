//! Stopping a whole group and letting it go on.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::group::{Group, Place};
use crate::hierarchy::Controller;
use crate::text;

/// A task in an uninterruptible sleep (a slow disk) delays freezing; after this we give up.
const PATIENCE: Duration = Duration::from_secs(10);

impl Group {
    /// Stops every process of the group and returns when all have stopped. When they do not within 10 s, the group is
    /// thawed again.
    ///
    /// # Errors
    /// `NotFrozen` when some process did not stop in time.
    pub fn freeze(&self) -> Result<()> {
        let place = self.require(Controller::Freezer, "the freezer state")?;
        let outcome = match place {
            Place::V1(dir) => freeze_v1(dir),
            Place::V2(dir) => {
                dir.set(Controller::Freezer, "cgroup.freeze", 1)?;
                await_frozen(dir, || is_frozen_v2(dir), || Ok(()))
            }
        };
        if outcome.is_err() {
            self.thaw()?;
        }
        outcome
    }

    /// Lets the group go on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn thaw(&self) -> Result<()> {
        match self.require(Controller::Freezer, "the freezer state")? {
            Place::V1(dir) => dir.set(Controller::Freezer, "freezer.state", "THAWED"),
            Place::V2(dir) => dir.set(Controller::Freezer, "cgroup.freeze", 0),
        }
    }

    /// Whether the group is stopped (on v1: also when it is still stopping).
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn is_frozen(&self) -> Result<bool> {
        match self.place(Controller::Freezer) {
            Some(Place::V1(dir)) => {
                let state = dir.get(Controller::Freezer, "freezer.state")?;
                Ok(state.trim() != "THAWED")
            }
            Some(Place::V2(dir)) => is_frozen_v2(dir),
            None => Ok(false),
        }
    }
}

/// A task that forks while the freezer walks can keep the state at FREEZING for ever, so it is written again, and now
/// and then the group may run for a moment, so that a stuck task gets out of what cannot be frozen.
fn freeze_v1(dir: &Dir) -> Result<()> {
    let write = |state: &str| dir.set(Controller::Freezer, "freezer.state", state);
    let mut round = 0u32;
    write("FROZEN")?;
    await_frozen(
        dir,
        || Ok(dir.get(Controller::Freezer, "freezer.state")?.trim() == "FROZEN"),
        || {
            round += 1;
            if round.is_multiple_of(25) {
                write("THAWED")?;
                sleep(Duration::from_millis(1));
            }
            write("FROZEN")
        },
    )
}

fn is_frozen_v2(dir: &Dir) -> Result<bool> {
    let events = dir.get(Controller::Freezer, "cgroup.events")?;
    Ok(text::value(&events, "frozen") == Some(1))
}

fn await_frozen(
    dir: &Dir,
    is_frozen: impl Fn() -> Result<bool>,
    mut again: impl FnMut() -> Result<()>,
) -> Result<()> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(50);
    while !is_frozen()? {
        if start.elapsed() > PATIENCE {
            return Err(Error::NotFrozen {
                group: dir.group().to_owned(),
                waited: PATIENCE,
            });
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
        again()?;
    }
    Ok(())
}
