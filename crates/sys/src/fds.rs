//! Descriptors in bulk, and descriptors from outside.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::check;

/// What happens to a range of descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseRange {
    /// Closed now. Nothing in the process may own one of them.
    Now,
    /// Closed by the next exec. Linux 5.11.
    OnExec,
}

/// Closes every descriptor from `first` on. See `close_range(2)`, Linux 5.9.
///
/// With [`CloseRange::Now`] for processes about to exec or to live without what they had: an [`OwnedFd`] dropped later
/// would close a number that is no longer its own.
///
/// # Errors
/// ENOSYS or EINVAL on older kernels.
pub fn close_from(first: u32, how: CloseRange) -> io::Result<()> {
    let flags = match how {
        CloseRange::Now => 0,
        CloseRange::OnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    // SAFETY: takes integers only; who owns the descriptors is the caller's promise above.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) })?;
    Ok(())
}

/// Takes ownership of a descriptor that was inherited by number, as from a parent's exec. `None` when it is not open.
///
/// Ask once for one number, early, and never for one that something else in the process owns.
#[must_use]
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: takes integers only.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return None;
    }
    // SAFETY: it is open, and by the contract above nobody else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
