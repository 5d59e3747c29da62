//! An overlay for a container with a user namespace: nothing on disk changes owner, the layers are seen through its ids.
//!
//! Overlay itself cannot be an idmapped mount, its layers can. They are detached mounts here, handed over by descriptor:
//! overlay takes descriptors since Linux 6.13, and detached mounts as layers since 6.15.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsOpenFlags, OpenTreeFlags, fsconfig_set_fd, fsconfig_set_string, fsopen, open_tree,
};
use sys::mount::{Change, Depth, set_attributes};

use super::{failed, finish};
use crate::errno::Refusal;
use crate::error::Error;

/// Makes the overlay; `user` is the namespace whose maps shift the layers' ids.
pub(super) fn overlay(
    lower: &[std::path::PathBuf],
    upper: &Path,
    work: &Path,
    user: &OwnedFd,
) -> Result<OwnedFd, Error> {
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(failed("open an overlay".to_owned()))?;
    let set = |name: &str, value: &str| {
        fsconfig_set_string(&fs, name, value).map_err(failed(format!("overlay {name}={value}")))
    };
    set("source", "overlay")?;
    let give = |name: &str, folder: &OwnedFd| {
        fsconfig_set_fd(&fs, name, folder.as_fd()).map_err(failed(format!(
            "overlay {name}: idmapped layers need Linux 6.15 or newer"
        )))
    };
    // A detached mount is dissolved with its descriptor: they are held until the overlay is made.
    let mut layers = Vec::with_capacity(lower.len());
    for layer in lower {
        let layer = shifted(layer, user)?;
        give("lowerdir+", &layer)?;
        layers.push(layer);
    }
    // Upper and work must be of one mount: that of the folder that holds both.
    let (Some(both), Some(upper_name), Some(work_name)) =
        (upper.parent(), upper.file_name(), work.file_name())
    else {
        return Err(Error::invalid("root", "the writable layer has no folder"));
    };
    let both = shifted(both, user)?;
    for (option, name) in [("upperdir", upper_name), ("workdir", work_name)] {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(&both, name, flags, Mode::empty())
            .map_err(failed(format!("open {}", name.display())))?;
        give(option, &folder)?;
    }
    set("index", "off")?;
    finish(&fs, upper)
}

/// A detached copy of the mount at `folder` whose ids are shifted.
fn shifted(folder: &Path, user: &OwnedFd) -> Result<OwnedFd, Error> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree =
        open_tree(CWD, folder, flags).map_err(failed(format!("open {}", folder.display())))?;
    let change = Change {
        idmap: Some(user.as_fd()),
        ..Change::default()
    };
    set_attributes(&tree, Depth::One, &change).map_err(|error| {
        let what = format!("shift the ids of {}", folder.display());
        failed(what)(Refusal::from(error).0)
    })?;
    Ok(tree)
}
