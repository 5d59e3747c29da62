//! Limits: from Docker's numbers to the runtime spec's, refused early where they contradict each other.

use std::collections::BTreeSet;
use std::os::linux::fs::MetadataExt;

use api::container::{Resources, ThrottleDevice};
use oci::runtime::{BlockIo, Cpu, LinuxResources, Memory, Pids};

use crate::error::{Error, Result};

/// Less memory than this cannot start anything; Docker refuses it too.
const LEAST_MEMORY: i64 = 6 << 20;

/// The cgroup limits of a container, without device rules.
///
/// # Errors
/// [`Error::Invalid`] in Docker's words.
pub(crate) fn to_oci(asked: &Resources) -> Result<LinuxResources> {
    check(asked)?;
    Ok(LinuxResources {
        memory: memory(asked),
        cpu: cpu(asked),
        pids: asked
            .pids_limit
            .filter(|&limit| limit != 0)
            .map(|limit| Pids {
                limit: Some(if limit < 0 { -1 } else { limit }),
            }),
        block_io: block_io(asked)?,
        ..LinuxResources::default()
    })
}

fn set(value: i64) -> Option<i64> {
    (value != 0).then_some(value)
}

fn memory(asked: &Resources) -> Option<Memory> {
    let memory = Memory {
        limit: set(asked.memory),
        reservation: set(asked.memory_reservation),
        // Docker's rule: a limit without a word on swap allows as much swap again.
        swap: match (asked.memory, asked.memory_swap) {
            (0, 0) => None,
            (limit, 0) => Some(limit.saturating_mul(2)),
            (_, swap) => Some(swap),
        },
        swappiness: asked.memory_swappiness.and_then(|s| u64::try_from(s).ok()),
        disable_oom_killer: asked.oom_kill_disable.filter(|&off| off),
        ..Memory::default()
    };
    (memory != Memory::default()).then_some(memory)
}

fn cpu(asked: &Resources) -> Option<Cpu> {
    const PERIOD: i64 = 100_000;
    let (period, quota) = match asked.nano_cpus {
        0 => (set(asked.cpu_period), set(asked.cpu_quota)),
        nano => (Some(PERIOD), Some(nano / 10_000)),
    };
    let cpu = Cpu {
        shares: set(asked.cpu_shares).and_then(|s| u64::try_from(s).ok()),
        quota,
        period: period.and_then(|p| u64::try_from(p).ok()),
        realtime_period: set(asked.cpu_realtime_period).and_then(|p| u64::try_from(p).ok()),
        realtime_runtime: set(asked.cpu_realtime_runtime),
        cpus: asked.cpuset_cpus.clone(),
        mems: asked.cpuset_mems.clone(),
        ..Cpu::default()
    };
    (cpu != Cpu::default()).then_some(cpu)
}

fn block_io(asked: &Resources) -> Result<Option<BlockIo>> {
    let mut weights = Vec::new();
    for device in &asked.blkio_weight_device {
        let (major, minor) = numbers(&device.path)?;
        weights.push(oci::runtime::WeightDevice {
            major,
            minor,
            weight: Some(device.weight),
            leaf_weight: None,
        });
    }
    let io = BlockIo {
        weight: (asked.blkio_weight != 0).then_some(asked.blkio_weight),
        leaf_weight: None,
        weight_device: weights,
        throttle_read_bps_device: throttles(&asked.blkio_device_read_bps)?,
        throttle_write_bps_device: throttles(&asked.blkio_device_write_bps)?,
        throttle_read_iops_device: throttles(&asked.blkio_device_read_iops)?,
        throttle_write_iops_device: throttles(&asked.blkio_device_write_iops)?,
    };
    Ok((io != BlockIo::default()).then_some(io))
}

fn throttles(asked: &[ThrottleDevice]) -> Result<Vec<oci::runtime::ThrottleDevice>> {
    asked
        .iter()
        .map(|device| {
            let (major, minor) = numbers(&device.path)?;
            Ok(oci::runtime::ThrottleDevice {
                major,
                minor,
                rate: device.rate,
            })
        })
        .collect()
}

/// A device node's major and minor numbers.
fn numbers(path: &str) -> Result<(i64, i64)> {
    let meta = std::fs::metadata(path)
        .map_err(|e| Error::Invalid(format!("no such device {path}: {e}")))?;
    let rdev = meta.st_rdev();
    Ok((
        i64::from(rustix::fs::major(rdev)),
        i64::from(rustix::fs::minor(rdev)),
    ))
}

