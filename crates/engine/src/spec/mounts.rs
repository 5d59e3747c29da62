//! What is mounted where: the kernel's file systems, our own files, volumes, binds and tmpfs, parents before children.

use std::path::Path;

use oci::IdMap;
use oci::runtime::Mount;

use super::{Facts, namespaces};
use crate::container::{MountKind, MountRecord, Record};
use crate::error::Result;

/// All mounts of a container in the order in which they are made.
pub(crate) fn all(record: &Record, facts: &Facts) -> Result<Vec<Mount>> {
    let host = &record.host;
    let mut list = kernel_mounts(record)?;
    let taken = |at: &str| record.mounts.iter().any(|m| m.destination == at);
    if !taken("/dev/shm") {
        list.extend(shm(record, facts));
    }
    for name in ["resolv.conf", "hostname", "hosts"] {
        let destination = format!("/etc/{name}");
        if !taken(&destination) {
            let source = facts.folder.join(name);
            let mode = if host.readonly_rootfs { "ro" } else { "rw" };
            list.push(mount(
                &destination,
                "bind",
                &source.to_string_lossy(),
                &["rbind", "rprivate", mode],
            ));
        }
    }
    let mut asked: Vec<&MountRecord> = record.mounts.iter().collect();
    // A parent hides what was mounted below it before: fewer components first.
    asked.sort_by_key(|m| Path::new(&m.destination).components().count());
    list.extend(asked.into_iter().map(of_record));
    if let Some(ids) = record.user_namespace {
        let map = ids.on_disk();
        list.iter_mut().for_each(|mount| shift_ids(mount, &map));
    }
    Ok(list)
}

/// The root's propagation: shared or slave mounts need a root that receives events.
pub(crate) fn rootfs_propagation(record: &Record) -> String {
    let any = |kinds: [&str; 2]| {
        record
            .mounts
            .iter()
            .any(|m| kinds.contains(&m.propagation.as_str()))
    };
    if any(["shared", "rshared"]) {
        "shared".into()
    } else if any(["slave", "rslave"]) {
        "rslave".into()
    } else {
        String::new()
    }
}

/// What comes from the host's disk belongs to the same ids inside a user namespace as it does without one.
fn shift_ids(mount: &mut Mount, map: &IdMap) {
    if mount.options.iter().any(|o| o == "rbind" || o == "bind") {
        mount.uid_mappings.clone_from(&map.uids);
        mount.gid_mappings.clone_from(&map.gids);
    }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.into(),
        source: source.into(),
        options: options.iter().map(|&o| o.to_owned()).collect(),
        ..Mount::default()
    }
}

fn kernel_mounts(record: &Record) -> Result<Vec<Mount>> {
    let host = &record.host;
    let rw = if host.privileged { "rw" } else { "ro" };
    let cgroup_mode = if host.privileged
        || host
            .security_opt
            .iter()
            .any(|o| o == "writable-cgroups=true")
    {
        "rw"
    } else {
        "ro"
    };
    let mut list = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", rw]),
        mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &[cgroup_mode, "nosuid", "noexec", "nodev"],
        ),
    ];
    // An mqueue belongs to an ipc namespace: one that is joined brings the other container's queues.
    match namespaces::mode("ipc", &host.ipc_mode)? {
        namespaces::Mode::Host => {
            list.push(mount(
                "/dev/mqueue",
                "bind",
                "/dev/mqueue",
                &["rbind", "nosuid", "noexec", "nodev"],
            ));
        }
        _ => list.push(mount(
            "/dev/mqueue",
            "mqueue",
            "mqueue",
            &["nosuid", "noexec", "nodev"],
        )),
    }
    // The host's mqueue may not be mounted at all.
    list.retain(|m| m.source != "/dev/mqueue" || Path::new("/dev/mqueue").exists());
    let hidden = |m: &Mount| {
        record
            .mounts
            .iter()
            .any(|asked| Path::new(&asked.destination) == m.destination)
    };
    list.retain(|m| !hidden(m));
    Ok(list)
}

fn shm(record: &Record, facts: &Facts) -> Option<Mount> {
    let host = &record.host;
    if host.ipc_mode == "none" {
        return None;
    }
    if let Some(shared) = &facts.shm_dir {
        return Some(mount(
            "/dev/shm",
            "bind",
            &shared.to_string_lossy(),
            &["rbind", "rprivate", "nosuid", "noexec", "nodev"],
        ));
    }
    let size = if host.shm_size > 0 {
        host.shm_size
    } else {
        facts.shm_size
    };
    let size = format!("size={size}");
    Some(mount(
        "/dev/shm",
        "tmpfs",
        "shm",
        &["nosuid", "noexec", "nodev", "mode=1777", &size],
    ))
}

fn of_record(record: &MountRecord) -> Mount {
    let source = record.source.to_string_lossy();
    let rw = if record.writable { "rw" } else { "ro" };
    if record.kind == MountKind::Tmpfs {
        let mut options = vec!["noexec", "nosuid", "nodev"];
        for option in &record.tmpfs_options {
            // A later word takes back an earlier one: exec after noexec.
            let opposite = option
                .strip_prefix("no")
                .map_or_else(|| format!("no{option}"), str::to_owned);
            options.retain(|o| *o != opposite && o != option);
            options.push(option);
        }
        if !record.writable {
            options.push("ro");
        }
        return mount(&record.destination, "tmpfs", "tmpfs", &options);
    }
    let bind = if record.non_recursive {
        "bind"
    } else {
        "rbind"
    };
    let propagation = if record.propagation.is_empty() {
        "rprivate"
    } else {
        &record.propagation
    };
    // Read-only means all of it, submounts too, unless the user says otherwise (Docker 25).
    let ro = match (
        record.writable,
        record.non_recursive || record.read_only_non_recursive,
    ) {
        (true, _) => rw,
        (false, true) => "ro",
        (false, false) => "rro",
    };
    let mut options = vec![bind, propagation, ro];
    if record.subpath.is_some() {
        // Every container that has the volume can put a link there after it was looked up.
        options.push("src-nofollow");
    }
    mount(&record.destination, "bind", &source, &options)
}
