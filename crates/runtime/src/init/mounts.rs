//! The spec's mounts, each attached by descriptor to a place that was resolved inside the root.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, XattrFlags, fsetxattr};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};
use sys::mount::{Attr, Change, Depth, set_attributes};

use super::copyup;
use crate::errno::Refusal;
use crate::failure::{Failure, Step, Tried};
use crate::inroot::{Root, Want, kind};
use crate::plan::mounts::{Hierarchy, NewFilesystem};
use crate::plan::{MountPlan, Source};

/// `PROC_SUPER_MAGIC`.
const PROC: i64 = 0x9fa0;

/// Mounts one of the spec's mounts.
pub(super) fn mount(root: &Root, plan: MountPlan) -> Step {
    let destination = plan.destination.clone();
    let from = plan.from.clone();
    place(root, plan).map_err(|failure| {
        Failure::new(format!(
            "error mounting {from:?} to rootfs at {:?}: {}",
            destination.display().to_string(),
            failure.what
        ))
    })
}

fn place(root: &Root, plan: MountPlan) -> Step {
    let target = target(root, &plan)?;
    let attributes = plan.attributes.set;
    let mounted = match plan.source {
        Source::Remount(attributes) => {
            let change = Change {
                set: attributes.set,
                clear: attributes.clear,
                ..Change::default()
            };
            return set_attributes(&target, Depth::One, &change).tried(|| "remount".to_owned());
        }
        Source::Tree { tree, .. } => {
            let tree = tree
                .opened()
                .map_err(|(what, errno)| Failure::new(format!("{what}: {}", Refusal(errno))))?;
            let brings_proc = plan.destination == Path::new("/proc") && is_proc(&tree)?;
            check_proc(&target, &plan.destination, brings_proc)?;
            tree
        }
        Source::New(filesystem) => {
            check_proc(&target, &plan.destination, filesystem.kind == "proc")?;
            make(&filesystem, attributes, &target)?
        }
        Source::Hierarchies(hierarchies) => {
            check_proc(&target, &plan.destination, false)?;
            return hierarchical(&target, &hierarchies, attributes);
        }
    };
    attach(&mounted, &target)?;
    for (propagation, depth) in plan.propagation {
        let change = Change {
            propagation: Some(propagation),
            ..Change::default()
        };
        set_attributes(&mounted, depth, &change).tried(|| format!("make it {propagation:?}"))?;
    }
    Ok(())
}

/// The place, made when it is missing.
fn target(root: &Root, plan: &MountPlan) -> Step<OwnedFd> {
    let is_file = matches!(plan.source, Source::Tree { is_file: true, .. });
    // An image that makes /proc or /sys a link would have them mounted elsewhere, and everything that trusts the names
    // look in the wrong place (CVE-2019-19921).
    if let Source::New(filesystem) = &plan.source
        && matches!(filesystem.kind.as_str(), "proc" | "sysfs")
    {
        let relative = plan
            .destination
            .strip_prefix("/")
            .unwrap_or(&plan.destination);
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match sys::open::openat2(root, relative, flags, rustix::fs::Mode::empty(), resolve) {
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(Failure::new("it must be mounted on an ordinary directory"));
            }
            other => return other.tried(|| "open the mount point".to_owned()),
        }
    }
    let want = if is_file { Want::File } else { Want::Folder };
    let target = root
        .make(&plan.destination, want)
        .tried(|| format!("make the mount point {}", plan.destination.display()))?;
    let is_folder =
        kind(&target).tried(|| "look at the mount point".to_owned())? == FileType::Directory;
    if is_folder == is_file {
        let words = if is_file {
            "not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified \
             host path exists and is the expected type"
        } else {
            "not a directory"
        };
        return Err(Failure::new(words));
    }
    Ok(target)
}

/// Files of /proc that may be replaced by others: those that tell of the machine's size, no more.
const REPLACEABLE: [&str; 10] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
];

/// Refuses mounts inside a procfs, and anything but a procfs in its place: what an image or a neighbour has there must
/// not pass for the kernel's word.
fn check_proc(target: &OwnedFd, destination: &Path, brings_proc: bool) -> Step {
    let inside = destination.strip_prefix("/proc").ok();
    let whole = inside == Some(Path::new(""));
    if brings_proc {
        return Ok(());
    }
    if whole {
        return Err(Failure::new(
            "it cannot be mounted because it is not of type proc",
        ));
    }
    let replaces =
        inside.is_some_and(|path| REPLACEABLE.iter().any(|each| path == Path::new(each)));
    if replaces || !is_proc(target)? {
        return Ok(());
    }
    Err(Failure::new(
        "it cannot be mounted because it is inside /proc",
    ))
}

