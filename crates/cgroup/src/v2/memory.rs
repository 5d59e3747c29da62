//! The v2 memory controller: `memory.max`, `memory.swap.max`, `memory.low`.

use oci::runtime::Memory;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::hierarchy::Controller;
use crate::stats::MemoryStats;
use crate::text;
use crate::v1::memory::check_in_use;

pub(crate) fn apply(dir: &Dir, memory: &Memory) -> Result<()> {
    if memory.swappiness.is_some() {
        return Err(Error::Unsupported {
            limit: "memory.swappiness",
            reason: "cgroup v2 has no swappiness",
        });
    }
    if memory.disable_oom_killer == Some(true) {
        return Err(Error::Unsupported {
            limit: "memory.disableOOMKiller",
            reason: "cgroup v2 cannot disable the OOM killer",
        });
    }
    check_in_use(dir, memory, "memory.current", "memory.max")?;
    if let Some(swap) = swap_alone(memory.limit, memory.swap)? {
        set_swap(dir, swap)?;
    }
    if let Some(limit) = memory.limit.filter(|v| *v != 0) {
        dir.set(Controller::Memory, "memory.max", or_max(limit))?;
    }
    if let Some(reservation) = memory.reservation.filter(|v| *v != 0) {
        dir.set(Controller::Memory, "memory.low", or_max(reservation))?;
    }
    Ok(())
}

/// A limit as v2 writes it; negative is none.
fn or_max(limit: i64) -> String {
    if limit < 0 {
        "max".to_owned()
    } else {
        limit.to_string()
    }
}

/// The limit of swap alone, from that of memory and that of memory plus swap (v1's and the spec's way to say it).
/// `Some(-1)` is no limit, `None` that nothing is asked for.
fn swap_alone(limit: Option<i64>, both: Option<i64>) -> Result<Option<i64>> {
    let limit = limit.filter(|v| *v != 0);
    match (limit, both.filter(|v| *v != 0)) {
        // No limit of memory: one of swap would be left over from before.
        (Some(limit), None) if limit < 0 => Ok(Some(-1)),
        (_, None) => Ok(None),
        (_, Some(both)) if both < 0 => Ok(Some(-1)),
        (Some(limit), Some(both)) if limit > 0 && both >= limit => Ok(Some(both - limit)),
        (Some(limit), Some(_)) if limit > 0 => Err(Error::Unsupported {
            limit: "memory.swap",
            reason: "memory plus swap may not be less than memory",
        }),
        (_, Some(_)) => Err(Error::Unsupported {
            limit: "memory.swap",
            reason: "memory plus swap cannot be limited without a limit of memory",
        }),
    }
}

fn set_swap(dir: &Dir, swap: i64) -> Result<()> {
    let value = or_max(swap);
    match dir.try_set("memory.swap.max", &value) {
        Ok(()) => Ok(()),
        // A kernel without swap accounting: there is no swap to be kept from, or nobody wants to keep it.
        Err(Errno::NOENT) if swap <= 0 => Ok(()),
        Err(errno) => Err(dir.refused(Controller::Memory, "memory.swap.max", value, errno)),
    }
}

pub(crate) fn read(dir: &Dir, stats: &mut MemoryStats) -> Result<()> {
    let get = |file: &str| dir.get(Controller::Memory, file);
    stats.usage = text::number(&get("memory.current")?);
    stats.limit = text::limit(&get("memory.max")?).unwrap_or(0);
    stats.stat = text::pairs(&get("memory.stat")?)
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let optional = |file: &str| dir.get_if_there(Controller::Memory, file);
    stats.max_usage = optional("memory.peak")?.map(|text| text::number(&text));
    stats.swap = optional("memory.swap.current")?.map(|text| text::number(&text));
    stats.oom_kills = text::value(&get("memory.events")?, "oom_kill").unwrap_or(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_what_memory_plus_swap_leaves_over() {
        let swap = |limit, both| swap_alone(limit, both).ok();
        assert_eq!(swap(Some(100), Some(300)), Some(Some(200)));
        assert_eq!(swap(Some(100), Some(100)), Some(Some(0)));
        assert_eq!(swap(Some(100), Some(-1)), Some(Some(-1)));
        assert_eq!(swap(Some(100), None), Some(None));
        assert_eq!(swap(Some(-1), None), Some(Some(-1)));
        assert_eq!(swap(Some(100), Some(99)), None);
        assert_eq!(swap(None, Some(99)), None);
    }
}
