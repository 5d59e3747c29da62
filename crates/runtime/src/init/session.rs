//! The first and cheapest: signals, session, keyring.

use std::ffi::CString;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::failure::{Failure, Step, Tried};

/// Nobody in the container may look into us or our descriptors before the exec (CVE-2016-9962).
pub(super) fn hide() -> Step {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).tried(|| "become not dumpable".to_owned())
}

/// Forgets what the parent had set up for itself.
pub(super) fn begin() -> Step {
    hide()?;
    // Ignored and blocked signals would outlive the exec.
    sys::signal::reset_all();
    sys::signal::set_blocked(sys::signal::Set::empty()).tried(|| "unblock signals".to_owned())?;
    rustix::process::setsid().tried(|| "begin a session".to_owned())?;
    // Modes that we ask for are those that are made.
    rustix::process::umask(rustix::fs::Mode::empty());
    Ok(())
}

/// Leaves the caller's session keyring for one of the container's own.
pub(super) fn join_keyring(id: &str) -> Step {
    let name =
        CString::new(format!("_ses.{id}")).map_err(|_| Failure::new("the id holds a zero byte"))?;
    match sys::keyring::join_session(&name) {
        // A kernel without keys, or a filter above us that hides them, has nothing to leave.
        Err(error) if matches!(error.raw_os_error(), Some(1 | 38)) => Ok(()),
        other => other.tried(|| "join a session keyring".to_owned()),
    }
}