fn is_proc(fd: &OwnedFd) -> Step<bool> {
    rustix::fs::fstatfs(fd)
        .map(|stat| stat.f_type == PROC)
        .tried(|| "look at the mount point".to_owned())
}

/// Attaches a detached mount.
pub(super) fn attach(mounted: impl AsFd, target: impl AsFd) -> Step {
    move_mount(
        mounted,
        c"",
        target,
        c"",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
    .tried(|| "attach".to_owned())
}

/// A new file system as a detached mount.
fn make(filesystem: &NewFilesystem, attributes: Attr, target: &OwnedFd) -> Step<OwnedFd> {
    let fs = fsopen(filesystem.kind.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)
        .tried(|| format!("open file system {:?}", filesystem.kind))?;
    if !filesystem.source.is_empty() {
        fsconfig_set_string(&fs, "source", filesystem.source.as_str())
            .tried(|| format!("source={}", filesystem.source))?;
    }
    for flag in &filesystem.flags {
        fsconfig_set_flag(&fs, *flag).tried(|| format!("option {flag}"))?;
    }
    for (name, value) in &filesystem.own {
        match value {
            Some(value) => fsconfig_set_string(&fs, name.as_str(), value.as_str()),
            None => fsconfig_set_flag(&fs, name.as_str()),
        }
        .tried(|| {
            format!(
                "option {name}{}{}: {}",
                if value.is_some() { "=" } else { "" },
                value.as_deref().unwrap_or(""),
                crate::rootfs::log(&fs)
            )
        })?;
    }
    fsconfig_create(&fs).map_err(|errno| {
        Failure::new(format!(
            "mount {}: {} {}",
            filesystem.kind,
            crate::rootfs::log(&fs),
            Refusal(errno)
        ))
    })?;
    // What is filled first is made read-only after that.
    let late = if filesystem.copies_up || filesystem.label.is_some() {
        attributes & Attr::RDONLY
    } else {
        Attr::empty()
    };
    let mounted = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, flags(attributes - late))
        .tried(|| format!("mount {}", filesystem.kind))?;
    if let Some(label) = &filesystem.label {
        relabel(&mounted, label).tried(|| format!("selinux label {label:?}"))?;
    }
    if let Some(idmap) = &filesystem.idmap {
        let shifted = Change {
            idmap: Some(idmap.as_fd()),
            ..Change::default()
        };
        set_attributes(&mounted, Depth::One, &shifted).tried(|| "idmap".to_owned())?;
    }
    if filesystem.copies_up {
        copyup::copy(target, &mounted)?;
    }
    if !late.is_empty() {
        let sealed = Change {
            set: late,
            ..Change::default()
        };
        set_attributes(&mounted, Depth::One, &sealed).tried(|| "make it read-only".to_owned())?;
    }
    Ok(mounted)
}

/// Labels the root of a mount. A policy that labels such a file system by itself takes no other, and keeps its own.
fn relabel(mounted: &OwnedFd, label: &str) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(mounted, c".", flags, Mode::empty())?;
    match fsetxattr(
        &root,
        c"security.selinux",
        label.as_bytes(),
        XattrFlags::empty(),
    ) {
        Err(Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

fn flags(attributes: Attr) -> MountAttrFlags {
    MountAttrFlags::from_bits_retain(attributes.bits() as u32)
}

/// `/sys/fs/cgroup` as cgroup v1 has it: a tmpfs, and in it a folder for each hierarchy.
fn hierarchical(target: &OwnedFd, hierarchies: &[Hierarchy], attributes: Attr) -> Step {
    let tmpfs = NewFilesystem {
        kind: "tmpfs".to_owned(),
        source: "tmpfs".to_owned(),
        flags: Vec::new(),
        own: vec![("mode".to_owned(), Some("755".to_owned()))],
        label: None,
        copies_up: false,
        idmap: None,
    };
    let mounted = make(&tmpfs, attributes - Attr::RDONLY, target)?;
    attach(&mounted, target)?;
    for hierarchy in hierarchies {
        rustix::fs::mkdirat(
            &mounted,
            hierarchy.name.as_str(),
            Mode::from_raw_mode(0o755),
        )
        .tried(|| format!("mkdir {}", hierarchy.name))?;
        move_mount(
            &hierarchy.tree,
            c"",
            &mounted,
            hierarchy.name.as_str(),
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .tried(|| format!("attach cgroup {}", hierarchy.name))?;
        for alias in &hierarchy.aliases {
            rustix::fs::symlinkat(hierarchy.name.as_str(), &mounted, alias.as_str())
                .tried(|| format!("symlink {alias}"))?;
        }
    }
    if attributes.contains(Attr::RDONLY) {
        let sealed = Change {
            set: Attr::RDONLY,
            ..Change::default()
        };
        set_attributes(&mounted, Depth::One, &sealed).tried(|| "make it read-only".to_owned())?;
    }
    Ok(())
}
