//! The v1 controllers, one file each. A controller whose files are the same in v2 serves both.

pub(crate) mod blkio;
pub(crate) mod cpu;
pub(crate) mod cpuacct;
pub(crate) mod cpuset;
pub(crate) mod devices;
pub(crate) mod hugetlb;
pub(crate) mod memory;
pub(crate) mod pids;

use crate::dir::Dir;
use crate::hierarchy::{Controller, Hierarchy};

/// Makes a new parent group fit for children: with cpuset, children take over its CPUs and memory nodes.
pub(crate) fn prepare_parent(hierarchy: &Hierarchy, parent: &Dir) -> rustix::io::Result<()> {
    if hierarchy.controllers.contains(&Controller::Cpuset) {
        cpuset::prepare_parent(parent)?;
    }
    Ok(())
}
