//! Changing mounts that are held by descriptor.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

bitflags::bitflags! {
    /// Attributes of a mount, `MOUNT_ATTR_*`. See `mount_setattr(2)`.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Attr: u64 {
        /// Read-only.
        const RDONLY = 0x1;
        /// Set-user-id bits and file capabilities count for nothing.
        const NOSUID = 0x2;
        /// Device nodes cannot be opened.
        const NODEV = 0x4;
        /// Nothing can be executed.
        const NOEXEC = 0x8;
        /// Access times are never written. The access time modes are a field, not bits: clear [`Attr::ATIME`] with it.
        const NOATIME = 0x10;
        /// Access times are always written.
        const STRICTATIME = 0x20;
        /// The field of access time modes; zero in it is `relatime`.
        const ATIME = 0x70;
        /// Access times of folders are not written.
        const NODIRATIME = 0x80;
        /// Ids are shifted by a user namespace.
        const IDMAP = 0x0010_0000;
        /// Symbolic links are not followed. Linux 5.14.
        const NOSYMFOLLOW = 0x0020_0000;
    }
}

/// How mount events travel. See `mount_namespaces(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Propagation {
    /// Neither sent nor received; cannot be bind mounted.
    Unbindable,
    /// Neither sent nor received.
    Private,
    /// Received, not sent.
    Slave,
    /// Sent and received.
    Shared,
}

/// What [`set_attributes`] changes.
#[derive(Debug, Default)]
pub struct Change<'fd> {
    /// Attributes added.
    pub set: Attr,
    /// Attributes removed.
    pub clear: Attr,
    /// Propagation, if it is to change.
    pub propagation: Option<Propagation>,
    /// The user namespace whose maps shift the ids; only for mounts not yet attached.
    pub idmap: Option<BorrowedFd<'fd>>,
}

#[repr(C)]
struct RawChange {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

impl Change<'_> {
    fn raw(&self) -> RawChange {
        let idmap = if self.idmap.is_some() {
            Attr::IDMAP
        } else {
            Attr::empty()
        };
        RawChange {
            set: (self.set | idmap).bits(),
            clear: self.clear.bits(),
            propagation: self.propagation.map_or(0, |propagation| match propagation {
                Propagation::Unbindable => libc::MS_UNBINDABLE,
                Propagation::Private => libc::MS_PRIVATE,
                Propagation::Slave => libc::MS_SLAVE,
                Propagation::Shared => libc::MS_SHARED,
            }),
            userns_fd: self.idmap.map_or(0, |fd| fd.as_raw_fd() as u64),
        }
    }
}

/// Whether a change reaches the mounts below too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// This mount only.
    One,
    /// This mount and all below.
    Recursive,
}

/// Changes the mount that `mount` is the root of. See `mount_setattr(2)`, Linux 5.12.
///
/// # Errors
/// EINVAL: not the root of a mount, or not in our mount namespace; EPERM: not allowed, or locked by a user namespace.
pub fn set_attributes(mount: impl AsFd, depth: Depth, change: &Change<'_>) -> io::Result<()> {
    let mut flags = libc::AT_EMPTY_PATH;
    if depth == Depth::Recursive {
        flags |= libc::AT_RECURSIVE;
    }
    let raw = change.raw();
    // SAFETY: the descriptor is live, the path a C string, and raw lives through the call with its size given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const raw,
            std::mem::size_of::<RawChange>(),
        )
    })?;
    Ok(())
}

const SYS_OPEN_TREE_ATTR: libc::c_long = 467;
const OPEN_TREE_CLONE: libc::c_uint = 1;

/// A detached copy of a mount, already changed; unlike [`set_attributes`] it may change an idmap. See
/// `open_tree_attr(2)`, Linux 6.15.
///
/// # Errors
/// ENOSYS before Linux 6.15; otherwise as `open_tree(2)` and `mount_setattr(2)`.
pub fn open_tree_attr(
    folder: impl AsFd,
    path: &CStr,
    depth: Depth,
    change: &Change<'_>,
) -> io::Result<OwnedFd> {
    let mut flags =
        OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint | libc::AT_EMPTY_PATH as libc::c_uint;
    if depth == Depth::Recursive {
        flags |= libc::AT_RECURSIVE as libc::c_uint;
    }
    let raw = change.raw();
    // SAFETY: the descriptor is live, the path a C string, and raw lives through the call with its size given.
    let fd = check(unsafe {
        libc::syscall(
            SYS_OPEN_TREE_ATTR,
            folder.as_fd().as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const raw,
            std::mem::size_of::<RawChange>(),
        )
    })?;
    // SAFETY: a successful call returns a descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
