//! The v1 cpu controller: shares, quota and period, real-time budget.

use oci::runtime::Cpu;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::Result;
use crate::hierarchy::Controller;
use crate::stats::CpuStats;
use crate::text;

const PERIOD: &str = "cpu.cfs_period_us";

/// Whether anything of the cpu controller (not of cpuset) is asked for; 0 is "not asked for".
pub(crate) fn asks_for_something(cpu: &Cpu) -> bool {
    cpu.shares.is_some_and(|v| v != 0)
        || cpu.quota.is_some_and(|v| v != 0)
        || cpu.period.is_some_and(|v| v != 0)
        || cpu.realtime_period.is_some_and(|v| v != 0)
        || cpu.realtime_runtime.is_some_and(|v| v != 0)
        || cpu.burst.is_some()
        || cpu.idle.is_some()
}

pub(crate) fn apply(dir: &Dir, cpu: &Cpu) -> Result<()> {
    if let Some(shares) = cpu.shares.filter(|v| *v != 0) {
        dir.set(Controller::Cpu, "cpu.shares", shares)?;
    }
    if let Some(idle) = cpu.idle {
        dir.set(Controller::Cpu, "cpu.idle", idle)?;
    }
    if let Some(period) = cpu.realtime_period.filter(|v| *v != 0) {
        dir.set(Controller::Cpu, "cpu.rt_period_us", period)?;
    }
    if let Some(runtime) = cpu.realtime_runtime.filter(|v| *v != 0) {
        dir.set(Controller::Cpu, "cpu.rt_runtime_us", runtime)?;
    }
    apply_quota(dir, cpu)
}

/// The kernel checks each value against those that are set: a shorter period may exceed the parent's share with the old
/// quota, so a refused period is tried again after the quota; the burst may not exceed the quota.
fn apply_quota(dir: &Dir, cpu: &Cpu) -> Result<()> {
    let quota = cpu.quota.filter(|v| *v != 0);
    let mut period = cpu.period.filter(|v| *v != 0);
    if let Some(value) = period {
        match dir.try_set(PERIOD, &value.to_string()) {
            Ok(()) => period = None,
            Err(Errno::INVAL) if quota.is_some() => {}
            Err(errno) => {
                return Err(dir.refused(Controller::Cpu, PERIOD, value.to_string(), errno));
            }
        }
    }
    if let Some(quota) = quota {
        if cpu.burst.is_some() {
            // A burst from before could be more than the new quota.
            dir.set(Controller::Cpu, "cpu.cfs_burst_us", 0)?;
        }
        dir.set(Controller::Cpu, "cpu.cfs_quota_us", quota)?;
    }
    if let Some(period) = period {
        dir.set(Controller::Cpu, PERIOD, period)?;
    }
    if let Some(burst) = cpu.burst {
        dir.set(Controller::Cpu, "cpu.cfs_burst_us", burst)?;
    }
    Ok(())
}

pub(crate) fn read(dir: &Dir, stats: &mut CpuStats) -> Result<()> {
    let text = dir.get(Controller::Cpu, "cpu.stat")?;
    for (key, value) in text::pairs(&text) {
        match key {
            "nr_periods" => stats.periods = value,
            "nr_throttled" => stats.throttled_periods = value,
            "throttled_time" => stats.throttled_time = value,
            _ => {}
        }
    }
    Ok(())
}
