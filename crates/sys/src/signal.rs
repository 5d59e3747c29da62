//! Signals: dispositions, masks, waiting.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::check;

/// A set of signals by number, 1 to 64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Set(u64);

impl Set {
    /// No signal.
    #[must_use]
    pub const fn empty() -> Self {
        Self(0)
    }

    /// Every signal. SIGKILL and SIGSTOP are never blocked, whatever a mask says.
    #[must_use]
    pub const fn all() -> Self {
        Self(u64::MAX)
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, signal: i32) -> Self {
        Self(self.0 | 1 << (signal - 1))
    }

    /// With one less.
    #[must_use]
    pub const fn without(self, signal: i32) -> Self {
        Self(self.0 & !(1 << (signal - 1)))
    }

    /// Whether it is in.
    #[must_use]
    pub const fn contains(self, signal: i32) -> bool {
        self.0 & 1 << (signal - 1) != 0
    }
}

const SET_BYTES: usize = std::mem::size_of::<u64>();

/// Sets the calling thread's mask of blocked signals, and returns the one before. See `rt_sigprocmask(2)`.
///
/// # Errors
/// None that a live kernel gives.
pub fn set_blocked(set: Set) -> io::Result<Set> {
    let mut before = 0u64;
    // SAFETY: both masks are of the size given and live through the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const set.0,
            &raw mut before,
            SET_BYTES,
        )
    })?;
    Ok(Set(before))
}

/// Gives every signal its default action; ignored ones, too, which an exec would keep ignored. See `rt_sigaction(2)`.
///
/// Past the C library, which keeps two signals for itself and would leave them ignored if our parent ignored them.
pub fn reset_all() {
    (1..=64).for_each(reset);
}

/// Gives one signal its default action, as [`reset_all`] does.
pub fn reset(signal: i32) {
    // The kernel's struct sigaction, four words on every 64-bit machine: no handler is the default action.
    let default = [0u64; 4];
    // SAFETY: the struct lives through the call, and its mask is of the size given; no code of ours is installed.
    // Only SIGKILL and SIGSTOP are refused, and they are at their default already.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            default.as_ptr(),
            std::ptr::null::<u64>(),
            SET_BYTES,
        )
    };
}

/// Makes a signal ignored. See sigaction(2).
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Waits for one of the signals, which must be blocked, and returns its number. See sigwaitinfo(2).
///
/// # Errors
/// EINTR: interrupted by another.
pub fn wait(set: Set) -> io::Result<i32> {
    // SAFETY: the mask is of the size given; null is allowed for what we do not want to know.
    let signal = check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const set.0,
            std::ptr::null::<libc::siginfo_t>(),
            std::ptr::null::<libc::timespec>(),
            SET_BYTES,
        )
    })?;
    Ok(signal as i32)
}

/// A descriptor to read arrived signals from (128 bytes each, number in the first four); they must be blocked.
/// Close-on-exec and non-blocking. See signalfd(2).
///
/// # Errors
/// EMFILE and the like.
pub fn descriptor(set: Set) -> io::Result<OwnedFd> {
    // SAFETY: the mask is of the size given and lives through the call.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_signalfd4,
            -1,
            &raw const set.0,
            SET_BYTES,
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        )
    })?;
    // SAFETY: a successful call returns a descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = Set::empty().with(1).with(64);
        assert!(set.contains(1) && set.contains(64) && !set.contains(2));
        assert!(!set.without(1).contains(1));
        assert!(Set::all().contains(33));
    }

    #[test]
    fn a_blocked_signal_is_waited_for() {
        let before = set_blocked(Set::empty().with(libc::SIGUSR1)).expect("sigprocmask");
        // SAFETY: sends a signal to this very thread.
        unsafe {
            libc::syscall(
                libc::SYS_tgkill,
                libc::getpid(),
                libc::gettid(),
                libc::SIGUSR1,
            )
        };
        assert_eq!(
            wait(Set::empty().with(libc::SIGUSR1)).expect("it is pending"),
            libc::SIGUSR1
        );
        set_blocked(before).expect("sigprocmask");
    }
}
