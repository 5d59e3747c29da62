//! The v1 cpuacct controller: CPU time by group and by CPU.

use crate::dir::Dir;
use crate::error::Result;
use crate::hierarchy::Controller;
use crate::stats::CpuStats;
use crate::text;

pub(crate) fn read(dir: &Dir, stats: &mut CpuStats) -> Result<()> {
    let get = |file: &str| dir.get(Controller::Cpuacct, file);
    stats.total = text::number(&get("cpuacct.usage")?);
    stats.user = text::number(&get("cpuacct.usage_user")?);
    stats.kernel = text::number(&get("cpuacct.usage_sys")?);
    stats.per_cpu = get("cpuacct.usage_percpu")?
        .split_ascii_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    Ok(())
}
