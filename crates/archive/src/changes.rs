//! What an overlay upper folder changed, as `docker diff` says it.
//!
//! Docker compares two whole trees; the upper folder already names every path that can differ, so only those are
//! looked at, by the same rules: a file that was copied up but is as it was is no change, a folder is changed when
//! its owner or mode is, or when anything below it is.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::error::{Error, Name, Result};
use crate::listing::{self, MAX_DEPTH, is_whiteout};

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// `C`: there before, and other now; also a directory with a change below it. Docker's API says 0.
    Modified,
    /// `A`: new. Docker's API says 1.
    Added,
    /// `D`: gone. Docker's API says 2.
    Deleted,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Absolute path inside the root.
    pub path: Vec<u8>,
}

/// Compares the upper folder of an overlay with the view of all layers below it (`None`: nothing below).
///
/// Parents come before what is in them, names in order.
///
/// # Errors
/// The first folder or file that cannot be looked at.
pub fn changes(upper: BorrowedFd<'_>, lower: Option<BorrowedFd<'_>>) -> Result<Vec<Change>> {
    let mut found = Vec::new();
    compare(upper, lower, false, b"", 0, &mut found)?;
    Ok(found)
}

fn compare(
    upper: BorrowedFd<'_>,
    lower: Option<BorrowedFd<'_>>,
    is_opaque: bool,
    path: &[u8],
    depth: usize,
    found: &mut Vec<Change>,
) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(refused(path, "nested too deep", Errno::NAMETOOLONG));
    }
    let mut names = listing::names(upper).map_err(|e| refused(path, "list", e))?;
    if let (true, Some(lower)) = (is_opaque, lower) {
        names.extend(listing::names(lower).map_err(|e| refused(path, "list", e))?);
        names.sort_unstable();
        names.dedup();
    }
    for name in names {
        let path = [path, b"/", &name].concat();
        let now = stat(upper, &name, &path)?.filter(|stat| !is_whiteout(stat));
        let before = match lower {
            Some(lower) => stat(lower, &name, &path)?,
            None => None,
        };
        let mut note = |kind| {
            let path = path.clone();
            found.push(Change { kind, path });
        };
        let Some(now) = now else {
            if before.is_some() {
                note(ChangeKind::Deleted);
            }
            continue;
        };
        let mut is_noted = true;
        match &before {
            None => note(ChangeKind::Added),
            Some(before) if differs(&now, before) => note(ChangeKind::Modified),
            Some(_) if is_dir(&now) => is_noted = false,
            Some(_) => {
                if capability_differs(upper, lower, &name) {
                    note(ChangeKind::Modified);
                }
            }
        }
        if is_dir(&now) {
            let place = found.len();
            let lower = lower.filter(|_| before.as_ref().is_some_and(is_dir));
            descend(upper, lower, &name, &path, depth, found)?;
            if !is_noted && found.len() > place {
                let kind = ChangeKind::Modified;
                found.insert(place, Change { kind, path });
            }
        }
    }
    Ok(())
}

fn descend(
    upper: BorrowedFd<'_>,
    lower: Option<BorrowedFd<'_>>,
    name: &[u8],
    path: &[u8],
    depth: usize,
    found: &mut Vec<Change>,
) -> Result<()> {
    let open = |dir| listing::open_folder(dir, name).map_err(|e| refused(path, "open", e));
    let upper = open(upper)?;
    let lower = lower.map(open).transpose()?;
    // Only the trusted mark: a container may set user.overlay.* at will, and an ordinary mount ignores it.
    let is_opaque = listing::is_opaque(upper.as_fd(), false)
        .map_err(|e| refused(path, "read attributes", e))?;
    let lower = lower.as_ref().map(AsFd::as_fd);
    compare(upper.as_fd(), lower, is_opaque, path, depth + 1, found)
}

fn stat(dir: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(refused(path, "stat", errno)),
    }
}

fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_dir()
}

/// Docker's rule: mode, owner and device; for all but folders size and time as well.
fn differs(now: &Stat, before: &Stat) -> bool {
    let identity = |s: &Stat| (s.st_mode, s.st_uid, s.st_gid, s.st_rdev);
    if identity(now) != identity(before) {
        return true;
    }
    !is_dir(now) && (now.st_size != before.st_size || !is_same_time(now, before))
}

/// A time without nanoseconds went through an archive that cut them off.
fn is_same_time(a: &Stat, b: &Stat) -> bool {
    a.st_mtime == b.st_mtime
        && (a.st_mtime_nsec == b.st_mtime_nsec || a.st_mtime_nsec == 0 || b.st_mtime_nsec == 0)
}

fn capability_differs(upper: BorrowedFd<'_>, lower: Option<BorrowedFd<'_>>, name: &[u8]) -> bool {
    let capability = |dir| {
        let all = listing::xattrs_at(dir, name).unwrap_or_default();
        all.into_iter()
            .find(|(key, _)| key == b"security.capability")
    };
    lower.is_some_and(|lower| capability(upper) != capability(lower))
}

fn refused(path: &[u8], action: &'static str, errno: Errno) -> Error {
    Error::Compare {
        path: Name::new(path),
        action,
        source: errno.into(),
    }
}
