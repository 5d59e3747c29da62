//! Taking a container away: its processes, its cgroup, its folder; then the last hooks.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use oci::runtime::Status;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::Error;
use crate::globals::Globals;
use crate::record::Container;
use crate::signals;

/// A killed process that waits for a disk may take its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kills the container's first process and waits for its end.
pub(crate) fn kill(container: &Container) -> Result<(), Error> {
    let Some(init) = container.init() else {
        return Ok(());
    };
    // It may end by itself meanwhile.
    let _ = sys::process::send_signal(init.as_fd(), signals::KILL);
    if container.is_frozen()
        && let Some(group) = container.group()?
    {
        group.thaw().map_err(|source| Error::Cgroup { source })?;
    }
    await_end(&init)
}

fn await_end(init: &OwnedFd) -> Result<(), Error> {
    let patience = Timespec {
        tv_sec: PATIENCE.as_secs() as i64,
        tv_nsec: 0,
    };
    let ended = rustix::io::retry_on_intr(|| {
        poll(&mut [PollFd::new(init, PollFlags::IN)], Some(&patience))
    });
    match ended {
        Ok(1) => Ok(()),
        _ => Err(Error::Lingers),
    }
}

/// Removes what is left of a container whose first process has ended.
pub(crate) fn remove(globals: &Globals, container: &Container) -> Result<(), Error> {
    let record = &container.record;
    // The usual case: all of its processes have ended with its first one, and the group is empty.
    let gone = record.owns_pids
        && record.systemd_unit.is_none()
        && !record.cgroup_folders.is_empty()
        && cgroup::remove_folders(&record.cgroup_folders);
    if !gone {
        remove_group(container)?;
    }
    cgroup::resctrl::remove(&record.own_classes).map_err(|source| Error::Cgroup { source })?;
    if let Some(root) = &record.shared_root
        && let Err(source) = root.detach()
    {
        return Err(Error::Detach {
            path: record.rootfs.clone(),
            source,
        });
    }
    container.forget()?;
    if !record.poststop.is_empty() {
        let state = container.state(Status::Stopped);
        // Spec: "Lifecycle": a failed poststop hook is told of, and nothing else changes.
        if let Err(error) = runtime::run_hooks("poststop", &record.poststop, &state) {
            globals.warn(&fault::chain(&error));
        }
    }
    Ok(())
}

/// Ends what may be left in the container's cgroup, and removes it.
fn remove_group(container: &Container) -> Result<(), Error> {
    let group = container.group()?;
    if let Some(group) = &group {
        // A pid namespace ends with its first process; without one the others live on.
        if !container.record.owns_pids {
            group
                .kill_all()
                .map_err(|source| Error::Cgroup { source })?;
        }
    }
    if let Some(unit) = &container.record.systemd_unit
        && cgroup::systemd::is_running()
    {
        cgroup::systemd::stop(unit).map_err(|source| Error::Cgroup { source })?;
    }
    if let Some(group) = group {
        let removed = match group.remove() {
            // Somebody has been put into the group from outside.
            Err(cgroup::Error::Remove { .. }) => group.kill_all().and_then(|()| group.remove()),
            other => other,
        };
        removed.map_err(|source| Error::Cgroup { source })?;
    }
    Ok(())
}
