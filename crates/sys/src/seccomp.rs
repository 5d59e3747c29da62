//! System call filters.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_instruction_is_no_program() {
        let error = set_filter(&[0; 12], Flags::empty()).expect_err("not a multiple of 8");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
