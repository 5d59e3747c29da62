//! The kernel: one typed function per system call that rustix lacks, and every line of unsafe.
//!
//! Errors are bare [`std::io::Error`]s carrying the errno: this crate knows no operands worth naming, its callers do.

pub mod bpf;
pub mod caps;
pub mod datagram;
pub mod exec;
pub mod fds;
pub mod keyring;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod net;
pub mod netlink;
pub mod open;
pub mod process;
pub mod sched;
pub mod seccomp;
pub mod signal;
pub mod tree;
pub mod xtables;

use std::io;

/// The result of a system call that says -1 and errno on failure.
fn check(returned: libc::c_long) -> io::Result<libc::c_long> {
    if returned < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(returned)
    }
}
