//! A thin layer over an image that holds only the places where a container's mounts go (`/proc`, `/etc/hosts`…).
//!
//! Made once per image, it spares each start the making of them, lets a read-only root have them, and keeps them out
//! of what the container itself changed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timestamps, Uid};
use rustix::io::{self, Errno};

use crate::error::{Error, Result};
use crate::store::{State, Store};
use crate::view::View;

/// Marks the chain ids of these layers.
const PREFIX: &str = "mountpoints:";
/// Their chain id where the image has no layers.
const ON_NOTHING: &str = "mountpoints:none";

/// A place that must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mountpoint<'a> {
    /// A folder, mode 0755; by its path inside the root.
    Dir(&'a str),
    /// An empty file, mode 0644.
    File(&'a str),
    /// A symlink to the second, such as `/etc/mtab` to `/proc/mounts`.
    Symlink(&'a str, &'a str),
}

impl Store {
    /// The chain id of a layer on `chain` that has all of `points`, to be the parent of writable layers; made at the
    /// first call. What the image has by those names stays as it is, whatever its kind.
    ///
    /// # Errors
    /// No such layer, the mount's, or the disk's.
    pub fn with_mountpoints(
        &self,
        chain: Option<&str>,
        points: &[Mountpoint<'_>],
    ) -> Result<String> {
        let name = chain.map_or_else(|| ON_NOTHING.to_owned(), |chain| format!("{PREFIX}{chain}"));
        if self.has_layer(&name) {
            return Ok(name);
        }
        let draft = self.begin_layer(chain)?;
        let below = match chain {
            Some(chain) => self.mount_view(View::Layer(chain))?,
            None => self.place().open_dir(crate::store::EMPTY)?,
        };
        for point in points {
            let (Mountpoint::Dir(path) | Mountpoint::File(path) | Mountpoint::Symlink(path, _)) =
                point;
            make(below.as_fd(), draft.dir(), point).map_err(|errno| Error::Mount {
                name: name.clone(),
                step: "make a mount point",
                source: std::io::Error::new(
                    std::io::Error::from(errno).kind(),
                    format!("{path}: {errno}"),
                ),
            })?;
        }
        take_after(below.as_fd(), draft.dir()).map_err(|e| self.place().failed("stat", ".", e))?;
        draft.commit(&name, 0)?;
        Ok(name)
    }

    /// The image's chain id under a writable layer, without the layer of mount points.
    ///
    /// # Errors
    /// No such writable layer.
    pub fn image_chain(&self, key: &str) -> Result<Option<String>> {
        let parent = self.parent_of(key)?;
        Ok(match parent.as_deref() {
            Some(ON_NOTHING) => None,
            Some(name) => Some(name.strip_prefix(PREFIX).unwrap_or(name).to_owned()),
            None => None,
        })
    }
}

/// The image's chain id if `name` is that of a layer of mount points.
pub(crate) fn image_of(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)
}

/// Layers of mount points on `chain` that nobody stands on.
pub(crate) fn ready_on(state: &State, chain: &str) -> Vec<String> {
    let name = format!("{PREFIX}{chain}");
    let is_free = state.layers.contains_key(&name) && !state.users.contains_key(&name);
    if is_free { vec![name] } else { Vec::new() }
}

/// Makes what is missing, folders above it with it; those take after the image's.
fn make(below: BorrowedFd<'_>, draft: BorrowedFd<'_>, point: &Mountpoint<'_>) -> io::Result<()> {
    let (Mountpoint::Dir(path) | Mountpoint::File(path) | Mountpoint::Symlink(path, _)) = point;
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let Some((last, parents)) = parts.split_last() else {
        return Ok(());
    };
    if parts.contains(&"..") || parts.contains(&".") {
        return Err(Errno::INVAL);
    }
    let mut so_far = String::new();
    let mut at = rustix::io::fcntl_dupfd_cloexec(draft, 0)?;
    let mut entered = Vec::new();
    for part in parents {
        so_far = format!("{so_far}/{part}");
        let there = look(below, &so_far)?;
        // Through a symlink the place lies elsewhere in the image: the runtime makes that one at the start.
        if there.is_some_and(|stat| !FileType::from_raw_mode(stat.st_mode).is_dir()) {
            return Ok(());
        }
        let folder = enter(at.as_fd(), part)?;
        if let Some(stat) = there {
            let folder = rustix::io::fcntl_dupfd_cloexec(&folder, 0)?;
            entered.push((folder, stat));
        }
        at = folder;
    }
    if look(below, &format!("{so_far}/{last}"))?.is_some() {
        return Ok(());
    }
    let made = match point {
        Mountpoint::Dir(_) => enter(at.as_fd(), last).map(drop),
        Mountpoint::File(_) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o644);
            rustix::fs::openat(&at, *last, flags, mode)
                .and_then(|file| rustix::fs::fchmod(file, mode))
        }
        Mountpoint::Symlink(_, target) => rustix::fs::symlinkat(*target, &at, *last),
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(other) => return Err(other),
    }
    for (folder, stat) in &entered {
        take_after_stat(stat, folder.as_fd())?;
    }
    Ok(())
}

fn look(below: BorrowedFd<'_>, path: &str) -> io::Result<Option<Stat>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match sys::open::openat2(below, path, flags, Mode::empty(), resolve) {
        Ok(handle) => rustix::fs::fstat(handle).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(other) => Err(other),
    }
}

fn enter(at: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let mode = Mode::from_raw_mode(0o755);
    let is_new = match rustix::fs::mkdirat(at, name, mode) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(other) => return Err(other),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(at, name, flags, Mode::empty())?;
    if is_new {
        rustix::fs::fchmod(&dir, mode)?; // whatever the umask
    }
    Ok(dir)
}

fn take_after(below: BorrowedFd<'_>, dir: BorrowedFd<'_>) -> io::Result<()> {
    let stat = rustix::fs::statat(below, c"", AtFlags::EMPTY_PATH)?;
    take_after_stat(&stat, dir)
}

fn take_after_stat(stat: &Stat, dir: BorrowedFd<'_>) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(dir, Some(uid), Some(gid))?;
    rustix::fs::fchmod(dir, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let time = rustix::fs::Timespec {
        tv_sec: stat.st_mtime,
        tv_nsec: stat.st_mtime_nsec.cast_signed(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::futimens(dir, &times)
}
