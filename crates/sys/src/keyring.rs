//! Kernel keyrings.

use std::ffi::CStr;
use std::io;

use crate::check;

/// Joins the session keyring of that name, or makes it. See `keyctl_join_session_keyring(3)`.
///
/// # Errors
/// ENOSYS: the kernel has no keys; EDQUOT: too many.
pub fn join_session(name: &CStr) -> io::Result<()> {
    // SAFETY: the name is a C string that lives through the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::c_long::from(libc::KEYCTL_JOIN_SESSION_KEYRING),
            name.as_ptr(),
            0usize,
            0usize,
            0usize,
        )
    })?;
    Ok(())
}
