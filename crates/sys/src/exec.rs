//! Replacing the program.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Strings as the kernel wants them: pointers, ended by null.
#[derive(Debug)]
pub struct Strings {
    // Keeps what the pointers point to alive and in place.
    _owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    /// Lays the strings out; done before a fork, nothing is left to allocate after it.
    #[must_use]
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings
            .iter()
            .map(|each| each.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Self {
            _owned: strings,
            pointers,
        }
    }
}

/// Becomes another program; returns only on failure. See execve(2).
#[must_use]
pub fn execve(path: &CStr, args: &Strings, env: &Strings) -> io::Error {
    // SAFETY: path is a C string; both arrays end with null and point to C strings that `Strings` keeps alive.
    unsafe { libc::execve(path.as_ptr(), args.pointers.as_ptr(), env.pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// Becomes the program that `file` is open on; returns only on failure. See execveat(2), Linux 3.19.
#[must_use]
pub fn fexecve(file: BorrowedFd<'_>, args: &Strings, env: &Strings) -> io::Error {
    // SAFETY: the descriptor is live, the path a C string; both arrays end with null and point to live C strings.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            args.pointers.as_ptr(),
            env.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_leaves_us_running() {
        let none = Strings::new(Vec::new());
        assert_eq!(
            execve(c"/nowhere/at/all", &none, &none).raw_os_error(),
            Some(libc::ENOENT)
        );
    }
}
