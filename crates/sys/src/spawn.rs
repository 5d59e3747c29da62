//! Becoming another process: fork, execution by descriptor, and a mount of one file that nobody can write through.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Which side of a [`fork`] goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The process that called; the child has this pid.
    Parent(i32),
    /// The new process.
    Child,
}

/// Duplicates the calling process. See fork(2).
///
/// # Errors
/// `EAGAIN`, `ENOMEM` from the kernel; [`io::ErrorKind::ResourceBusy`] when the process has more than one thread: the child
/// of such a process could find a lock held for ever.
pub fn fork() -> io::Result<Fork> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    // SAFETY: the process has one thread, so the child may go on with every invariant of this one intact.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Replaces the program of the calling process by the open `file`, with `arguments` and an empty environment.
/// See execveat(2) with `AT_EMPTY_PATH`, Linux 3.19. Returns only on failure.
#[must_use]
pub fn exec_fd(file: impl AsFd, arguments: &[&CStr]) -> io::Error {
    let mut argv: Vec<*const libc::c_char> = arguments.iter().map(|a| a.as_ptr()).collect();
    argv.push(std::ptr::null());
    let envp: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: every pointer is NUL-terminated text or the closing null of its array, and all outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    io::Error::last_os_error()
}

/// Makes the mount that `mount` refers to read-only, without set-user-ID and devices. See mount_setattr(2), Linux 5.12.
///
/// # Errors
/// From the kernel; `ENOSYS` before 5.12.
pub fn seal_mount(mount: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the path is NUL-terminated, the structure has the size that is passed, and both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Marks every descriptor from `first` on as close-on-exec. See close_range(2), Linux 5.11.
///
/// # Errors
/// From the kernel; `ENOSYS` or `EINVAL` before 5.11.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: the call takes three integers; descriptors stay open and valid in this program.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether the kernel buries this process's children by itself (`SIGCHLD` ignored) or leaves them to be waited for.
///
/// # Errors
/// None that the kernel documents for these arguments.
pub fn discard_children(discard: bool) -> io::Result<()> {
    let action = if discard {
        libc::SIG_IGN
    } else {
        libc::SIG_DFL
    };
    // SAFETY: no handler is installed, only one of the two fixed dispositions.
    if unsafe { libc::signal(libc::SIGCHLD, action) } == libc::SIG_ERR {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Has the allocator take every block of `bytes` or more by its own mapping, and give it back at once when it is freed.
///
/// Without this glibc raises the bound after the first large block, and an idle process keeps what a busy one needed.
/// See mallopt(3), `M_MMAP_THRESHOLD`.
pub fn map_large_blocks(bytes: i32) {
    // SAFETY: mallopt takes two integers and has no other precondition.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, bytes);
    }
}

/// Gives the allocator's free pages back to the kernel. See malloc_trim(3).
pub fn trim_heap() {
    // SAFETY: malloc_trim takes an integer and has no other precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}
