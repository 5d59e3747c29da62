//! What a group has used: everything that Docker's statistics show, in the kernel's own units.

use std::collections::BTreeMap;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::group::{Group, Place};
use crate::hierarchy::Controller;
use crate::{text, v1, v2};

/// A reading of all counters of a group. What a missing controller would count is zero or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Tasks.
    pub pids: PidsStats,
    /// Block I/O.
    pub io: IoStats,
    /// Huge pages by their size, as the kernel names it: `2MB`.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

/// CPU time, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// User and kernel time.
    pub total: u64,
    /// Kernel time.
    pub kernel: u64,
    /// User time.
    pub user: u64,
    /// Time by CPU; v1 only, empty on v2.
    pub per_cpu: Vec<u64>,
    /// Periods with a quota that have passed.
    pub periods: u64,
    /// Periods in which the quota was used up.
    pub throttled_periods: u64,
    /// Time spent waiting for quota.
    pub throttled_time: u64,
    /// CPU time of the whole machine, without steal and guest time. See proc_stat(5).
    pub system: u64,
    /// CPUs of the machine.
    pub online_cpus: u32,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// In use, page cache included.
    pub usage: u64,
    /// The most that was in use; `None` where the kernel does not count it.
    pub max_usage: Option<u64>,
    /// The limit, or the machine's memory when that is less.
    pub limit: u64,
    /// How often the limit was hit; v1 only.
    pub failcnt: Option<u64>,
    /// How often the OOM killer struck.
    pub oom_kills: u64,
    /// Swap in use.
    pub swap: Option<u64>,
    /// The lines of `memory.stat`.
    pub stat: BTreeMap<String, u64>,
}

/// Tasks (threads count).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// The limit; `None` is unlimited.
    pub limit: Option<u64>,
}

/// Huge pages of one size, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HugetlbStats {
    /// In use.
    pub usage: u64,
    /// The most that was in use; v1 only.
    pub max_usage: Option<u64>,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Block I/O by device and operation, child groups included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IoStats {
    /// Bytes.
    pub service_bytes: Vec<IoEntry>,
    /// Operations.
    pub serviced: Vec<IoEntry>,
}

/// One count of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IoEntry {
    /// The device's major number.
    pub major: u64,
    /// The device's minor number.
    pub minor: u64,
    /// `Read`, `Write`, … on v1; `read`, `write` on v2, as Docker has them.
    pub op: String,
    /// The count.
    pub value: u64,
}

/// Reads all counters of a group.
pub(crate) fn read(group: &Group) -> Result<Stats> {
    let mut stats = Stats::default();
    read_system(&mut stats.cpu)?;
    read_cpu(group, &mut stats.cpu)?;
    match group.place(Controller::Memory) {
        Some(Place::V1(dir)) => v1::memory::read(dir, &mut stats.memory)?,
        Some(Place::V2(dir)) => v2::memory::read(dir, &mut stats.memory)?,
        None => {}
    }
    if group.place(Controller::Memory).is_some() {
        let machine = machine_memory();
        if stats.memory.limit == 0 || stats.memory.limit > machine {
            stats.memory.limit = machine;
        }
    }
    if let Some(Place::V1(dir) | Place::V2(dir)) = group.place(Controller::Pids) {
        stats.pids = read_pids(dir)?;
    }
    match group.place(Controller::Blkio) {
        Some(Place::V1(dir)) => v1::blkio::read(dir, &mut stats.io)?,
        Some(Place::V2(dir)) => v2::io::read(dir, &mut stats.io)?,
        None => {}
    }
    if let Some(place) = group.place(Controller::Hugetlb) {
        for size in v1::hugetlb::sizes() {
            let used = v1::hugetlb::read(&place, &size)?;
            stats.hugetlb.insert(size, used);
        }
    }
    Ok(stats)
}

fn read_cpu(group: &Group, stats: &mut CpuStats) -> Result<()> {
    match group.place(Controller::Cpuacct) {
        Some(Place::V1(dir)) => v1::cpuacct::read(dir, stats)?,
        _ => {
            // `cpu.stat` with usage is part of the v2 core: it is there without the cpu controller.
            if let Some(tree) = &group.unified {
                v2::cpu::read(&tree.dir, stats)?;
            }
        }
    }
    if let Some(Place::V1(dir)) = group.place(Controller::Cpu) {
        v1::cpu::read(dir, stats)?;
    }
    Ok(())
}

/// `pids.current` and `pids.max` are the same in both versions.
fn read_pids(dir: &Dir) -> Result<PidsStats> {
    Ok(PidsStats {
        current: text::number(&dir.get(Controller::Pids, "pids.current")?),
        limit: text::limit(&dir.get(Controller::Pids, "pids.max")?),
    })
}

/// The machine's memory in bytes. See sysinfo(2).
fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    #[allow(
        clippy::unnecessary_cast,
        reason = "the width differs between architectures"
    )]
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit))
}

fn read_system(stats: &mut CpuStats) -> Result<()> {
    let path = "/proc/stat";
    let stat = std::fs::read_to_string(path).map_err(|source| Error::Proc { path, source })?;
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let (ticks, cpus) = parse_proc_stat(&stat);
    stats.system = ticks.saturating_mul(1_000_000_000 / ticks_per_second);
    stats.online_cpus = cpus;
    Ok(())
}

/// Ticks of user, nice, system, idle, iowait, irq and softirq time of all CPUs, and the number of CPUs.
fn parse_proc_stat(text: &str) -> (u64, u32) {
    let mut ticks = 0;
    let mut cpus = 0;
    for line in text.lines().take_while(|line| line.starts_with("cpu")) {
        let mut words = line.split_ascii_whitespace();
        if words.next() == Some("cpu") {
            ticks = words
                .take(7)
                .filter_map(|word| word.parse::<u64>().ok())
                .sum();
        } else {
            cpus += 1;
        }
    }
    (ticks, cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_time_leaves_out_steal_and_guest() {
        let text = "cpu  10 1 5 100 2 3 4 50 60 70\ncpu0 1 2 3\ncpu1 1 2 3\nintr 99\n";
        assert_eq!(parse_proc_stat(text), (125, 2));
    }
}
