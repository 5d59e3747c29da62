//! From the runtime spec's resources to the controllers: which limit goes to whom, and what cannot be.

use oci::runtime::{LinuxResources, Network, Rdma};

use crate::device::rules;
use crate::error::{Error, Result};
use crate::group::{Group, Place};
use crate::hierarchy::Controller;
use crate::{v1, v2};

/// Sets every limit that is asked for, memory first: it is the one that most often cannot be.
pub(crate) fn apply(group: &Group, resources: &LinuxResources) -> Result<()> {
    if let Some(memory) = &resources.memory
        && v1::memory::asks_for_something(memory)
    {
        match group.require(Controller::Memory, "memory")? {
            Place::V1(dir) => v1::memory::apply(dir, memory)?,
            Place::V2(dir) => v2::memory::apply(dir, memory)?,
        }
    }
    if let Some(cpu) = &resources.cpu {
        if v1::cpu::asks_for_something(cpu) {
            match group.require(Controller::Cpu, "cpu")? {
                Place::V1(dir) => v1::cpu::apply(dir, cpu)?,
                Place::V2(dir) => v2::cpu::apply(dir, cpu)?,
            }
        }
        if !cpu.cpus.is_empty() || !cpu.mems.is_empty() {
            // The files are the same in both versions.
            let (Place::V1(dir) | Place::V2(dir)) = group.require(Controller::Cpuset, "cpuset")?;
            v1::cpuset::apply(dir, cpu)?;
        }
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        match group.place(Controller::Pids) {
            Some(Place::V1(dir) | Place::V2(dir)) => v1::pids::apply(dir, limit)?,
            None if limit <= 0 => {}
            None => {
                return Err(Error::NoController {
                    limit: "pids",
                    controller: Controller::Pids,
                });
            }
        }
    }
    if let Some(block_io) = &resources.block_io
        && v1::blkio::asks_for_something(block_io)
    {
        match group.require(Controller::Blkio, "blockIO")? {
            Place::V1(dir) => v1::blkio::apply(dir, block_io)?,
            Place::V2(dir) => v2::io::apply(dir, block_io)?,
        }
    }
    for huge in &resources.hugepage_limits {
        match group.require(Controller::Hugetlb, "hugepageLimits")? {
            Place::V1(dir) => v1::hugetlb::apply(dir, huge, "limit_in_bytes")?,
            Place::V2(dir) => v1::hugetlb::apply(dir, huge, "max")?,
        }
    }
    if let Some(network) = &resources.network {
        apply_network(group, network)?;
    }
    for (device, limits) in &resources.rdma {
        apply_rdma(group, device, limits)?;
    }
    if !resources.devices.is_empty() {
        let rules = rules(&resources.devices)?;
        match group.require(Controller::Devices, "devices")? {
            Place::V1(dir) => v1::devices::apply(dir, &rules)?,
            Place::V2(dir) => v2::devices::apply(dir, &rules)?,
        }
    }
    apply_unified(group, resources)
}

fn apply_network(group: &Group, network: &Network) -> Result<()> {
    if let Some(class) = network.class_id.filter(|class| *class != 0) {
        let (Place::V1(dir) | Place::V2(dir)) =
            group.require(Controller::NetCls, "network.classID")?;
        dir.set(Controller::NetCls, "net_cls.classid", class)?;
    }
    for one in &network.priorities {
        let (Place::V1(dir) | Place::V2(dir)) =
            group.require(Controller::NetPrio, "network.priorities")?;
        let value = format!("{} {}", one.name, one.priority);
        dir.set(Controller::NetPrio, "net_prio.ifpriomap", value)?;
    }
    Ok(())
}

/// `rdma.max` is the same in both versions.
fn apply_rdma(group: &Group, device: &str, limits: &Rdma) -> Result<()> {
    let (Place::V1(dir) | Place::V2(dir)) = group.require(Controller::Rdma, "rdma")?;
    let mut value = device.to_owned();
    if let Some(handles) = limits.hca_handles {
        value.push_str(&format!(" hca_handle={handles}"));
    }
    if let Some(objects) = limits.hca_objects {
        value.push_str(&format!(" hca_object={objects}"));
    }
    dir.set(Controller::Rdma, "rdma.max", value)
}

/// Files of the v2 group by name, as `linux.resources.unified` has them; they come last and so win.
fn apply_unified(group: &Group, resources: &LinuxResources) -> Result<()> {
    for (file, value) in &resources.unified {
        let plain = file.contains('.') && !file.starts_with('.') && !file.contains(['/', '\0']);
        if !plain {
            return Err(Error::UnifiedKey { file: file.clone() });
        }
        let tree = group.unified.as_ref().ok_or(Error::Unsupported {
            limit: "unified",
            reason: "this machine has no cgroup v2 tree",
        })?;
        let owner = file.split('.').next().and_then(Controller::from_name);
        let controller = owner.unwrap_or(Controller::Core);
        if owner.is_some() && !tree.controllers.contains(&controller) {
            return Err(Error::NoController {
                limit: "unified",
                controller,
            });
        }
        tree.dir.set(controller, file, value)?;
    }
    Ok(())
}
