//! Descriptors in bulk, and descriptors from outside.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

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

/// Closes every descriptor from 3 on but these, at once. See `close_range(2)`, Linux 5.9.
///
/// For processes about to exec or to end without dropping what they own, as for [`close_from`].
///
/// # Errors
/// ENOSYS on older kernels.
pub fn close_all_but(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept
        .iter()
        .filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok())
        .filter(|number| *number > 2)
        .collect();
    kept.sort_unstable();
    let mut first = 3;
    for number in kept {
        if number > first {
            close_between(first, number - 1)?;
        }
        first = number + 1;
    }
    close_between(first, u32::MAX)
}

/// How much of what was sent through a socket is still on its way: on a unix stream, what the peer has not read (with the
/// kernel's overhead); on TCP, what it has not acknowledged. See unix(7) and tcp(7), `SIOCOUTQ`.
///
/// # Errors
/// ENOTTY or EINVAL: no such socket.
pub fn unread_by_peer(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (TIOCOUTQ) writes one int, which outlives the call; the descriptor is live.
    check(libc::c_long::from(unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count)
    }))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

fn close_between(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: takes integers only; who owns the descriptors is the caller's promise above.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Fork, exit_now, fork};
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use std::os::fd::AsFd;

    #[test]
    fn what_the_peer_has_not_read_is_told() {
        use std::io::{Read, Write};
        let (mut near, mut far) = std::os::unix::net::UnixStream::pair().expect("a pair");
        assert_eq!(unread_by_peer(near.as_fd()).expect("a socket"), 0);
        near.write_all(b"head").expect("room");
        assert!(unread_by_peer(near.as_fd()).expect("a socket") >= 4);
        far.read_exact(&mut [0; 4]).expect("it is there");
        assert_eq!(unread_by_peer(near.as_fd()).expect("a socket"), 0);
    }

    #[test]
    fn only_what_is_kept_stays_open() {
        let files: Vec<std::fs::File> = (0..6)
            .map(|_| std::fs::File::open("/dev/null").expect("it is there"))
            .collect();
        let is_open = |file: &std::fs::File| rustix::io::fcntl_getfd(file).is_ok();
        match fork().expect("fork") {
            Fork::Child => {
                let done = close_all_but(&[files[4].as_fd(), files[1].as_fd()]).is_ok();
                let open: Vec<bool> = files.iter().map(is_open).collect();
                let right = open == [false, true, false, false, true, false];
                exit_now(i32::from(!(done && right)));
            }
            Fork::Parent { pidfd, .. } => {
                let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
                let status = status.expect("our child").expect("an end");
                assert_eq!(status.exit_status(), Some(0));
            }
        }
    }
}
