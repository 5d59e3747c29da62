//! Which cgroup hierarchies this machine has and which controllers live where; found once per process.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode as FileMode, OFlags, openat};

use crate::dir::Dir;
use crate::error::{Error, Result};

/// A resource controller, under its v1 name where the versions differ (v2 calls [`Controller::Blkio`] `io`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// Shares, quotas and real-time budgets of CPU time.
    Cpu,
    /// CPU time accounting (v1; part of `cpu` on v2).
    Cpuacct,
    /// On which CPUs and memory nodes.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// Which device nodes may be used (v1; a BPF program on v2).
    Devices,
    /// Stop and go (v1; part of the core on v2).
    Freezer,
    /// Class ids for network packets (v1).
    NetCls,
    /// Priorities of network packets (v1).
    NetPrio,
    /// Block I/O; `io` on v2.
    Blkio,
    /// perf events by group.
    PerfEvent,
    /// Huge pages.
    Hugetlb,
    /// Number of tasks.
    Pids,
    /// RDMA handles.
    Rdma,
    /// Scalar resources such as SEV ids.
    Misc,
    /// The core's own files, such as `cgroup.procs`.
    Core,
}

impl Controller {
    const NAMES: [(&'static str, Controller); 14] = [
        ("cpu", Controller::Cpu),
        ("cpuacct", Controller::Cpuacct),
        ("cpuset", Controller::Cpuset),
        ("memory", Controller::Memory),
        ("devices", Controller::Devices),
        ("freezer", Controller::Freezer),
        ("net_cls", Controller::NetCls),
        ("net_prio", Controller::NetPrio),
        ("blkio", Controller::Blkio),
        ("perf_event", Controller::PerfEvent),
        ("hugetlb", Controller::Hugetlb),
        ("pids", Controller::Pids),
        ("rdma", Controller::Rdma),
        ("misc", Controller::Misc),
    ];

    /// The controller of this name, as mount options and `cgroup.controllers` spell it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Controller> {
        if name == "io" {
            return Some(Controller::Blkio);
        }
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, controller)| *controller)
    }

    /// The v1 name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, known)| *known == self)
            .map_or("cgroup", |(name, _)| name)
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the machine's cgroups are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One v2 tree with all controllers.
    Unified,
    /// v1 hierarchies, and a v2 tree beside them.
    Hybrid,
    /// v1 hierarchies only.
    Legacy,
}

/// One v1 hierarchy.
#[derive(Debug)]
pub struct Hierarchy {
    pub(crate) root: Dir,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The controllers mounted together here; none for a named hierarchy.
    pub controllers: Vec<Controller>,
    /// The name of a hierarchy such as `name=systemd`.
    pub name: Option<String>,
}

impl Hierarchy {
    /// What `/proc/PID/cgroup` calls it, e.g. `cpu,cpuacct` or `name=systemd`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("name={name}"),
            None => {
                let names: Vec<_> = self.controllers.iter().map(|c| c.name()).collect();
                names.join(",")
            }
        }
    }
}

/// The v2 tree.
#[derive(Debug)]
pub struct Unified {
    pub(crate) root: Dir,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The controllers that its root can hand down.
    pub controllers: Vec<Controller>,
}

/// All hierarchies of the machine, with their roots held open.
#[derive(Debug)]
pub struct Host {
    /// The v1 hierarchies, in mount order.
    pub legacy: Vec<Hierarchy>,
    /// The v2 tree.
    pub unified: Option<Unified>,
}

impl Host {
    /// How the machine's cgroups are laid out.
    #[must_use]
    pub fn mode(&self) -> Mode {
        let legacy_controllers = self.legacy.iter().any(|h| !h.controllers.is_empty());
        match (&self.unified, legacy_controllers) {
            (Some(_), false) => Mode::Unified,
            (Some(_), true) => Mode::Hybrid,
            (None, _) => Mode::Legacy,
        }
    }

    /// Whether this machine has the controller, in whichever version.
    #[must_use]
    pub fn has(&self, controller: Controller) -> bool {
        let in_tree = |tree: &Unified| match controller {
            // Part of the v2 core: device programs and cgroup.freeze.
            Controller::Devices | Controller::Freezer | Controller::Cpuacct => true,
            _ => tree.controllers.contains(&controller),
        };
        self.legacy
            .iter()
            .any(|h| h.controllers.contains(&controller))
            || self.unified.as_ref().is_some_and(in_tree)
    }
}

/// The machine's hierarchies, looked up at the first call and kept for the life of the process and its forks.
///
/// # Errors
/// When no cgroup file system is mounted or the mounts cannot be read.
pub fn host() -> Result<&'static Host> {
    static HOST: OnceLock<Host> = OnceLock::new();
    if let Some(host) = HOST.get() {
        return Ok(host);
    }
    let found = detect()?;
    Ok(HOST.get_or_init(|| found))
}

/// Whether the v2 tree has the controllers: Docker's cgroup version 2. False on a machine without cgroups.
#[must_use]
pub fn is_unified() -> bool {
    host().is_ok_and(|host| host.mode() == Mode::Unified)
}

