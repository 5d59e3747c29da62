//! A container's use of resources in Docker's statistics.

use api::container::stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats,
    ThrottlingData,
};
use engine::container::{Network, Sample};

use crate::when::rfc3339;

/// The statistics of a container; `before` gives the CPU's former state. One that does not run uses nothing.
pub(crate) fn stats(id: &str, name: &str, now: &Sample, before: Option<&Sample>) -> Stats {
    let Some(used) = &now.cgroup else {
        return idle(id, name, 0);
    };
    let memory = &used.memory;
    Stats {
        preread: rfc3339(before.map_or(0, |sample| sample.at_unix_nanos)),
        pids_stats: PidsStats {
            current: used.pids.current,
            limit: used.pids.limit.unwrap_or_default(),
        },
        blkio_stats: BlkioStats {
            io_service_bytes_recursive: entries(&used.io.service_bytes),
            io_serviced_recursive: entries(&used.io.serviced),
            ..BlkioStats::default()
        },
        cpu_stats: cpu(&used.cpu),
        precpu_stats: before
            .and_then(|sample| sample.cgroup.as_ref())
            .map(|used| cpu(&used.cpu))
            .unwrap_or_default(),
        networks: now
            .networks
            .iter()
            .map(|(name, counters)| (name.clone(), network(counters)))
            .collect(),
        memory_stats: MemoryStats {
            usage: memory.usage,
            max_usage: memory.max_usage.unwrap_or_default(),
            stats: memory.stat.clone(),
            failcnt: memory.failcnt.unwrap_or_default(),
            limit: memory.limit,
        },
        ..idle(id, name, now.at_unix_nanos)
    }
}

fn idle(id: &str, name: &str, at_unix_nanos: i64) -> Stats {
    Stats {
        name: format!("/{name}"),
        id: id.to_owned(),
        read: rfc3339(at_unix_nanos),
        preread: rfc3339(0),
        ..Stats::default()
    }
}

fn cpu(used: &cgroup::CpuStats) -> CpuStats {
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: used.total,
            percpu_usage: used.per_cpu.clone(),
            usage_in_kernelmode: used.kernel,
            usage_in_usermode: used.user,
        },
        system_cpu_usage: used.system,
        online_cpus: used.online_cpus,
        throttling_data: ThrottlingData {
            periods: used.periods,
            throttled_periods: used.throttled_periods,
            throttled_time: used.throttled_time,
        },
    }
}

fn network(counters: &Network) -> NetworkStats {
    let (
        [rx_bytes, rx_packets, rx_errors, rx_dropped],
        [tx_bytes, tx_packets, tx_errors, tx_dropped],
    ) = (counters.rx, counters.tx);
    NetworkStats {
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
    }
}

fn entries(counts: &[cgroup::IoEntry]) -> Vec<BlkioEntry> {
    counts
        .iter()
        .map(|count| BlkioEntry {
            major: count.major,
            minor: count.minor,
            op: count.op.clone(),
            value: count.value,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_before_stands_beside_the_cpu_now() {
        let sample = |total| Sample {
            at_unix_nanos: 1_795_218_942_143_208_229,
            cgroup: Some(cgroup::Stats {
                cpu: cgroup::CpuStats {
                    total,
                    online_cpus: 2,
                    ..Default::default()
                },
                ..Default::default()
            }),
            networks: [(
                "eth0".to_owned(),
                Network {
                    rx: [1, 2, 3, 4],
                    tx: [5, 6, 7, 8],
                },
            )]
            .into(),
        };
        let both = stats("c", "web", &sample(9), Some(&sample(5)));
        assert_eq!(both.cpu_stats.cpu_usage.total_usage, 9);
        assert_eq!(both.precpu_stats.cpu_usage.total_usage, 5);
        assert_eq!(both.networks["eth0"].tx_bytes, 5);
        let json = serde_json::to_value(idle("c", "web", 0)).expect("serialisable");
        assert_eq!(json["name"], "/web");
        assert_eq!(json["preread"], crate::when::NEVER);
        assert_eq!(json["pids_stats"], serde_json::json!({}));
        assert_eq!(
            json["blkio_stats"]["io_serviced_recursive"],
            serde_json::Value::Null
        );
    }
}
