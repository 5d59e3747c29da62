//! Filling a new tmpfs with what the image has at its place (`tmpcopyup`).

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, chmodat, chownat, fchmod, fchown, mkdirat, mknodat,
    openat, readlinkat, statat, symlinkat,
};
use rustix::thread::{Gid, Uid};

use crate::failure::{Failure, Step, Tried};

/// Deeper trees than this are not an image's, but somebody's trap.
const MOST_DEPTH: usize = 128;

/// Copies all that is in `from`, which may be a path-only descriptor, into `to`, and takes over its mode and owner.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd) -> Step {
    let from = folder(from, c".")?;
    let to = folder(to, c".")?;
    let stat = rustix::fs::fstat(&from).tried(|| "look at the mount point".to_owned())?;
    fchown(
        &to,
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    )
    .tried(|| "copy up the owner".to_owned())?;
    fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o7777))
        .tried(|| "copy up the mode".to_owned())?;
    contents(&from, &to, MOST_DEPTH)
}

fn folder(at: impl AsFd, name: &std::ffi::CStr) -> Step<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty()).tried(|| format!("copy up: open {name:?}"))
}

fn contents(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Step {
    if depth == 0 {
        return Err(Failure::new("copy up: the tree is too deep"));
    }
    let entries = Dir::read_from(from).tried(|| "copy up: list".to_owned())?;
    for entry in entries {
        let entry = entry.tried(|| "copy up: list".to_owned())?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            one(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn one(from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr, depth: usize) -> Step {
    let what = || format!("copy up {name:?}");
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW).tried(what)?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    let kind = FileType::from_raw_mode(stat.st_mode);
    match kind {
        FileType::Directory => {
            mkdirat(to, name, Mode::RWXU).tried(what)?;
            contents(&folder(from, name)?, &folder(to, name)?, depth - 1)?;
        }
        FileType::Symlink => {
            let target = readlinkat(from, name, Vec::new()).tried(what)?;
            symlinkat(&target, to, name).tried(what)?;
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = openat(from, name, flags, Mode::empty()).tried(what)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let target = openat(to, name, flags, Mode::RUSR | Mode::WUSR).tried(what)?;
            while rustix::fs::sendfile(&target, &source, None, 1 << 20).tried(what)? > 0 {}
        }
        _ => mknodat(to, name, kind, mode, stat.st_rdev).tried(what)?,
    }
    let owner = (
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    );
    chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW).tried(what)?;
    if kind != FileType::Symlink {
        // After the owner, whose change takes set-user-id bits away.
        chmodat(to, name, mode, AtFlags::empty()).tried(what)?;
    }
    Ok(())
}
