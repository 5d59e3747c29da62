//! The cpuset controller of both versions: on which CPUs and memory nodes.
//!
//! On v1 a group starts with none of them and cannot be entered; so our parent groups hand theirs down by
//! `cgroup.clone_children`, and a group under a foreign parent is filled by hand. See cgroup-v1/cpusets.rst.

use oci::runtime::Cpu;

use crate::dir::Dir;
use crate::error::Result;
use crate::hierarchy::Controller;

const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

pub(crate) fn apply(dir: &Dir, cpu: &Cpu) -> Result<()> {
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if !value.is_empty() {
            dir.set(Controller::Cpuset, file, value)?;
        }
    }
    Ok(())
}

/// Makes the children of a new v1 group start with its CPUs and memory nodes. The group itself is filled by
/// [`inherit`], on the way to its first child.
pub(crate) fn prepare_parent(parent: &Dir) -> rustix::io::Result<()> {
    let above = parent.at("..", parent.group());
    for file in FILES {
        if parent.try_get(file)?.trim().is_empty() {
            parent.try_set(file, above.try_get(file)?.trim())?;
        }
    }
    parent.try_set("cgroup.clone_children", "1")
}

/// Gives a v1 group that has no CPUs or memory nodes those of its parent, and its parents those of theirs.
pub(crate) fn inherit(root: &Dir, path: &str, dir: &Dir, is_new: bool) -> Result<()> {
    let is_empty = |file| Ok(dir.get(Controller::Cpuset, file)?.trim().is_empty());
    let [cpus, mems] = FILES;
    // A parent that hands down hands both down, so a new group has both or none.
    let no_mems = is_empty(mems)?;
    let no_cpus = if is_new { no_mems } else { is_empty(cpus)? };
    for (file, _) in [(cpus, no_cpus), (mems, no_mems)]
        .into_iter()
        .filter(|(_, empty)| *empty)
    {
        let mut value = root.get(Controller::Cpuset, file)?;
        for (at, _) in path.match_indices('/') {
            let parent = root.at(&path[..at], dir.group());
            let own = parent.get(Controller::Cpuset, file)?;
            if own.trim().is_empty() {
                parent.set(Controller::Cpuset, file, value.trim())?;
            } else {
                value = own;
            }
        }
        dir.set(Controller::Cpuset, file, value.trim())?;
    }
    Ok(())
}
