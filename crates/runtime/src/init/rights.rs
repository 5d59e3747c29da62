//! Ids, limits, capabilities and the system call filter.

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    Gid, Uid, set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use sys::caps::Sets;

use crate::channel::ChildEnd;
use crate::errno::Refusal;
use crate::failure::{Failure, Step, Tried};
use crate::plan::ProcessPlan;
use crate::plan::capability::{Rights, SYS_ADMIN};

/// Takes the ids 0 of a user namespace just entered.
pub(super) fn become_root() -> Step {
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).tried(|| "set group id 0".to_owned())?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).tried(|| "set user id 0".to_owned())
}

/// Sets the limits. A hard limit above ours needs `CAP_SYS_RESOURCE`, which even root may lack.
pub(super) fn set_limits(limits: &[(Resource, Rlimit, &str)]) -> Step {
    for (resource, limit, name) in limits {
        match setrlimit(*resource, *limit) {
            Ok(()) => {}
            Err(Errno::PERM) => return Err(too_high(*resource, name)),
            Err(errno) => return Err(errno).tried(|| format!("error setting rlimit {name}")),
        }
    }
    Ok(())
}

fn too_high(resource: Resource, name: &str) -> Failure {
    let ours = getrlimit(resource)
        .maximum
        .map_or("unlimited".to_owned(), |limit| limit.to_string());
    Failure::new(format!(
        "error setting rlimit {name}: {}: this machine grants at most {ours}",
        Refusal(Errno::PERM)
    ))
}

/// Sets the execution domain, if it is given.
pub(super) fn set_personality(personality: Option<u32>) -> Step {
    if let Some(persona) = personality {
        sys::process::personality(persona).tried(|| "set the personality".to_owned())?;
    }
    Ok(())
}

/// Takes the user's ids, and keeps the capabilities that are still needed.
pub(super) fn become_user(process: &ProcessPlan<'_>) -> Step {
    // Before the ids: with CAP_SETPCAP.
    for capability in 0..64 {
        if process.rights.bounding & 1 << capability != 0 {
            continue;
        }
        match sys::caps::drop_from_bounding_set(capability) {
            Ok(()) => {}
            // Beyond the last one that the kernel knows.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => break,
            Err(error) => {
                return Err(error).tried(|| format!("drop capability {capability}"));
            }
        }
    }
    // Permitted capabilities outlive the change of user, so that filter and sets can follow it.
    if process.uid != Uid::ROOT {
        set_keep_capabilities(true).tried(|| "keep capabilities".to_owned())?;
    }
    match set_thread_groups(&process.groups) {
        // A user namespace may deny setgroups; with no groups wanted nothing is lost.
        Err(Errno::PERM) if process.groups.is_empty() => {}
        other => other.tried(|| "set supplementary groups".to_owned())?,
    }
    let (uid, gid) = (process.uid, process.gid);
    set_thread_res_gid(gid, gid, gid).tried(|| format!("set group id {}", gid.as_raw()))?;
    set_thread_res_uid(uid, uid, uid).tried(|| format!("set user id {}", uid.as_raw()))?;
    rustix::process::umask(Mode::from_raw_mode(process.umask));
    Ok(())
}

/// The last rights go, and the filter comes. Without `no_new_privs` only `CAP_SYS_ADMIN` may install a filter, so it is
/// kept until then; with it the filter comes last of all.
pub(super) fn drop(process: &ProcessPlan<'_>, channel: &ChildEnd) -> Step {
    let rights = &process.rights;
    if process.no_new_privileges {
        set_no_new_privs(true).tried(|| "set no_new_privs".to_owned())?;
        keep(rights)?;
        return filter(process, channel);
    }
    if process.seccomp.is_some() {
        if process.uid != Uid::ROOT {
            let now = sys::caps::get().tried(|| "read our capabilities".to_owned())?;
            let with_admin = Sets {
                effective: now.permitted & SYS_ADMIN,
                ..now
            };
            sys::caps::set(&with_admin).tried(|| "keep CAP_SYS_ADMIN for the filter".to_owned())?;
        }
        filter(process, channel)?;
    }
    keep(rights)
}

/// Leaves these sets.
fn keep(rights: &Rights) -> Step {
    let sets = Sets {
        effective: rights.effective,
        permitted: rights.permitted,
        inheritable: rights.inheritable,
    };
    sys::caps::set(&sets).tried(|| "set capabilities".to_owned())?;
    if rights.ambient == 0 {
        return Ok(());
    }
    sys::caps::clear_ambient().tried(|| "clear ambient capabilities".to_owned())?;
    (0..64u8)
        .filter(|number| rights.ambient & 1 << number != 0)
        .try_for_each(|number| {
            sys::caps::raise_ambient(number).tried(|| format!("raise ambient capability {number}"))
        })
}

fn filter(process: &ProcessPlan<'_>, channel: &ChildEnd) -> Step {
    let Some((program, flags)) = process.seccomp else {
        return Ok(());
    };
    let listener =
        sys::seccomp::set_filter(program, flags).tried(|| "load the seccomp filter".to_owned())?;
    match listener {
        Some(listener) => channel.hand_over_listener(&listener),
        None => Ok(()),
    }
}
