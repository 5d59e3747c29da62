//! What the host is and has, looked at once at start-up.

use std::fs;

use rustix::thread::CapabilitySet;

use crate::error::{Error, Result};

/// The host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Only cgroup v2 is mounted.
    pub unified_cgroups: bool,
    /// Capabilities of this process, `CAP_…`.
    pub capabilities: Vec<String>,
    /// The kernel's release.
    pub kernel: String,
    /// `PRETTY_NAME` of os-release.
    pub os: String,
    /// `VERSION_ID` of os-release.
    pub os_version: String,
    /// Logical CPUs.
    pub cpus: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

impl Host {
    /// Looks.
    ///
    /// # Errors
    /// When the kernel does not tell the process's own rights.
    pub fn observe() -> Result<Self> {
        let held = rustix::thread::capabilities(None)
            .map_err(|e| Error::file("read the rights of", "this process", e.into()))?;
        let os_release = fs::read_to_string("/etc/os-release")
            .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
            .unwrap_or_default();
        let os = |key: &str| {
            os_release
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches('"').to_owned())
        };
        Ok(Self {
            unified_cgroups: cgroup::hierarchy::is_unified(),
            capabilities: names(held.permitted),
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            os: os("PRETTY_NAME").unwrap_or_else(|| "Linux".into()),
            os_version: os("VERSION_ID").unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory(),
        })
    }

    /// The host's name as it is now.
    #[must_use]
    pub fn name(&self) -> String {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    }
}

fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line
        .and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or(0);
    kib * 1024
}

fn names(set: CapabilitySet) -> Vec<String> {
    sys::caps::NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| set.bits() & (1 << bit) != 0)
        .map(|(_, name)| format!("CAP_{name}"))
        .collect()
}
