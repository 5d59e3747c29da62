//! System call filters.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::check;

bitflags::bitflags! {
    /// Flags of a filter, `SECCOMP_FILTER_FLAG_*`. See seccomp(2).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u64 {
        /// Every thread of the process.
        const TSYNC = 1;
        /// Log what the filter refuses. Linux 4.14.
        const LOG = 2;
        /// No speculative store bypass mitigation. Linux 4.17.
        const SPEC_ALLOW = 4;
        /// Give a descriptor that notifications come from. Linux 5.0.
        const NEW_LISTENER = 8;
        /// Only fatal signals interrupt a notification. Linux 5.19.
        const WAIT_KILLABLE_RECV = 32;
    }
}

/// Size of one instruction, `struct sock_filter`.
pub const INSTRUCTION_BYTES: usize = 8;

/// Confines the calling thread by a program of classic BPF (an array of `struct sock_filter`). The descriptor is there
/// with [`Flags::NEW_LISTENER`]. See seccomp(2), Linux 3.17.
///
/// # Errors
/// EACCES: neither `no_new_privs` nor `CAP_SYS_ADMIN`; EINVAL: not a valid program, or its length is not a multiple of 8.
pub fn set_filter(program: &[u8], flags: Flags) -> io::Result<Option<OwnedFd>> {
    if program.is_empty() || !program.len().is_multiple_of(INSTRUCTION_BYTES) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let Ok(len) = u16::try_from(program.len() / INSTRUCTION_BYTES) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    let filter = libc::sock_fprog {
        len,
        // The kernel copies from here byte by byte: neither alignment nor writing is at stake.
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: filter points to `len` instructions that live through the call; the kernel only reads them.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags.bits(),
            &raw const filter,
        )
    })?;
    if !flags.contains(Flags::NEW_LISTENER) {
        return Ok(None);
    }
    // SAFETY: with that flag a successful call returns a descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}

/// A system call that waits for an answer. See seccomp_unotify(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    /// What an answer names.
    pub id: u64,
    /// The calling thread, in the reader's pid namespace.
    pub pid: u32,
    /// The call's number.
    pub call: i32,
    /// Its arguments.
    pub args: [u64; 6],
}

/// What a waiting system call gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The call is not run, and returns this.
    Value(i64),
    /// The call is not run, and fails with this errno.
    Errno(i32),
    /// The call is run. Only for calls that need not be confined: the caller can still change what its arguments point
    /// to.
    Continue,
}

/// `SECCOMP_IOCTL_NOTIF_RECV`: `_IOWR('!', 0, struct seccomp_notif)`.
const RECEIVE: libc::Ioctl = 0xc050_2100_u32 as libc::Ioctl;
/// `SECCOMP_IOCTL_NOTIF_SEND`: `_IOWR('!', 1, struct seccomp_notif_resp)`.
const SEND: libc::Ioctl = 0xc018_2101_u32 as libc::Ioctl;

/// Waits for a system call that the filter asks about. See seccomp_unotify(2), Linux 5.0.
///
/// # Errors
/// ENOENT: the caller was killed meanwhile; EINTR: a signal arrived.
pub fn receive(listener: impl AsFd) -> io::Result<Notification> {
    // SAFETY: all members are integers, for which zero is a value; the kernel requires zeroes.
    let mut record: libc::seccomp_notif = unsafe { mem::zeroed() };
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the kernel writes one struct seccomp_notif, which lives through the call.
    check(unsafe { libc::ioctl(fd, RECEIVE, &raw mut record) }.into())?;
    Ok(Notification {
        id: record.id,
        pid: record.pid,
        call: record.data.nr,
        args: record.data.args,
    })
}

/// Answers a system call. See seccomp_unotify(2), Linux 5.0; [`Answer::Continue`] since 5.5.
///
/// # Errors
/// ENOENT: the caller waits no longer.
pub fn answer(listener: impl AsFd, id: u64, answer: Answer) -> io::Result<()> {
    let (val, error, flags) = match answer {
        Answer::Value(value) => (value, 0, 0),
        Answer::Errno(errno) => (0, -errno, 0),
        Answer::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
    };
    let mut record = libc::seccomp_notif_resp {
        id,
        val,
        error,
        flags,
    };
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one struct seccomp_notif_resp, which lives through the call.
    check(unsafe { libc::ioctl(fd, SEND, &raw mut record) }.into())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_instruction_is_no_program() {
        let error = set_filter(&[0; 12], Flags::empty()).expect_err("not a multiple of 8");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
