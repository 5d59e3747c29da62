//! Scheduling of CPU, I/O and memory, by the kernel's numbers.

use oci::runtime::{CpuAffinity, IoPriority, Linux, MemoryPolicy, Process, Scheduler};
use rustix::thread::CpuSet;

use crate::error::Error;

/// What is set of it.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    pub(crate) cpu: Option<sys::sched::Attr>,
    /// Class and level.
    pub(crate) io: Option<(u32, u32)>,
    /// Mode with flags, and nodes as bits.
    pub(crate) memory: Option<(u32, Vec<u64>)>,
    /// CPUs of an exec, before and after it joins the cgroup.
    pub(crate) affinity: (Option<CpuSet>, Option<CpuSet>),
}

pub(crate) fn plan(process: &Process, linux: &Linux) -> Result<Schedule, Error> {
    Ok(Schedule {
        cpu: process.scheduler.as_ref().map(cpu).transpose()?,
        io: process.io_priority.as_ref().map(io).transpose()?,
        memory: linux.memory_policy.as_ref().map(memory).transpose()?,
        affinity: match &process.exec_cpu_affinity {
            Some(CpuAffinity { initial, last }) => (cpu_set(initial)?, cpu_set(last)?),
            None => (None, None),
        },
    })
}

fn unknown(member: &str, word: &str) -> Error {
    Error::invalid(member, format!("unknown value {word:?}"))
}

fn cpu(wanted: &Scheduler) -> Result<sys::sched::Attr, Error> {
    const MEMBER: &str = "process.scheduler";
    let policy = match wanted.policy.as_str() {
        "SCHED_OTHER" => 0,
        "SCHED_FIFO" => 1,
        "SCHED_RR" => 2,
        "SCHED_BATCH" => 3,
        "SCHED_ISO" => 4,
        "SCHED_IDLE" => 5,
        "SCHED_DEADLINE" => 6,
        other => return Err(unknown(MEMBER, other)),
    };
    let mut flags = 0;
    for flag in &wanted.flags {
        flags |= match flag.as_str() {
            "SCHED_FLAG_RESET_ON_FORK" => 0x01,
            "SCHED_FLAG_RECLAIM" => 0x02,
            "SCHED_FLAG_DL_OVERRUN" => 0x04,
            "SCHED_FLAG_KEEP_POLICY" => 0x08,
            "SCHED_FLAG_KEEP_PARAMS" => 0x10,
            "SCHED_FLAG_UTIL_CLAMP_MIN" => 0x20,
            "SCHED_FLAG_UTIL_CLAMP_MAX" => 0x40,
            other => return Err(unknown(MEMBER, other)),
        };
    }
    Ok(sys::sched::Attr {
        policy,
        flags,
        nice: wanted.nice.unwrap_or(0),
        priority: u32::try_from(wanted.priority.unwrap_or(0))
            .map_err(|_| Error::invalid(MEMBER, "the priority is negative"))?,
        runtime: wanted.runtime.unwrap_or(0),
        deadline: wanted.deadline.unwrap_or(0),
        period: wanted.period.unwrap_or(0),
    })
}

fn io(wanted: &IoPriority) -> Result<(u32, u32), Error> {
    const MEMBER: &str = "process.ioPriority";
    let class = match wanted.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => return Err(unknown(MEMBER, other)),
    };
    match u32::try_from(wanted.priority) {
        Ok(level @ 0..=7) => Ok((class, level)),
        _ => Err(Error::invalid(MEMBER, "the priority is not in 0 to 7")),
    }
}

/// The memory policies by name, each at the place of its number.
pub(crate) const POLICIES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

fn memory(wanted: &MemoryPolicy) -> Result<(u32, Vec<u64>), Error> {
    const MEMBER: &str = "linux.memoryPolicy";
    let mode = POLICIES.iter().position(|name| *name == wanted.mode);
    let mut mode = mode.ok_or_else(|| unknown(MEMBER, &wanted.mode))? as u32;
    for flag in &wanted.flags {
        mode |= match flag.as_str() {
            "MPOL_F_NUMA_BALANCING" => 1 << 13,
            "MPOL_F_RELATIVE_NODES" => 1 << 14,
            "MPOL_F_STATIC_NODES" => 1 << 15,
            other => return Err(unknown(MEMBER, other)),
        };
    }
    let mut nodes = Vec::new();
    for number in list(MEMBER, &wanted.nodes)? {
        let word = number / 64;
        if nodes.len() <= word {
            nodes.resize(word + 1, 0u64);
        }
        nodes[word] |= 1 << (number % 64);
    }
    Ok((mode, nodes))
}

fn cpu_set(text: &str) -> Result<Option<CpuSet>, Error> {
    const MEMBER: &str = "process.execCPUAffinity";
    if text.is_empty() {
        return Ok(None);
    }
    let mut set = CpuSet::new();
    for number in list(MEMBER, text)? {
        if number >= CpuSet::MAX_CPU {
            return Err(unknown(MEMBER, text));
        }
        set.set(number);
    }
    Ok(Some(set))
}

/// A list such as `0-3,7`. Numbers up to 1023.
fn list(member: &str, text: &str) -> Result<Vec<usize>, Error> {
    const MOST: usize = 1024;
    let number = |digits: &str| {
        digits
            .trim()
            .parse::<usize>()
            .ok()
            .filter(|number| *number < MOST)
            .ok_or_else(|| unknown(member, text))
    };
    let mut all = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        match part.split_once('-') {
            Some((first, last)) => all.extend(number(first)?..=number(last)?),
            None => all.push(number(part)?),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_numbers_and_ranges() {
        assert_eq!(list("x", "0-2,7").expect("valid"), [0, 1, 2, 7]);
        assert!(list("x", "0-99999999999").is_err());
        assert!(list("x", "a").is_err());
    }

    #[test]
    fn nodes_become_bits() {
        let policy = MemoryPolicy {
            mode: "MPOL_BIND".to_owned(),
            nodes: "0,65".to_owned(),
            flags: vec!["MPOL_F_STATIC_NODES".to_owned()],
        };
        assert_eq!(memory(&policy).expect("valid"), (2 | 1 << 15, vec![1, 2]));
    }
}
