//! The container's root: attached, sealed, and made ours.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount,
};
use sys::mount::{Attr, Change, Depth, set_attributes};

use crate::failure::{Failure, Step, Tried};
use crate::inroot::{Root, Want};
use crate::manner::Manner;
use crate::plan::{Opener, Place, Plan, RootPlan};

/// Attaches the root. In a mount namespace of the container's own it is put on top of `/`, where it needs no folder of
/// its own: our own root directory stays what it was until the pivot, so the host's paths still resolve.
pub(super) fn attach(plan: &RootPlan) -> Step<Root> {
    let on = match &plan.place {
        Place::Folder(folder) => folder.as_path(),
        Place::Top { opener } => {
            // Nothing that is mounted here may reach the host; what the host mounts may come in where that is wanted.
            // What lies below stays as it is while its parts may still be bound as shared.
            let below = match opener {
                Opener::Child => MountPropagationFlags::empty(),
                Opener::Parent => MountPropagationFlags::REC,
            };
            mount_change("/", MountPropagationFlags::DOWNSTREAM | below)
                .tried(|| "separate the root from the host's".to_owned())?;
            Path::new("/")
        }
    };
    let root = plan
        .mount
        .try_clone()
        .tried(|| "duplicate the root's descriptor".to_owned())?;
    move_mount(
        &root,
        c"",
        CWD,
        on,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS,
    )
    .tried(|| format!("attach the root at {}", on.display()))?;
    Ok(Root::new(root))
}

/// Makes a folder of the container where there is none.
pub(super) fn make_folder(root: &Root, path: &str) -> Step {
    match root.make(Path::new(path), Want::Folder) {
        // What is there and is no folder is told of when it is entered; on a read-only layer nothing can be made.
        Ok(_) | Err(Errno::NOTDIR | Errno::ROFS | Errno::ACCESS) => Ok(()),
        Err(errno) => Err(errno).tried(|| format!("mkdir {path}")),
    }
}

/// Makes read-only what must be so, now that nothing more is made in it.
pub(super) fn seal(root: &Root, plan: &Plan<'_>) -> Step {
    if !plan.root.readonly {
        return Ok(());
    }
    let readonly = Change {
        set: Attr::RDONLY,
        ..Change::default()
    };
    set_attributes(root, Depth::One, &readonly).tried(|| "make the root read-only".to_owned())
}

/// Makes the new root ours.
pub(super) fn enter(root: &Root, plan: &RootPlan, manner: Manner) -> Step {
    match plan.place {
        Place::Top { .. } => pivot(root, manner)?,
        Place::Folder(_) => change_to(root).tried(|| "change root".to_owned())?,
    }
    if let Some((propagation, depth)) = plan.propagation {
        let change = Change {
            propagation: Some(propagation),
            ..Change::default()
        };
        set_attributes(root, depth, &change)
            .map_err(|error| Failure::new(format!("set the root's propagation: {error}")))?;
    }
    Ok(())
}

/// Lets go of the host's root. See `pivot_root(2)`, "pivot_root(".", ".")".
fn pivot(root: &Root, manner: Manner) -> Step {
    rustix::process::fchdir(root).tried(|| "enter the root".to_owned())?;
    let pivoted = match manner.no_pivot {
        true => Err(Errno::INVAL),
        false => rustix::process::pivot_root(c".", c"."),
    };
    match pivoted {
        // The old root lies on top of the new one now.
        Ok(()) => {
            // Going away is an event, too, that must not reach the host.
            mount_change(
                ".",
                MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
            )
            .tried(|| "separate the mounts from the host's".to_owned())?;
            unmount(c".", UnmountFlags::DETACH).tried(|| "let go of the host's root".to_owned())?
        }
        // A machine that runs from its initramfs cannot pivot; our root lies on top of everything, so it is enough to
        // stand in it.
        Err(Errno::INVAL) => {
            rustix::process::chroot(c".").tried(|| "change root".to_owned())?;
        }
        Err(errno) => return Err(errno).tried(|| "pivot root".to_owned()),
    }
    rustix::process::chdir(c"/").tried(|| "enter the new root".to_owned())
}

/// Makes a folder our root directory.
pub(super) fn change_to(root: impl AsFd) -> Result<(), Errno> {
    rustix::process::fchdir(root)?;
    rustix::process::chroot(c".")?;
    rustix::process::chdir(c"/")
}

/// The root that this process has.
pub(super) fn current() -> Step<OwnedFd> {
    openat(
        CWD,
        c"/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .tried(|| "open /".to_owned())
}
