//! Which limits this machine can keep: what `info` shows and what a request is checked against.

use std::fs;
use std::path::Path;

use crate::hierarchy::{Controller, Host, Mode};

/// The limits that can be set on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent line of Docker's info"
)]
pub struct Features {
    /// Cgroup version as Docker counts: 2 only when the v2 tree has the controllers.
    pub version: u8,
    /// Limit of memory.
    pub memory: bool,
    /// Limit of memory plus swap.
    pub swap: bool,
    /// Soft limit of memory.
    pub memory_reservation: bool,
    /// The OOM killer can be turned off (v1).
    pub oom_kill_disable: bool,
    /// Swappiness by group (v1).
    pub swappiness: bool,
    /// Kernel memory of TCP buffers (v1).
    pub kernel_memory_tcp: bool,
    /// Weight of CPU time.
    pub cpu_shares: bool,
    /// Quota of CPU time.
    pub cpu_quota: bool,
    /// Real-time budget of CPU time (v1).
    pub cpu_realtime: bool,
    /// Choice of CPUs and memory nodes.
    pub cpuset: bool,
    /// Limit of tasks.
    pub pids: bool,
    /// Weight of block I/O.
    pub blkio_weight: bool,
    /// Rates of block I/O.
    pub blkio_throttle: bool,
    /// Device rules.
    pub devices: bool,
    /// CPUs that a group may use, as a list such as `0-3`.
    pub cpus: String,
    /// Memory nodes that a group may use, as a list.
    pub mems: String,
}

impl Host {
    /// Looks up what can be limited. A handful of file lookups: ask once and keep the answer.
    #[must_use]
    pub fn features(&self) -> Features {
        let v1 = |controller, file: &str| {
            self.legacy.iter().any(|h| {
                h.controllers.contains(&controller)
                    && (h.mount.join(file).exists() || in_a_child(&h.mount, file))
            })
        };
        let tree = |controller| {
            self.unified
                .as_ref()
                .is_some_and(|tree| tree.controllers.contains(&controller))
        };
        let tree_file = |controller, file| {
            tree(controller)
                && self
                    .unified
                    .as_ref()
                    .is_some_and(|tree| in_a_child(&tree.mount, file))
        };
        let (cpus, mems) = self.available();
        Features {
            version: if self.mode() == Mode::Unified { 2 } else { 1 },
            memory: self.has(Controller::Memory),
            swap: v1(Controller::Memory, "memory.memsw.limit_in_bytes")
                || tree_file(Controller::Memory, "memory.swap.max"),
            memory_reservation: self.has(Controller::Memory),
            oom_kill_disable: v1(Controller::Memory, "memory.oom_control"),
            swappiness: v1(Controller::Memory, "memory.swappiness"),
            kernel_memory_tcp: v1(Controller::Memory, "memory.kmem.tcp.limit_in_bytes"),
            cpu_shares: self.has(Controller::Cpu),
            cpu_quota: v1(Controller::Cpu, "cpu.cfs_quota_us") || tree(Controller::Cpu),
            cpu_realtime: v1(Controller::Cpu, "cpu.rt_runtime_us"),
            cpuset: self.has(Controller::Cpuset),
            pids: self.has(Controller::Pids),
            blkio_weight: v1(Controller::Blkio, "blkio.weight")
                // BFQ's weight is not in the root, its counters are.
                || v1(Controller::Blkio, "blkio.bfq.io_service_bytes")
                || tree_file(Controller::Blkio, "io.bfq.weight")
                || tree_file(Controller::Blkio, "io.weight"),
            blkio_throttle: v1(Controller::Blkio, "blkio.throttle.read_bps_device")
                || tree(Controller::Blkio),
            devices: self.has(Controller::Devices),
            cpus,
            mems,
        }
    }

    fn available(&self) -> (String, String) {
        let legacy = self
            .legacy
            .iter()
            .find(|h| h.controllers.contains(&Controller::Cpuset))
            .map(|h| &h.mount);
        let mount = legacy.or(self.unified.as_ref().map(|tree| &tree.mount));
        let read = |names: [&str; 2], machine: &str| {
            let files = names
                .iter()
                .filter_map(|name| mount.map(|mount| mount.join(name)));
            files
                .chain([Path::new(machine).to_owned()])
                .find_map(|path| fs::read_to_string(path).ok())
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        (
            read(
                ["cpuset.effective_cpus", "cpuset.cpus.effective"],
                "/sys/devices/system/cpu/online",
            ),
            read(
                ["cpuset.effective_mems", "cpuset.mems.effective"],
                "/sys/devices/system/node/online",
            ),
        )
    }
}

/// Whether any group below the root has the file: some are not in the root itself.
fn in_a_child(mount: &Path, file: &str) -> bool {
    let Ok(entries) = fs::read_dir(mount) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.path().join(file).exists())
}

#[cfg(test)]
mod tests {
    use crate::hierarchy::host;

    #[test]
    fn the_machine_says_what_it_can_limit() {
        let features = host().expect("cgroups").features();
        assert!(matches!(features.version, 1 | 2));
        assert!(features.devices);
        assert!(features.cpus.starts_with('0'), "{features:?}");
    }
}
