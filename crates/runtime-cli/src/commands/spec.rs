//! `spec`: writes a `config.json` to begin with.

use std::path::{Path, PathBuf};

use oci::runtime::{
    Capabilities, DeviceRule, IdMapping, Linux, LinuxResources, Mount, Namespace, NamespaceKind,
    Process, Rlimit, Root, Spec,
};

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given, switch, value};

pub(crate) const COMMAND: Command = Command {
    name: "spec",
    arguments: "",
    about: "write a specification to begin with",
    flags: &[
        value(&["bundle", "b"], "folder of the bundle (default: .)"),
        value(
            &["file", "f"],
            "file to write in the place of the bundle's config.json (crun's option)",
        ),
        switch(&["rootless"], "for a user without privileges"),
    ],
    ends: Ends::Never,
    run,
};

fn run(_: &Globals, given: &Given) -> Result<u8, Error> {
    let folder = Path::new(given.text("bundle").unwrap_or("."));
    let name = given.text("file").unwrap_or("config.json");
    let path: PathBuf = folder.join(name);
    if path.exists() {
        return Err(Error::SpecExists {
            name: name.to_owned(),
        });
    }
    let mut spec = example();
    if given.is_on("rootless") {
        make_rootless(&mut spec);
    }
    let text = serde_json::to_string_pretty(&spec).map_err(|source| Error::Json {
        path: path.clone(),
        source,
    })?;
    crate::record::replace(&path, (text + "\n").as_bytes())?;
    Ok(0)
}

fn strings(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

fn mount(destination: &str, kind: &str, source: &str, options: &str) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: strings(options),
        ..Mount::default()
    }
}

/// A shell in a read-only root with few rights and everything of its own.
fn example() -> Spec {
    Spec {
        oci_version: oci::runtime::VERSION.to_owned(),
        process: Some(process()),
        root: Some(Root {
            path: "rootfs".into(),
            readonly: true,
        }),
        hostname: "estiva".to_owned(),
        mounts: vec![
            mount("/proc", "proc", "proc", ""),
            mount(
                "/dev",
                "tmpfs",
                "tmpfs",
                "nosuid strictatime mode=755 size=65536k",
            ),
            mount(
                "/dev/pts",
                "devpts",
                "devpts",
                "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5",
            ),
            mount(
                "/dev/shm",
                "tmpfs",
                "shm",
                "nosuid noexec nodev mode=1777 size=65536k",
            ),
            mount("/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev"),
            mount("/sys", "sysfs", "sysfs", "nosuid noexec nodev ro"),
            mount(
                "/sys/fs/cgroup",
                "cgroup",
                "cgroup",
                "nosuid noexec nodev relatime ro",
            ),
        ],
        linux: Some(linux()),
        ..Spec::default()
    }
}

fn process() -> Process {
    let caps = strings("CAP_AUDIT_WRITE CAP_KILL CAP_NET_BIND_SERVICE");
    Process {
        terminal: true,
        args: strings("sh"),
        env: strings(
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=xterm",
        ),
        cwd: "/".to_owned(),
        capabilities: Some(Capabilities {
            bounding: caps.clone(),
            effective: caps.clone(),
            permitted: caps,
            ..Capabilities::default()
        }),
        rlimits: vec![Rlimit {
            kind: "RLIMIT_NOFILE".to_owned(),
            hard: 1024,
            soft: 1024,
        }],
        no_new_privileges: true,
        ..Process::default()
    }
}

fn linux() -> Linux {
    let mut kinds = vec![
        NamespaceKind::Pid,
        NamespaceKind::Network,
        NamespaceKind::Ipc,
        NamespaceKind::Uts,
        NamespaceKind::Mount,
    ];
    // The v1 hierarchies are shown by bind mounts, which need none.
    if cgroup::is_unified() {
        kinds.push(NamespaceKind::Cgroup);
    }
    Linux {
        resources: Some(LinuxResources {
            devices: vec![DeviceRule {
                access: "rwm".to_owned(),
                ..DeviceRule::default()
            }],
            ..LinuxResources::default()
        }),
        namespaces: kinds.into_iter().map(Namespace::new).collect(),
        masked_paths: strings(
            "/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list \
             /proc/timer_stats /proc/sched_debug /sys/firmware /proc/scsi",
        ),
        readonly_paths: strings("/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"),
        ..Linux::default()
    }
}

/// A user namespace in which the caller is root; nothing that only the host's root may do.
fn make_rootless(spec: &mut Spec) {
    let linux = spec.linux.get_or_insert_default();
    linux.resources = None;
    linux
        .namespaces
        .retain(|namespace| namespace.kind != NamespaceKind::Network);
    linux.namespaces.push(Namespace::new(NamespaceKind::User));
    let one = |host_id| {
        vec![IdMapping {
            container_id: 0,
            host_id,
            size: 1,
        }]
    };
    linux.uid_mappings = one(rustix::process::geteuid().as_raw());
    linux.gid_mappings = one(rustix::process::getegid().as_raw());
    for mount in &mut spec.mounts {
        // Ids that are not mapped.
        mount
            .options
            .retain(|word| !word.starts_with("gid=") && !word.starts_with("uid="));
        if mount.kind == "sysfs" {
            mount.kind = "none".to_owned();
            mount.source = "/sys".to_owned();
            mount.options = strings("rbind nosuid noexec nodev ro");
        }
    }
    spec.mounts.retain(|mount| mount.kind != "cgroup");
}
