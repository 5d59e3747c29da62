//! Where a process stands in the cgroup trees of this machine: v1, hybrid or v2.

use std::path::PathBuf;

/// Whether the machine has one unified tree with controllers.
#[must_use]
pub fn is_unified() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The folder of a process's cgroup for a controller.
///
/// # Panics
/// When the process has gone or the machine has no such controller.
#[track_caller]
#[must_use]
pub fn folder(pid: i32, controller: &str) -> PathBuf {
    let text = crate::proc::read(pid, "cgroup").unwrap_or_else(|| panic!("no process {pid}"));
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next(), parts.next());
        let (Some(controllers), Some(path)) = (controllers, path) else {
            continue;
        };
        let matches = match is_unified() {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|name| name == controller),
        };
        if matches {
            return hierarchy(controller).join(path.trim_start_matches('/'));
        }
    }
    panic!("process {pid} is in no {controller} cgroup:\n{text}");
}

/// Where a controller's tree is mounted.
///
/// # Panics
/// When it is not.
#[track_caller]
#[must_use]
pub fn hierarchy(controller: &str) -> PathBuf {
    if is_unified() {
        return PathBuf::from("/sys/fs/cgroup");
    }
    let info = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    info.lines()
        .find_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let point = left.split(' ').nth(4)?;
            let mut right = right.split(' ');
            let (kind, _, options) = (right.next()?, right.next()?, right.next()?);
            let has = options.split(',').any(|name| name == controller);
            (kind == "cgroup" && has).then(|| PathBuf::from(point))
        })
        .unwrap_or_else(|| panic!("the {controller} controller is mounted nowhere"))
}

/// The content of a cgroup file, trimmed; v1 and v2 name it differently.
///
/// # Panics
/// When it cannot be read.
#[track_caller]
#[must_use]
pub fn read(pid: i32, controller: &str, v1: &str, v2: &str) -> String {
    let file = folder(pid, controller).join(if is_unified() { v2 } else { v1 });
    std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        .trim()
        .to_owned()
}

/// Every cgroup folder of that name, directly below the root of each tree.
#[must_use]
pub fn named(name: &str) -> Vec<PathBuf> {
    let Ok(trees) = std::fs::read_dir("/sys/fs/cgroup") else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = trees
        .flatten()
        .map(|tree| tree.path().join(name))
        .chain([PathBuf::from("/sys/fs/cgroup").join(name)])
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.dedup();
    found
}
