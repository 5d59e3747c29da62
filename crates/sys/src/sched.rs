//! Scheduling of CPU, I/O and memory.

use std::io;

use crate::check;

/// Scheduling policy and parameters, as the kernel numbers them. See `sched_setattr(2)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attr {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// For `SCHED_OTHER` and `SCHED_BATCH`.
    pub nice: i32,
    /// For `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    pub runtime: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    pub deadline: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    pub period: u64,
}

#[repr(C)]
struct RawAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Sets the calling thread's scheduling. See `sched_setattr(2)`, Linux 3.14.
///
/// # Errors
/// EINVAL: no such policy or parameter; EPERM: not allowed.
pub fn set(attr: &Attr) -> io::Result<()> {
    let raw = RawAttr {
        size: std::mem::size_of::<RawAttr>() as u32,
        policy: attr.policy,
        flags: attr.flags,
        nice: attr.nice,
        priority: attr.priority,
        runtime: attr.runtime,
        deadline: attr.deadline,
        period: attr.period,
    };
    // SAFETY: raw states its own size and lives through the call.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const raw, 0u32) })?;
    Ok(())
}

/// Sets the calling thread's I/O class (1 real-time, 2 best effort, 3 idle) and level (0 to 7). See `ioprio_set(2)`.
///
/// # Errors
/// EINVAL: out of range; EPERM: not allowed.
pub fn set_io_priority(class: u32, level: u32) -> io::Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    // SAFETY: takes integers only.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, class << 13 | level) })?;
    Ok(())
}

/// Sets the calling thread's memory policy: mode and flags in one number, nodes as bits. See `set_mempolicy(2)`.
///
/// # Errors
/// EINVAL: no such mode or node; ENOSYS: a kernel without NUMA.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> io::Result<()> {
    let pointer = if nodes.is_empty() {
        std::ptr::null()
    } else {
        nodes.as_ptr()
    };
    // The kernel takes one bit less than it is told.
    let bits = if nodes.is_empty() {
        0
    } else {
        nodes.len() * 64 + 1
    };
    // SAFETY: the kernel reads as many bits as it is told less one, which the slice holds.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) })?;
    Ok(())
}