fn detect() -> Result<Host> {
    let path = Path::new("/proc/self/mountinfo");
    let text = read(path).map_err(|source| Error::Mounts {
        path: path.to_owned(),
        source,
    })?;
    let mut host = Host {
        legacy: Vec::new(),
        unified: None,
    };
    for mount in parse(&text) {
        // A mount that is hidden under another or may not be entered is not one we can use.
        let Some(root) = open_root(&mount.point, mount.kind.magic()) else {
            continue;
        };
        let root = Dir::root(root);
        match mount.kind {
            Kind::Unified if host.unified.is_none() => {
                let controllers = root.get(Controller::Core, "cgroup.controllers")?;
                host.unified = Some(Unified {
                    root,
                    mount: mount.point,
                    controllers: controllers
                        .split_whitespace()
                        .filter_map(Controller::from_name)
                        .collect(),
                });
            }
            Kind::Legacy { controllers, name } => {
                let known = |h: &Hierarchy| h.controllers == controllers && h.name == name;
                if !host.legacy.iter().any(known) {
                    host.legacy.push(Hierarchy {
                        root,
                        mount: mount.point,
                        controllers,
                        name,
                    });
                }
            }
            Kind::Unified => {}
        }
    }
    if host.legacy.is_empty() && host.unified.is_none() {
        return Err(Error::NoHierarchy);
    }
    Ok(host)
}

/// Where a file system of this type is mounted first.
pub(crate) fn mount_of(kind: &str) -> Result<Option<PathBuf>> {
    let path = Path::new("/proc/self/mountinfo");
    let text = read(path).map_err(|source| Error::Mounts {
        path: path.to_owned(),
        source,
    })?;
    let found = text.lines().find_map(|line| {
        let (fields, tail) = line.split_once(" - ")?;
        let point = fields.split(' ').nth(4)?;
        (tail.split(' ').next() == Some(kind)).then(|| PathBuf::from(unescape(point)))
    });
    Ok(found)
}

/// Reads a list of the kernel's in as few pieces as can be: each costs it a walk over all mounts before.
fn read(path: &Path) -> std::io::Result<String> {
    let file = openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC,
        FileMode::empty(),
    )?;
    let mut text = Vec::with_capacity(32 << 10);
    while rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text))? > 0 {
        text.reserve(32 << 10);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn open_root(point: &Path, magic: u64) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = openat(CWD, point, flags, FileMode::empty()).ok()?;
    let found = rustix::fs::fstatfs(&fd).ok()?.f_type;
    (u64::try_from(found) == Ok(magic)).then_some(fd)
}

// --- mountinfo ---

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Unified,
    Legacy {
        controllers: Vec<Controller>,
        name: Option<String>,
    },
}

impl Kind {
    /// The file system's magic number. See statfs(2).
    fn magic(&self) -> u64 {
        match self {
            Kind::Unified => 0x6367_7270,
            Kind::Legacy { .. } => 0x0027_e0eb,
        }
    }
}

/// The cgroup mounts among the lines of mountinfo. See proc_pid_mountinfo(5).
fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mount> {
    let (fields, tail) = line.split_once(" - ")?;
    let point = PathBuf::from(unescape(fields.split(' ').nth(4)?));
    let mut tail = tail.split(' ');
    let kind = match tail.next()? {
        "cgroup2" => Kind::Unified,
        "cgroup" => {
            let options = tail.nth(1)?;
            let controllers: Vec<_> = options
                .split(',')
                .filter_map(Controller::from_name)
                .collect();
            let name = options
                .split(',')
                .find_map(|option| option.strip_prefix("name="))
                .map(str::to_owned);
            if controllers.is_empty() && name.is_none() {
                return None;
            }
            Kind::Legacy { controllers, name }
        }
        _ => return None,
    };
    Some(Mount { point, kind })
}

/// Undoes the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                plain.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                plain.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comounted_named_and_unified_hierarchies_are_told_apart() {
        let text = "\
24 30 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw
33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct
34 25 0:30 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
35 25 0:31 / /mnt/with\\040space rw - cgroup2 cgroup2 rw,nsdelegate
36 25 0:32 / /odd rw - cgroup cgroup rw,none
";
        let legacy = |controllers: &[Controller], name: Option<&str>| Kind::Legacy {
            controllers: controllers.to_vec(),
            name: name.map(str::to_owned),
        };
        let found: Vec<_> = parse(text)
            .into_iter()
            .map(|m| (m.point.to_string_lossy().into_owned(), m.kind))
            .collect();
        assert_eq!(
            found,
            [
                (
                    "/sys/fs/cgroup/cpu,cpuacct".to_owned(),
                    legacy(&[Controller::Cpu, Controller::Cpuacct], None)
                ),
                (
                    "/sys/fs/cgroup/systemd".to_owned(),
                    legacy(&[], Some("systemd"))
                ),
                ("/mnt/with space".to_owned(), Kind::Unified),
            ]
        );
    }

    #[test]
    fn this_machine_has_cgroups() {
        let host = host().expect("the tests run on a machine with cgroups");
        assert!(host.has(Controller::Freezer));
        assert!(host.has(Controller::Devices));
    }
}
