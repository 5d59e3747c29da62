//! A container's volumes at its creation: made if need be, filled from the image when new.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::record::{MountKind, Record};
use crate::engine::Shared;
use crate::error::{Error, Result};

/// Makes or finds every volume of the record and fills in names and sources.
pub(super) fn make(shared: &Shared, record: &mut Record) -> Result<()> {
    for at in 0..record.mounts.len() {
        match record.mounts[at].kind {
            MountKind::Volume => one(shared, record, at)?,
            MountKind::Bind => super::create::require_source(&record.mounts[at])?,
            MountKind::Tmpfs => {}
        }
    }
    Ok(())
}

fn one(shared: &Shared, record: &mut Record, at: usize) -> Result<()> {
    let mount = record.mounts[at].clone();
    let asked = record
        .host
        .mounts
        .iter()
        .find(|m| m.target.trim_end_matches('/') == mount.destination);
    let options = asked.and_then(|m| m.volume_options.as_ref());
    let request = volume::Request {
        name: mount.volume.clone(),
        driver: options
            .and_then(|o| o.driver_config.as_ref())
            .map(|d| d.name.clone())
            .filter(|d| !d.is_empty())
            .unwrap_or_else(|| "local".into()),
        options: options
            .and_then(|o| o.driver_config.as_ref())
            .map(|d| d.options.clone())
            .unwrap_or_default(),
        labels: options.map_or_else(BTreeMap::new, |o| o.labels.clone()),
    };
    let made = shared.volumes.create(&request)?;
    let name = made.volume.name.as_str().to_owned();
    if made.is_new {
        shared.tell(
            "volume",
            "create",
            &name,
            [("driver".to_owned(), "local".to_owned())].into(),
        );
    }
    record.mounts[at].volume = Some(name.clone());
    record.mounts[at].source = made.volume.mountpoint.clone();
    // Held meanwhile, so that a volume with a device is mounted while it is filled and looked into.
    shared.volumes.acquire(&name, &record.id)?;
    let filled = fill(shared, record, at, &name);
    shared.volumes.release(&name, &record.id)?;
    filled
}

fn fill(shared: &Shared, record: &mut Record, at: usize, name: &str) -> Result<()> {
    let mount = record.mounts[at].clone();
    if mount.copy_up {
        copy_up(shared, record, name, &mount.destination)?;
    }
    if let Some(subpath) = &mount.subpath {
        // The path that the kernel gives for what was found: it has no symlinks, and must have none when it is bound.
        let found = shared.volumes.subpath(name, subpath)?;
        let link = format!("/proc/self/fd/{}", found.as_raw_fd());
        record.mounts[at].source =
            std::fs::read_link(&link).map_err(|e| Error::file("read", link, e))?;
    }
    Ok(())
}

/// A volume that is empty takes over what the image has at the target.
fn copy_up(shared: &Shared, record: &Record, name: &str, destination: &str) -> Result<()> {
    if record.chain.is_none() {
        return Ok(());
    }
    let root = shared
        .snapshots
        .mount_view(snapshot::View::WritableReadOnly(&record.id))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match sys::open::openat2(&root, destination, flags, Mode::empty(), resolve) {
        Ok(source) => {
            shared.volumes.copy_up(name, source.as_fd())?;
            Ok(())
        }
        // The image has nothing there, or not a folder: the volume stays empty.
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(()),
        Err(e) => Err(Error::file("open the image's", destination, e.into())),
    }
}

/// Removes the anonymous volumes that a failed creation has made.
pub(super) fn unmake(shared: &Shared, record: &Record) {
    for mount in record.mounts.iter().filter(|m| m.anonymous) {
        if let Some(name) = &mount.volume
            && let Err(error) = shared.volumes.remove(name)
        {
            tracing::warn!(
                volume = name,
                error = fault::chain(&error),
                "anonymous volume stays"
            );
        }
    }
}
