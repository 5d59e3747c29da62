//! The v1 memory controller: limits of memory, of memory plus swap, soft limit, swappiness, OOM control.

use oci::runtime::Memory;

use crate::dir::Dir;
use crate::error::{Error, Refusal, Result};
use crate::hierarchy::Controller;
use crate::stats::MemoryStats;
use crate::text;

const LIMIT: &str = "memory.limit_in_bytes";
const MEMSW: &str = "memory.memsw.limit_in_bytes";

/// Whether any limit is asked for that the kernel still has; 0 is "not asked for", as everywhere in the field.
pub(crate) fn asks_for_something(memory: &Memory) -> bool {
    [
        memory.limit,
        memory.swap,
        memory.reservation,
        memory.kernel_tcp,
    ]
    .iter()
    .any(|value| value.is_some_and(|value| value != 0))
        || memory.swappiness.is_some()
        || memory.disable_oom_killer == Some(true)
}

pub(crate) fn apply(dir: &Dir, memory: &Memory) -> Result<()> {
    let asked = |value: Option<i64>| value.filter(|value| *value != 0);
    check_in_use(
        dir,
        memory,
        "memory.usage_in_bytes",
        "memory.limit_in_bytes",
    )?;
    apply_limit_and_swap(dir, asked(memory.limit), asked(memory.swap))?;
    if let Some(reservation) = asked(memory.reservation) {
        dir.set(
            Controller::Memory,
            "memory.soft_limit_in_bytes",
            reservation,
        )?;
    }
    if let Some(kernel_tcp) = asked(memory.kernel_tcp) {
        dir.set(
            Controller::Memory,
            "memory.kmem.tcp.limit_in_bytes",
            kernel_tcp,
        )?;
    }
    if let Some(swappiness) = memory.swappiness {
        dir.set(Controller::Memory, "memory.swappiness", swappiness)?;
    }
    if memory.disable_oom_killer == Some(true) {
        dir.set(Controller::Memory, "memory.oom_control", 1)?;
    }
    Ok(())
}

/// The kernel keeps memory <= memory plus swap at every moment, so whichever makes room is written first.
fn apply_limit_and_swap(dir: &Dir, limit: Option<i64>, swap: Option<i64>) -> Result<()> {
    let set_limit = |limit| dir.set(Controller::Memory, LIMIT, limit);
    let set_swap = |swap| dir.set(Controller::Memory, MEMSW, swap);
    match (limit, swap) {
        (None, None) => Ok(()),
        (None, Some(swap)) => set_swap(swap),
        // Without a limit of memory, one of memory plus swap stands in the way; kernels without swap have none.
        (Some(-1), None) => {
            if dir.get_if_there(Controller::Memory, MEMSW)?.is_some() {
                set_swap(-1)?;
            }
            set_limit(-1)
        }
        (Some(limit), None) => set_limit(limit),
        (Some(limit), Some(swap)) => {
            let current = dir.get(Controller::Memory, MEMSW)?;
            if is_raise(swap, text::limit(&current)) {
                set_swap(swap)?;
                set_limit(limit)
            } else {
                set_limit(limit)?;
                set_swap(swap)
            }
        }
    }
}

/// Whether `new` (-1: none) allows at least what `current` (`None`: no limit) allows.
fn is_raise(new: i64, current: Option<u64>) -> bool {
    match (u64::try_from(new), current) {
        (Err(_), _) => true,
        (Ok(_), None) => false,
        (Ok(new), Some(current)) => new >= current,
    }
}

/// Refuses a limit below what is in use, where the caller prefers that to an OOM kill.
pub(crate) fn check_in_use(dir: &Dir, memory: &Memory, usage: &str, file: &str) -> Result<()> {
    let Some(limit) = memory
        .limit
        .and_then(|limit| u64::try_from(limit).ok())
        .filter(|limit| *limit > 0)
    else {
        return Ok(());
    };
    if memory.check_before_update != Some(true) {
        return Ok(());
    }
    if text::number(&dir.get(Controller::Memory, usage)?) <= limit {
        return Ok(());
    }
    Err(Error::Write {
        group: dir.group().to_owned(),
        controller: Controller::Memory,
        file: file.to_owned(),
        value: limit.to_string(),
        source: Refusal::new(file, rustix::io::Errno::BUSY),
    })
}

pub(crate) fn read(dir: &Dir, stats: &mut MemoryStats) -> Result<()> {
    let get = |file: &str| dir.get(Controller::Memory, file);
    stats.usage = text::number(&get("memory.usage_in_bytes")?);
    stats.max_usage = Some(text::number(&get("memory.max_usage_in_bytes")?));
    stats.failcnt = Some(text::number(&get("memory.failcnt")?));
    stats.limit = text::limit(&get(LIMIT)?).unwrap_or(0);
    stats.stat = text::pairs(&get("memory.stat")?)
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    stats.swap = stats.stat.get("swap").copied();
    let oom = dir.get_if_there(Controller::Memory, "memory.oom_control")?;
    stats.oom_kills = oom
        .and_then(|text| text::value(&text, "oom_kill"))
        .unwrap_or(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_the_greatest_raise() {
        assert!(is_raise(-1, Some(5)));
        assert!(is_raise(-1, None));
        assert!(is_raise(6, Some(5)));
        assert!(!is_raise(4, Some(5)));
        assert!(!is_raise(4, None));
    }
}
