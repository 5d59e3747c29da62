//! Paths that the container may not read, or not write.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string,
    fsmount, fsopen, open_tree,
};
use sys::mount::{Attr, Change, Depth, set_attributes};

use super::mounts::attach;
use crate::failure::{Failure, Step, Tried};
use crate::inroot::{Root, kind};

/// Hides files behind `/dev/null` and folders behind an empty tmpfs; what is not there needs no hiding.
pub(super) fn hide(root: &Root, paths: &[String]) -> Step {
    if paths.is_empty() {
        return Ok(());
    }
    let null = host_null()?;
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let Some((target, found)) = find(root, path)? else {
            continue;
        };
        if found != FileType::Directory {
            attach(copy(&null, Depth::One)?, target)?;
        } else if let Some(first) = &empty {
            attach(copy(first, Depth::One)?, target)?;
        } else {
            let first = empty_folder()?;
            attach(&first, target)?;
            empty = Some(first);
        }
    }
    Ok(())
}

/// Makes paths, with all that is mounted below, read-only.
pub(super) fn make_readonly(root: &Root, paths: &[String]) -> Step {
    let readonly = Change {
        set: Attr::RDONLY,
        ..Change::default()
    };
    for path in paths {
        let Some((target, _)) = find(root, path)? else {
            continue;
        };
        let tree = copy(&target, Depth::Recursive)?;
        set_attributes(&tree, Depth::Recursive, &readonly)
            .tried(|| format!("make {path} read-only"))?;
        attach(&tree, &target)?;
    }
    Ok(())
}

/// What is at a path. Its last part is not followed: a link that points elsewhere would leave the path itself open.
fn find(root: &Root, path: &str) -> Step<Option<(OwnedFd, FileType)>> {
    let target = match root.open(path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(target) => target,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(errno).tried(|| format!("open {path}")),
    };
    match kind(&target).tried(|| format!("look at {path}"))? {
        FileType::Symlink => Err(Failure::new(format!("{path} is a symbolic link"))),
        other => Ok(Some((target, other))),
    }
}

/// The host's `/dev/null`: the container's own could be anything (CVE-2025-31133).
fn host_null() -> Step<OwnedFd> {
    let null = openat(
        CWD,
        c"/dev/null",
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .tried(|| "open /dev/null".to_owned())?;
    let stat = rustix::fs::fstat(&null).tried(|| "look at /dev/null".to_owned())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
        || stat.st_rdev != makedev(1, 3)
    {
        return Err(Failure::new("the host's /dev/null is not the null device"));
    }
    Ok(null)
}

fn empty_folder() -> Step<OwnedFd> {
    let what = || "make an empty tmpfs".to_owned();
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).tried(what)?;
    fsconfig_set_string(&fs, "source", "tmpfs").tried(what)?;
    fsconfig_set_string(&fs, "size", "0").tried(what)?;
    fsconfig_create(&fs).tried(what)?;
    fsmount(
        &fs,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    )
    .tried(what)
}

/// A detached copy of what is mounted there.
fn copy(of: &OwnedFd, depth: Depth) -> Step<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if depth == Depth::Recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(of, c"", flags).tried(|| "copy a mount".to_owned())
}
