//! Joining namespaces, and making those that the clone could not make.

use std::os::fd::BorrowedFd;

use sys::namespace::Namespaces;

use crate::failure::{Step, Tried};
use crate::plan::NamespacePlan;

/// Joins what is joined by path, then makes the last new ones.
pub(super) fn join(plan: &NamespacePlan) -> Step {
    for (kind, fd) in &plan.join {
        sys::namespace::join(fd, *kind).tried(|| format!("join {kind:?}"))?;
    }
    let late = plan.new & (Namespaces::CGROUP | Namespaces::TIME);
    if !late.is_empty() {
        sys::namespace::unshare(late).tried(|| format!("make {late:?}"))?;
    }
    Ok(())
}

/// Enters the mount namespace of others, after all that goes by the host's paths.
pub(super) fn enter_mounts(plan: &NamespacePlan) -> Step {
    let Some((path, fd)) = &plan.join_mount else {
        return Ok(());
    };
    sys::namespace::join(fd, Namespaces::MOUNT)
        .tried(|| format!("join the mount namespace {}", path.display()))
}

/// Joins by a helper what the container's first process could not join itself; the user namespace first, because the
/// others belong to it.
pub(super) fn join_for_good(plan: &mut NamespacePlan) -> Step {
    if let Some(user) = &plan.join_user {
        sys::namespace::join(user, Namespaces::USER)
            .tried(|| "join the user namespace".to_owned())?;
    }
    if let Some(pid) = plan.join_pid.take() {
        sys::namespace::join(&pid, Namespaces::PID)
            .tried(|| "join the pid namespace".to_owned())?;
    }
    for (kind, fd) in plan.join.drain(..) {
        sys::namespace::join(&fd, kind).tried(|| format!("join {kind:?}"))?;
    }
    Ok(())
}

/// Joins namespaces of a process, all in one call; the kernel takes the user namespace first.
pub(super) fn join_process(init: BorrowedFd<'_>, namespaces: Namespaces) -> Step {
    if namespaces.is_empty() {
        return Ok(());
    }
    sys::namespace::join(init, namespaces).tried(|| format!("join {namespaces:?}"))
}
