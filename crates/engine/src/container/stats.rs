//! What a container uses: one reading of its cgroup and its network.

use std::collections::BTreeMap;

use crate::blocking;
use crate::engine::Engine;
use crate::error::Result;

/// One reading; `None` for a container that does not run.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When, in nanoseconds since the epoch.
    pub at_unix_nanos: i64,
    /// What the cgroup says.
    pub cgroup: Option<cgroup::stats::Stats>,
    /// Counters by interface.
    pub networks: BTreeMap<String, Network>,
}

/// Counters of one interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Network {
    /// Received: bytes, packets, errors, dropped.
    pub rx: [u64; 4],
    /// Sent: bytes, packets, errors, dropped.
    pub tx: [u64; 4],
}

impl Engine {
    /// Reads what a container uses now.
    ///
    /// # Errors
    /// No such container; a cgroup that cannot be read.
    pub async fn sample(&self, target: &str) -> Result<Sample> {
        let view = self.container(target)?;
        let at_unix_nanos = self.shared.now();
        let Some(pid) = view.record.state.pid() else {
            return Ok(Sample {
                at_unix_nanos,
                cgroup: None,
                networks: BTreeMap::new(),
            });
        };
        let cgroup = self.shared.cgroup_of(&view.record);
        let has_network = view.record.host.network_mode != "host";
        blocking::run("stats", move || {
            let networks = if has_network {
                networks(pid)
            } else {
                BTreeMap::new()
            };
            Ok(Sample {
                at_unix_nanos,
                cgroup: Some(cgroup::Group::open(&cgroup)?.stats()?),
                networks,
            })
        })
        .await
    }
}

/// `/proc/<pid>/net/dev` without loopback.
fn networks(pid: i32) -> BTreeMap<String, Network> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            let n: Vec<u64> = rest
                .split_whitespace()
                .filter_map(|w| w.parse().ok())
                .collect();
            (n.len() >= 12 && name.trim() != "lo").then(|| {
                (
                    name.trim().to_owned(),
                    Network {
                        rx: [n[0], n[1], n[2], n[3]],
                        tx: [n[8], n[9], n[10], n[11]],
                    },
                )
            })
        })
        .collect()
}
