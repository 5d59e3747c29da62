//! A container's root as a folder to look into: the live one of a running container, a detached mount of a stopped one.

use std::os::fd::OwnedFd;

use super::accounts;
use super::record::Record;
use crate::engine::Shared;
use crate::error::Result;

/// Opens the root; paths in it are resolved with `archive::in_root` only.
///
/// # Errors
/// When it cannot be mounted, or the container has ended in this moment.
pub(super) fn open(shared: &Shared, record: &Record, writable: bool) -> Result<OwnedFd> {
    if let Some(pid) = record.state.pid() {
        return accounts::root_of(pid);
    }
    let view = if writable {
        snapshot::View::Writable(&record.id)
    } else {
        snapshot::View::WritableReadOnly(&record.id)
    };
    Ok(shared.snapshots.mount_view(view)?)
}

/// How far uids and gids below [`open`] are above the container's: only a running container is seen through its namespace.
pub(super) fn shift(record: &Record) -> (u32, u32) {
    match record.user_namespace {
        Some(ids) if record.state.pid().is_some() => (ids.uid, ids.gid),
        _ => (0, 0),
    }
}
