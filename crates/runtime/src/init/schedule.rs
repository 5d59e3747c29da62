//! Scheduling of the program.

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::failure::{Step, Tried};
use crate::plan::schedule::Schedule;

/// Sets what was asked for.
pub(super) fn set(schedule: &Schedule) -> Step {
    if let Some(attr) = &schedule.cpu {
        sys::sched::set(attr).tried(|| "set the scheduler".to_owned())?;
    }
    if let Some((class, level)) = schedule.io {
        sys::sched::set_io_priority(class, level).tried(|| "set the I/O priority".to_owned())?;
    }
    if let Some((mode, nodes)) = &schedule.memory {
        sys::sched::set_memory_policy(*mode, nodes).tried(|| "set the memory policy".to_owned())?;
    }
    Ok(())
}

/// Confines us to CPUs, if they are given.
pub(super) fn set_affinity(cpus: Option<&CpuSet>) -> Step {
    match cpus {
        Some(cpus) => sched_setaffinity(None, cpus).tried(|| "set the CPU affinity".to_owned()),
        None => Ok(()),
    }
}