fn check(asked: &Resources) -> Result<()> {
    let refuse = |text: String| Err(Error::Invalid(text));
    if asked.memory != 0 && asked.memory < LEAST_MEMORY {
        return refuse("Minimum memory limit allowed is 6MB".into());
    }
    if asked.memory_swap > 0 && asked.memory == 0 {
        return refuse(
            "You should always set the Memory limit when using Memoryswap limit, see usage".into(),
        );
    }
    if asked.memory_swap > 0 && asked.memory_swap < asked.memory {
        return refuse(
            "Minimum memoryswap limit should be larger than memory limit, see usage".into(),
        );
    }
    if asked.memory_reservation != 0 && asked.memory_reservation < LEAST_MEMORY {
        return refuse("Minimum memory reservation allowed is 6MB".into());
    }
    if asked.memory != 0 && asked.memory_reservation > asked.memory {
        return refuse(
            "Minimum memory limit can not be less than memory reservation limit, see usage".into(),
        );
    }
    if let Some(swappiness) = asked.memory_swappiness
        && !(-1..=100).contains(&swappiness)
    {
        return refuse(format!(
            "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        ));
    }
    if asked.nano_cpus > 0 && (asked.cpu_period > 0 || asked.cpu_quota > 0) {
        return refuse(
            "Conflicting options: Nano CPUs and CPU Period/Quota cannot both be set".into(),
        );
    }
    let available = std::thread::available_parallelism().map_or(1, usize::from) as i64;
    if asked.nano_cpus < 0 || asked.nano_cpus > available * 1_000_000_000 {
        return refuse(format!(
            "range of CPUs is from 0.01 to {available}.00, as there are only {available} CPUs available"
        ));
    }
    if asked.cpu_period != 0 && !(1_000..=1_000_000).contains(&asked.cpu_period) {
        return refuse(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
                .into(),
        );
    }
    if asked.cpu_quota > 0 && asked.cpu_quota < 1_000 {
        return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)".into());
    }
    available_set("CPUs", &asked.cpuset_cpus, "/sys/devices/system/cpu/online")?;
    available_set(
        "memory nodes",
        &asked.cpuset_mems,
        "/sys/devices/system/node/online",
    )?;
    if asked.blkio_weight != 0 && !(10..=1000).contains(&asked.blkio_weight) {
        return refuse("Range of blkio weight is from 10 to 1000".into());
    }
    if !asked.device_requests.is_empty() {
        let request = &asked.device_requests[0];
        // Lists of lists as Go prints them: `[[gpu compute] [utility]]`.
        let wanted = request.capabilities.iter().map(|all| all.join(" "));
        let wanted: Vec<_> = wanted.map(|all| format!("[{all}]")).collect();
        return Err(Error::Invalid(format!(
            "could not select device driver \"{}\" with capabilities: [{}]",
            request.driver,
            wanted.join(" ")
        )));
    }
    Ok(())
}

/// Refuses a cpuset that names what the machine does not have.
fn available_set(what: &str, asked: &str, online: &str) -> Result<()> {
    if asked.is_empty() {
        return Ok(());
    }
    let text = std::fs::read_to_string(online).unwrap_or_else(|_| "0".into());
    let wanted = numbers_of(asked)
        .ok_or_else(|| Error::Invalid(format!("invalid value {asked} for cpuset {what}")))?;
    let there = numbers_of(text.trim()).unwrap_or_default();
    if wanted.is_subset(&there) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "requested {what} are not available - requested {asked}, available: {}",
        text.trim()
    )))
}

/// `0-2,7` as numbers; `None` for anything else.
fn numbers_of(list: &str) -> Option<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        // No machine has more; a range is not to fill the memory.
        if first > last || last > 8191 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_become_quota_and_period_and_swap_follows_memory() {
        let asked = Resources {
            nano_cpus: 500_000_000,
            memory: 8 << 20,
            ..Resources::default()
        };
        let oci = to_oci(&asked).expect("valid");
        let cpu = oci.cpu.expect("a cpu limit");
        assert_eq!((cpu.quota, cpu.period), (Some(50_000), Some(100_000)));
        assert_eq!(oci.memory.expect("a memory limit").swap, Some(16 << 20));
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = [
            Resources {
                memory: 1 << 20,
                ..Resources::default()
            },
            Resources {
                memory_swap: 1 << 30,
                ..Resources::default()
            },
            Resources {
                memory: 64 << 20,
                memory_swap: 32 << 20,
                ..Resources::default()
            },
            Resources {
                nano_cpus: 1,
                cpu_quota: 5000,
                ..Resources::default()
            },
            Resources {
                nano_cpus: i64::MAX,
                ..Resources::default()
            },
            Resources {
                blkio_weight: 5,
                ..Resources::default()
            },
        ];
        for asked in refused {
            assert!(to_oci(&asked).is_err(), "{asked:?}");
        }
    }

    #[test]
    fn a_cpuset_names_what_is_there() {
        let asked = |cpus: &str| Resources {
            cpuset_cpus: cpus.into(),
            ..Resources::default()
        };
        assert!(to_oci(&asked("0")).is_ok());
        for cpus in ["4000", "nonsense", "1-0", "0-99999999"] {
            assert!(to_oci(&asked(cpus)).is_err(), "{cpus}");
        }
    }

    #[test]
    fn nothing_asked_for_is_nothing_set() {
        assert_eq!(
            to_oci(&Resources::default()).expect("valid"),
            LinuxResources::default()
        );
    }
}
