//! Making processes: clone3, fork, leaving without ceremony.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::check;
use crate::namespace::Namespaces;

/// Does not fit the type that libc gives it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of a fork we are on.
#[derive(Debug)]
pub enum Fork {
    /// The caller.
    Parent {
        /// The child's pid, in the caller's pid namespace.
        pid: i32,
        /// The child, proof against reuse of its pid; close-on-exec.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

/// How [`clone3`] makes the child.
#[derive(Debug, Default)]
pub struct Clone<'fd> {
    /// Namespaces made anew for the child.
    pub namespaces: Namespaces,
    /// The cgroup v2 folder that the child is born in. Linux 5.7.
    pub cgroup: Option<BorrowedFd<'fd>>,
    /// The child becomes a sibling: the child of the caller's parent (`CLONE_PARENT`).
    pub sibling: bool,
}

/// Makes a process that shares no memory with the caller. See clone3(2), Linux 5.3.
///
/// For single-threaded processes only: in the child no other thread goes on, and a lock that one held (the allocator's,
/// say) stays locked for ever. The child must end in an exec or in [`exit_now`], and must not let a panic unwind past
/// the point where it was made.
///
/// # Errors
/// The errno of clone3(2).
pub fn clone3(how: &Clone<'_>) -> io::Result<Fork> {
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain integers, all zero means "nothing asked for".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(how.namespaces.bits()) | libc::CLONE_PIDFD as u64;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if how.sibling {
        // With CLONE_PARENT the child has its sibling's exit signal; the kernel wants none given.
        args.flags |= libc::CLONE_PARENT as u64;
        args.exit_signal = 0;
    }
    if let Some(cgroup) = how.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: args lives through the call and its size is given; without CLONE_VM and with no stack the child runs on a
    // copy of ours; pidfd outlives the call.
    let pid = check(unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut args,
            std::mem::size_of::<libc::clone_args>(),
        )
    })?;
    if pid == 0 {
        return Ok(Fork::Child);
    }
    // SAFETY: with CLONE_PIDFD a successful call has stored a descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Fork::Parent {
        pid: pid as i32,
        pidfd,
    })
}

/// Makes a copy of the calling process. See clone(2), Linux 5.2 (`CLONE_PIDFD`).
///
/// The older clone(2) is used, because container filters commonly refuse clone3. The rules of [`clone3`] hold.
///
/// # Errors
/// The errno of clone(2).
pub fn fork() -> io::Result<Fork> {
    let mut pidfd: RawFd = -1;
    let flags = libc::CLONE_PIDFD as libc::c_ulong | libc::SIGCHLD as libc::c_ulong;
    // SAFETY: no stack and no CLONE_VM: the child runs on a copy of ours. The third argument is where the pidfd goes on
    // every architecture; it outlives the call. The last two are unused without their flags.
    let pid = check(unsafe {
        libc::syscall(
            libc::SYS_clone,
            flags,
            0usize,
            &raw mut pidfd,
            0usize,
            0usize,
        )
    })?;
    if pid == 0 {
        return Ok(Fork::Child);
    }
    // SAFETY: with CLONE_PIDFD a successful call has stored a descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Fork::Parent {
        pid: pid as i32,
        pidfd,
    })
}

/// Ends the process at once: no destructors, no exit handlers, no flushing. See `_exit(2)`.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no conditions and does not return.
    unsafe { libc::_exit(code) }
}

/// The execution domain `LINUX32`: uname says a 32-bit machine.
pub const PER_LINUX32: u32 = 0x0008;

/// Sets the execution domain and returns the one before. See personality(2).
///
/// # Errors
/// The errno of personality(2).
pub fn personality(persona: u32) -> io::Result<u32> {
    // SAFETY: takes and returns integers only.
    check(unsafe { libc::syscall(libc::SYS_personality, libc::c_ulong::from(persona)) })
        .map(|before| before as u32)
}

/// Sends a signal to a process through its pidfd, by the signal's number. See `pidfd_send_signal(2)`, Linux 5.1.
///
/// # Errors
/// ESRCH: it has ended; EINVAL: no such signal.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: the descriptor is live; a null siginfo and no flags are allowed.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0u32,
        )
    })?;
    Ok(())
}

/// Sends a signal to a process, a group (negative), or all we may signal (-1). See kill(2).
///
/// # Errors
/// The errno of kill(2).
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes integers only.
    check(libc::c_long::from(unsafe { libc::kill(pid, signal) }))?;
    Ok(())
}

/// How a child ended, and what it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// As wait(2) encodes it.
    status: i32,
    /// The largest resident set of it and of the children that it waited for, in KiB.
    pub peak_kib: u64,
}

impl Ended {
    /// Whether it left with status 0.
    #[must_use]
    pub fn succeeded(self) -> bool {
        self.status == 0
    }
}

/// Waits for the end of a child. See wait4(2).
///
/// # Errors
/// ECHILD: no child of ours.
pub fn wait_with_usage(pid: i32) -> io::Result<Ended> {
    let mut status = 0;
    // SAFETY: rusage is plain integers, for which all zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both places live through the call.
        let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        match check(libc::c_long::from(waited)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => {
                other?;
                let peak_kib = u64::try_from(usage.ru_maxrss).unwrap_or(0);
                return Ok(Ended { status, peak_kib });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use std::os::fd::AsFd;

    fn status_of(pidfd: &OwnedFd) -> Option<i32> {
        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
            .expect("our child can be waited for")
            .expect("without NOHANG a status comes")
            .exit_status()
    }

    #[test]
    fn a_forked_child_gives_its_status_to_its_parent() {
        match fork().expect("fork") {
            Fork::Child => exit_now(7),
            Fork::Parent { pidfd, .. } => assert_eq!(status_of(&pidfd), Some(7)),
        }
    }

    #[test]
    fn the_end_of_a_child_comes_with_its_peak_of_memory() {
        match fork().expect("fork") {
            Fork::Child => {
                let much = std::hint::black_box(vec![1u8; 32 << 20]);
                exit_now(i32::from(much[7] != 1));
            }
            Fork::Parent { pid, .. } => {
                let ended = wait_with_usage(pid).expect("our child");
                assert!(ended.succeeded());
                assert!(ended.peak_kib > 32 << 10, "{ended:?}");
            }
        }
    }

    #[test]
    fn a_cloned_child_is_pid_one_of_its_own_namespace() {
        let how = Clone {
            namespaces: Namespaces::PID,
            ..Clone::default()
        };
        match clone3(&how).expect("clone3 as root") {
            Fork::Child => {
                exit_now(rustix::process::getpid().as_raw_nonzero().get());
            }
            Fork::Parent { pidfd, .. } => assert_eq!(status_of(&pidfd), Some(1)),
        }
    }

    #[test]
    fn a_signal_sent_to_an_ended_process_finds_nobody() {
        match fork().expect("fork") {
            Fork::Child => exit_now(0),
            Fork::Parent { pidfd, .. } => {
                status_of(&pidfd);
                let error = send_signal(pidfd.as_fd(), 15).expect_err("it has ended");
                assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
            }
        }
    }
}
