//! Entering the groups of cgroup v1.

use std::os::fd::OwnedFd;

use crate::failure::{Step, Tried};

/// Moves this one thread into every group. `tasks` is written rather than `cgroup.procs`, whose lock is global and slow.
pub(super) fn enter(tasks: &[OwnedFd]) -> Step {
    for file in tasks {
        rustix::io::write(file, b"0").tried(|| "enter a cgroup".to_owned())?;
    }
    Ok(())
}
