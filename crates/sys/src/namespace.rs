//! Making and joining namespaces.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::check;

bitflags::bitflags! {
    /// Kinds of namespaces, as clone(2), unshare(2) and setns(2) number them. See namespaces(7).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Namespaces: u32 {
        /// Monotonic and boot clocks. Linux 5.6.
        const TIME = 0x0000_0080;
        /// Mount table.
        const MOUNT = 0x0002_0000;
        /// Cgroup root. Linux 4.6.
        const CGROUP = 0x0200_0000;
        /// Host and domain name.
        const UTS = 0x0400_0000;
        /// System V IPC, POSIX message queues.
        const IPC = 0x0800_0000;
        /// Ids and capabilities.
        const USER = 0x1000_0000;
        /// Process ids; of children only, after unshare and setns.
        const PID = 0x2000_0000;
        /// Network stack.
        const NETWORK = 0x4000_0000;
    }
}

/// Leaves namespaces for new ones. See unshare(2).
///
/// # Errors
/// The errno of unshare(2).
pub fn unshare(namespaces: Namespaces) -> io::Result<()> {
    // SAFETY: namespace flags change no memory or descriptor of the caller (unlike CLONE_FILES, which is not in the type).
    check(libc::c_long::from(unsafe {
        libc::unshare(namespaces.bits() as libc::c_int)
    }))?;
    Ok(())
}

/// Joins the namespace that `fd` is; or, when `fd` is a pidfd (Linux 5.8), all the named kinds of that process at once,
/// its user namespace first. See setns(2).
///
/// # Errors
/// EINVAL: not of that kind, or the user namespace one is already in; EPERM: not allowed; ESRCH: the process has ended.
pub fn join(fd: impl AsFd, namespaces: Namespaces) -> io::Result<()> {
    // SAFETY: the descriptor is live; setns changes no memory of the caller.
    check(libc::c_long::from(unsafe {
        libc::setns(fd.as_fd().as_raw_fd(), namespaces.bits() as libc::c_int)
    }))?;
    Ok(())
}

/// The user namespace that `fd`, a namespace of another kind, belongs to. See `ioctl_ns(2)`, Linux 4.9.
///
/// # Errors
/// ENOTTY: no namespace; EPERM: its owner is above ours.
pub fn owner(fd: impl AsFd) -> io::Result<OwnedFd> {
    /// `_IO(0xb7, 0x1)`.
    const NS_GET_USERNS: libc::c_ulong = 0xb701;
    // SAFETY: the request takes no argument; the descriptor is live.
    let owner = check(libc::c_long::from(unsafe {
        libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_USERNS)
    }))?;
    // SAFETY: a successful call has made a descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(owner as i32) })
}
