//! The pids controller of both versions: how many tasks.

use crate::dir::Dir;
use crate::error::Result;
use crate::hierarchy::Controller;

/// Sets the limit; 0 or less is no limit.
pub(crate) fn apply(dir: &Dir, limit: i64) -> Result<()> {
    if limit > 0 {
        dir.set(Controller::Pids, "pids.max", limit)
    } else {
        dir.set(Controller::Pids, "pids.max", "max")
    }
}
