//! A root attached in a mount namespace of others, where it does not end with the container.
//!
//! A container without a mount namespace of its own has its mounts where everybody in that namespace sees them: below
//! the folder that its root is attached at. Somebody has to take them away afterwards, from within that namespace.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, fstat, openat, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use serde::{Deserialize, Serialize};
use sys::namespace::Namespaces;
use sys::process::{Fork, exit_now, fork};

use crate::errno::Refusal;
use crate::error::Error;

/// Where a container's root is attached in a mount namespace that is not its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedRoot {
    folder: PathBuf,
    /// As `statx(2)` gives it: what else is mounted there is not ours.
    mount_id: u64,
    /// The namespace when it is not the runtime's.
    namespace: Option<JoinedMounts>,
}

/// A mount namespace that was joined by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct JoinedMounts {
    path: PathBuf,
    inode: u64,
}

impl SharedRoot {
    /// The root `mount`, still detached, that will be attached at `folder`; `joined` is the namespace, and where it was
    /// found, unless it is ours.
    pub(crate) fn new(
        mount: &OwnedFd,
        folder: &Path,
        joined: Option<(&Path, &OwnedFd)>,
    ) -> Result<Self, Error> {
        let namespace = joined
            .map(|(path, fd)| {
                fstat(fd).map(|stat| JoinedMounts {
                    path: path.to_owned(),
                    inode: stat.st_ino,
                })
            })
            .transpose()
            .map_err(Error::spawn("look at the mount namespace"))?;
        Ok(Self {
            folder: folder.to_owned(),
            mount_id: mount_id(mount).map_err(Error::spawn("look at the root's mount"))?,
            namespace,
        })
    }

    /// Detaches the root with all that is mounted below. That it has gone already is no error, nor that its namespace
    /// cannot be found any more.
    ///
    /// Like all of this crate it must be called from a process with one thread.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn detach(&self) -> Result<(), Refusal> {
        let Some(joined) = &self.namespace else {
            return self.unmount().map_err(Refusal);
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(namespace) = openat(CWD, &joined.path, flags, Mode::empty()) else {
            return Ok(());
        };
        if fstat(&namespace).map_err(Refusal)?.st_ino != joined.inode {
            return Ok(());
        }
        // There is no way back to a root directory that is not its namespace's, so somebody else goes there.
        match fork().map_err(Refusal::from)? {
            Fork::Child => {
                let left = sys::namespace::join(namespace.as_fd(), Namespaces::MOUNT)
                    .map_err(|error| Refusal::from(error).0)
                    .and_then(|()| self.unmount());
                exit_now(left.map_or_else(Errno::raw_os_error, |()| 0))
            }
            Fork::Parent { pidfd, .. } => {
                let status = rustix::io::retry_on_intr(|| {
                    waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
                });
                match status.map_err(Refusal)?.and_then(|end| end.exit_status()) {
                    Some(0) => Ok(()),
                    Some(errno) => Err(Refusal(Errno::from_raw_os_error(errno))),
                    None => Err(Refusal(Errno::SRCH)),
                }
            }
        }
    }

    fn unmount(&self) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let there = match openat(CWD, &self.folder, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            other => mount_id(&other?)?,
        };
        if there != self.mount_id {
            return Ok(());
        }
        unmount(&self.folder, UnmountFlags::DETACH)
    }
}

/// Which mount a file is on. See statx(2), `STATX_MNT_ID`, Linux 5.8.
fn mount_id(fd: &OwnedFd) -> Result<u64, Errno> {
    statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|found| found.stx_mnt_id)
}
