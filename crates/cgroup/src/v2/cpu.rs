//! The v2 cpu controller: `cpu.weight`, `cpu.max`, `cpu.idle`, and `cpu.stat` of the core.

use oci::runtime::Cpu;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::hierarchy::Controller;
use crate::stats::CpuStats;
use crate::text;

/// The kernel's default period in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;

pub(crate) fn apply(dir: &Dir, cpu: &Cpu) -> Result<()> {
    let real_time =
        cpu.realtime_runtime.is_some_and(|v| v != 0) || cpu.realtime_period.is_some_and(|v| v != 0);
    if real_time {
        return Err(Error::Unsupported {
            limit: "cpu.realtimeRuntime",
            reason: "cgroup v2 has no real-time budget",
        });
    }
    if let Some(idle) = cpu.idle {
        dir.set(Controller::Cpu, "cpu.idle", idle)?;
    }
    if let Some(shares) = cpu.shares.filter(|v| *v != 0) {
        dir.set(Controller::Cpu, "cpu.weight", weight(shares))?;
    }
    let (quota, period) = (
        cpu.quota.filter(|v| *v != 0),
        cpu.period.filter(|v| *v != 0),
    );
    if quota.is_some() || period.is_some() {
        let current = dir.get(Controller::Cpu, "cpu.max")?;
        if cpu.burst.is_some() {
            // A burst from before could be more than the new quota.
            dir.set(Controller::Cpu, "cpu.max.burst", 0)?;
        }
        dir.set(Controller::Cpu, "cpu.max", max(&current, quota, period))?;
    }
    if let Some(burst) = cpu.burst {
        dir.set(Controller::Cpu, "cpu.max.burst", burst)?;
    }
    Ok(())
}

/// v1 shares (2 to 262144, default 1024) as a v2 weight (1 to 10000, default 100).
///
/// Both ends and both defaults meet: log10(weight) = (l² + 125 l) / 612 - 7/34 with l = log2(shares). The straight line
/// that runtimes used before gave 39 for the default, so that a container with `--cpu-shares 1024` got less than one
/// without.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the values are between 1 and 262144"
)]
pub(crate) fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            // Just below the next whole number is that number: the ends must be met exactly.
            (10f64.powf(exponent) - 1e-9).ceil().clamp(1.0, 10_000.0) as u64
        }
    }
}

/// The content of `cpu.max`; what is not asked for stays as it is.
fn max(current: &str, quota: Option<i64>, period: Option<u64>) -> String {
    let mut words = current.split_ascii_whitespace();
    let old_quota = words.next().unwrap_or("max").to_owned();
    let old_period = words.next().and_then(|word| word.parse().ok());
    let quota = match quota {
        None => old_quota,
        Some(quota) if quota < 0 => "max".to_owned(),
        Some(quota) => quota.to_string(),
    };
    format!(
        "{quota} {}",
        period.or(old_period).unwrap_or(DEFAULT_PERIOD)
    )
}

/// Times of `cpu.stat` are in microseconds.
pub(crate) fn read(dir: &Dir, stats: &mut CpuStats) -> Result<()> {
    let text = dir.get(Controller::Cpu, "cpu.stat")?;
    for (key, value) in text::pairs(&text) {
        match key {
            "usage_usec" => stats.total = value * 1000,
            "user_usec" => stats.user = value * 1000,
            "system_usec" => stats.kernel = value * 1000,
            "nr_periods" => stats.periods = value,
            "nr_throttled" => stats.throttled_periods = value,
            "throttled_usec" => stats.throttled_time = value * 1000,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_with_ends_and_defaults_kept() {
        for (shares, expect) in [
            (1, 1),
            (2, 1),
            (1024, 100),
            (262_144, 10_000),
            (1 << 40, 10_000),
        ] {
            assert_eq!(weight(shares), expect, "shares {shares}");
        }
        assert!(
            (2..262_144)
                .step_by(97)
                .all(|s| weight(s) <= weight(s + 97))
        );
    }

    #[test]
    fn a_period_alone_keeps_the_quota() {
        assert_eq!(max("50000 100000\n", None, Some(20_000)), "50000 20000");
        assert_eq!(max("max 100000\n", Some(5_000), None), "5000 100000");
        assert_eq!(max("5000 20000\n", Some(-1), None), "max 20000");
    }
}
