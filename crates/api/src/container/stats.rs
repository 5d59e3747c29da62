//! What a container uses, now and at the reading before.

use std::collections::BTreeMap;

wire! {
    /// One reading.
    pub struct Stats {
        /// The container's name with a leading slash.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub name: String,
        /// The full id.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub id: String,
        /// When, RFC 3339.
        pub read: String,
        /// When `precpu_stats` was read.
        pub preread: String,
        /// Processes.
        pub pids_stats: PidsStats,
        /// Block I/O.
        pub blkio_stats: BlkioStats,
        /// Windows only.
        pub num_procs: u32,
        /// Windows only.
        pub storage_stats: StorageStats,
        /// CPU now.
        pub cpu_stats: CpuStats,
        /// CPU at the reading before.
        pub precpu_stats: CpuStats,
        /// Memory.
        pub memory_stats: MemoryStats,
        /// Traffic by interface.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub networks: BTreeMap<String, NetworkStats>,
    }

    /// Windows only.
    pub struct StorageStats {
        /// Windows only.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub read_count_normalized: u64,
    }

    /// CPU use.
    pub struct CpuStats {
        /// The container's use.
        pub cpu_usage: CpuUsage,
        /// The whole system's use in nanoseconds, all CPUs added.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub system_cpu_usage: u64,
        /// CPUs the system has on line.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub online_cpus: u32,
        /// How often the quota struck.
        pub throttling_data: ThrottlingData,
    }

    /// CPU time in nanoseconds.
    pub struct CpuUsage {
        /// All of it.
        pub total_usage: u64,
        /// By CPU (cgroup v1).
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub percpu_usage: Vec<u64>,
        /// In the kernel.
        pub usage_in_kernelmode: u64,
        /// In user space.
        pub usage_in_usermode: u64,
    }

    /// How often the CPU quota struck.
    pub struct ThrottlingData {
        /// Periods passed.
        pub periods: u64,
        /// Periods in which the quota was used up.
        pub throttled_periods: u64,
        /// Time spent waiting, in nanoseconds.
        pub throttled_time: u64,
    }

    /// Memory use in bytes.
    pub struct MemoryStats {
        /// In use, page cache included.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub usage: u64,
        /// The most ever in use (cgroup v1).
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub max_usage: u64,
        /// The kernel's `memory.stat`.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub stats: BTreeMap<String, u64>,
        /// How often the limit was hit (cgroup v1).
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub failcnt: u64,
        /// The limit, at most the machine's memory.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub limit: u64,
    }

    /// Processes and threads.
    pub struct PidsStats {
        /// How many there are.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub current: u64,
        /// How many there may be.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub limit: u64,
    }

    /// Block I/O by device and operation.
    pub struct BlkioStats {
        /// Bytes.
        #[serde(serialize_with = "crate::wire::null")]
        pub io_service_bytes_recursive: Vec<BlkioEntry>,
        /// Operations.
        #[serde(serialize_with = "crate::wire::null")]
        pub io_serviced_recursive: Vec<BlkioEntry>,
        /// Queued operations (cgroup v1).
        #[serde(serialize_with = "crate::wire::null")]
        pub io_queue_recursive: Vec<BlkioEntry>,
        /// Service time (cgroup v1).
        #[serde(serialize_with = "crate::wire::null")]
        pub io_service_time_recursive: Vec<BlkioEntry>,
        /// Wait time (cgroup v1).
        #[serde(serialize_with = "crate::wire::null")]
        pub io_wait_time_recursive: Vec<BlkioEntry>,
        /// Merged operations (cgroup v1).
        #[serde(serialize_with = "crate::wire::null")]
        pub io_merged_recursive: Vec<BlkioEntry>,
        /// Disk time (cgroup v1).
        #[serde(serialize_with = "crate::wire::null")]
        pub io_time_recursive: Vec<BlkioEntry>,
        /// Sectors (cgroup v1).
        #[serde(serialize_with = "crate::wire::null")]
        pub sectors_recursive: Vec<BlkioEntry>,
    }

    /// One number of one device.
    pub struct BlkioEntry {
        /// The device's major number.
        pub major: u64,
        /// The device's minor number.
        pub minor: u64,
        /// `read`, `write`, …
        pub op: String,
        /// The number.
        pub value: u64,
    }

    /// Traffic of one interface.
    pub struct NetworkStats {
        /// Bytes received.
        pub rx_bytes: u64,
        /// Packets received.
        pub rx_packets: u64,
        /// Errors in receiving.
        pub rx_errors: u64,
        /// Packets dropped in receiving.
        pub rx_dropped: u64,
        /// Bytes sent.
        pub tx_bytes: u64,
        /// Packets sent.
        pub tx_packets: u64,
        /// Errors in sending.
        pub tx_errors: u64,
        /// Packets dropped in sending.
        pub tx_dropped: u64,
    }
}
