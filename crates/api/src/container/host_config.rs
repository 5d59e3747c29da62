//! How a container runs on this host: isolation, limits, mounts, restart.

use std::collections::BTreeMap;

use super::Mount;
use crate::Argv;

wire! {
    /// The part of a container's configuration that depends on the host.
    #[serde(rename_all = "PascalCase")]
    pub struct HostConfig {
        /// `source:target[:options]` lines.
        #[serde(serialize_with = "crate::wire::null")]
        pub binds: Vec<String>,
        /// Where the client wrote the id.
        #[serde(rename = "ContainerIDFile")]
        pub container_id_file: String,
        /// Where the output goes.
        pub log_config: LogConfig,
        /// `default`, `bridge`, `none`, `host`, `container:ID` or a network's name.
        pub network_mode: String,
        /// Published ports, by `port/proto`; a port may stand with null or no bindings.
        pub port_bindings: BTreeMap<String, Option<Vec<PortBinding>>>,
        /// What happens when the program ends.
        pub restart_policy: RestartPolicy,
        /// Remove the container when it has ended.
        pub auto_remove: bool,
        /// The driver of volumes made for `binds`.
        pub volume_driver: String,
        /// `container[:ro|rw]` whose mounts are shared.
        #[serde(serialize_with = "crate::wire::null")]
        pub volumes_from: Vec<String>,
        /// The terminal's first size: height, width.
        pub console_size: [u64; 2],
        /// Free-form facts passed to the runtime.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub annotations: BTreeMap<String, String>,
        /// Capabilities more than the default.
        pub cap_add: Option<Argv>,
        /// Capabilities less than the default.
        pub cap_drop: Option<Argv>,
        /// `private`, `host` or empty (the daemon's default).
        pub cgroupns_mode: String,
        /// Name servers.
        pub dns: Vec<String>,
        /// Resolver options.
        pub dns_options: Vec<String>,
        /// Resolver search domains.
        pub dns_search: Vec<String>,
        /// `host:ip` lines for /etc/hosts.
        #[serde(serialize_with = "crate::wire::null")]
        pub extra_hosts: Vec<String>,
        /// Supplementary groups, names or numbers.
        #[serde(serialize_with = "crate::wire::null")]
        pub group_add: Vec<String>,
        /// `private`, `shareable`, `none`, `host`, `container:ID` or empty (the daemon's default).
        pub ipc_mode: String,
        /// `container:ID`: that container's cgroup.
        pub cgroup: String,
        /// `container:alias` lines.
        #[serde(serialize_with = "crate::wire::null")]
        pub links: Vec<String>,
        /// -1000..1000, see proc(5), oom_score_adj.
        pub oom_score_adj: i64,
        /// Empty, `host` or `container:ID`.
        pub pid_mode: String,
        /// All capabilities and devices, no confinement.
        pub privileged: bool,
        /// Publish every exposed port on a free host port.
        pub publish_all_ports: bool,
        /// Mount the root read-only.
        pub readonly_rootfs: bool,
        /// `no-new-privileges`, `seccomp=…`, `apparmor=…`, `label=…`, `systempaths=unconfined`.
        #[serde(serialize_with = "crate::wire::null")]
        pub security_opt: Vec<String>,
        /// Options of the snapshot, such as `size`.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub storage_opt: BTreeMap<String, String>,
        /// tmpfs mounts: target to options.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub tmpfs: BTreeMap<String, String>,
        /// Empty or `host`.
        #[serde(rename = "UTSMode")]
        pub uts_mode: String,
        /// Empty or `host`.
        pub userns_mode: String,
        /// Bytes of /dev/shm; 0: the default, 64 MiB.
        pub shm_size: i64,
        /// Namespaced kernel parameters.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub sysctls: BTreeMap<String, String>,
        /// The OCI runtime by name.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub runtime: String,
        /// Windows only.
        pub isolation: String,
        flatten {
            /// Limits.
            pub resources: Resources
        }
        /// Mounts in the long form.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub mounts: Vec<Mount>,
        /// Paths hidden from the container; None: the default list; empty: none.
        pub masked_paths: Option<Vec<String>>,
        /// Paths made read-only; None: the default list; empty: none.
        pub readonly_paths: Option<Vec<String>>,
        /// Run an init that reaps and forwards signals; None: the daemon's default.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub init: Option<bool>,
    }

    /// Limits and devices; what `update` may change. Zero and empty mean "not limited".
    #[serde(rename_all = "PascalCase")]
    pub struct Resources {
        /// Relative CPU weight, 2..262144.
        pub cpu_shares: i64,
        /// Bytes of memory.
        pub memory: i64,
        /// CPU time in billionths of a CPU.
        pub nano_cpus: i64,
        /// The parent cgroup.
        pub cgroup_parent: String,
        /// Relative block I/O weight, 10..1000.
        pub blkio_weight: u16,
        /// Weights per device.
        pub blkio_weight_device: Vec<WeightDevice>,
        /// Read limits in bytes per second.
        pub blkio_device_read_bps: Vec<ThrottleDevice>,
        /// Write limits in bytes per second.
        pub blkio_device_write_bps: Vec<ThrottleDevice>,
        /// Read limits in operations per second.
        #[serde(rename = "BlkioDeviceReadIOps")]
        pub blkio_device_read_iops: Vec<ThrottleDevice>,
        /// Write limits in operations per second.
        #[serde(rename = "BlkioDeviceWriteIOps")]
        pub blkio_device_write_iops: Vec<ThrottleDevice>,
        /// CFS period in microseconds.
        pub cpu_period: i64,
        /// CFS quota in microseconds per period.
        pub cpu_quota: i64,
        /// Realtime period in microseconds.
        pub cpu_realtime_period: i64,
        /// Realtime runtime in microseconds per period.
        pub cpu_realtime_runtime: i64,
        /// CPUs allowed, `0-2,4`.
        pub cpuset_cpus: String,
        /// Memory nodes allowed.
        pub cpuset_mems: String,
        /// Host devices to give.
        pub devices: Vec<DeviceMapping>,
        /// Rules in the form `c 13:* rwm`.
        #[serde(serialize_with = "crate::wire::null")]
        pub device_cgroup_rules: Vec<String>,
        /// Requests to device drivers (GPUs, CDI).
        #[serde(serialize_with = "crate::wire::null")]
        pub device_requests: Vec<DeviceRequest>,
        /// Obsolete kernel memory limit; accepted for old clients.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub kernel_memory: i64,
        /// Obsolete kernel TCP memory limit in bytes.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "crate::wire::absent")]
        pub kernel_memory_tcp: i64,
        /// Soft memory limit in bytes.
        pub memory_reservation: i64,
        /// Memory plus swap in bytes; -1: unlimited swap.
        pub memory_swap: i64,
        /// 0..100; -1 and None: the kernel's default.
        pub memory_swappiness: Option<i64>,
        /// Do not kill on out-of-memory (cgroup v1).
        pub oom_kill_disable: Option<bool>,
        /// Processes allowed; 0, -1 and None: unlimited.
        pub pids_limit: Option<i64>,
        /// Limits per process.
        pub ulimits: Vec<Ulimit>,
        /// Windows only.
        pub cpu_count: i64,
        /// Windows only.
        pub cpu_percent: i64,
        /// Windows only.
        #[serde(rename = "IOMaximumIOps")]
        pub io_maximum_iops: u64,
        /// Windows only.
        #[serde(rename = "IOMaximumBandwidth")]
        pub io_maximum_bandwidth: u64,
    }

    /// A log driver and its options.
    #[serde(rename_all = "PascalCase")]
    pub struct LogConfig {
        /// The driver; empty: the daemon's default.
        #[serde(rename = "Type")]
        pub driver: String,
        /// The driver's options.
        pub config: BTreeMap<String, String>,
    }

    /// What to do when a container's program ends.
    #[serde(rename_all = "PascalCase")]
    pub struct RestartPolicy {
        /// Empty or `no`, `always`, `unless-stopped`, `on-failure`.
        pub name: String,
        /// For `on-failure`: at most so many times; 0: no bound.
        pub maximum_retry_count: i64,
    }

    /// Where a port appears on the host.
    #[serde(rename_all = "PascalCase")]
    pub struct PortBinding {
        /// The host address; empty: all.
        pub host_ip: String,
        /// A port or a range; empty: a free one.
        pub host_port: String,
    }

    /// A host device in a container.
    #[serde(rename_all = "PascalCase")]
    pub struct DeviceMapping {
        /// Path on the host.
        pub path_on_host: String,
        /// Path in the container.
        pub path_in_container: String,
        /// Letters of `rwm`.
        pub cgroup_permissions: String,
    }

    /// A request to a device driver.
    #[serde(rename_all = "PascalCase")]
    pub struct DeviceRequest {
        /// The driver; empty: by capability.
        pub driver: String,
        /// How many; -1: all.
        pub count: i64,
        /// The devices by id.
        #[serde(rename = "DeviceIDs", serialize_with = "crate::wire::null")]
        pub device_ids: Vec<String>,
        /// Any of these sets of capabilities.
        #[serde(serialize_with = "crate::wire::null")]
        pub capabilities: Vec<Vec<String>>,
        /// The driver's options.
        #[serde(serialize_with = "crate::wire::null")]
        pub options: BTreeMap<String, String>,
    }

    /// The I/O weight of one device.
    #[serde(rename_all = "PascalCase")]
    pub struct WeightDevice {
        /// The device's path.
        pub path: String,
        /// 10..1000.
        pub weight: u16,
    }

    /// The I/O limit of one device.
    #[serde(rename_all = "PascalCase")]
    pub struct ThrottleDevice {
        /// The device's path.
        pub path: String,
        /// Bytes or operations per second.
        pub rate: u64,
    }

    /// One resource limit, see setrlimit(2); -1: unlimited.
    #[serde(rename_all = "PascalCase")]
    pub struct Ulimit {
        /// The name without `RLIMIT_`, lower case.
        pub name: String,
        /// The hard limit.
        pub hard: i64,
        /// The soft limit.
        pub soft: i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_lie_flat_beside_the_other_fields() {
        let read: HostConfig = serde_json::from_str(
            r#"{"Memory":64,"Binds":["/a:/b"],"Ulimits":null,"PidsLimit":7,"MaskedPaths":[],
               "BlkioDeviceReadIOps":[{"Path":"/dev/vda","Rate":3}],"PortBindings":{"80/tcp":null}}"#,
        )
        .expect("valid");
        assert_eq!(read.resources.memory, 64);
        assert_eq!(read.resources.pids_limit, Some(7));
        assert_eq!(read.resources.blkio_device_read_iops[0].rate, 3);
        assert_eq!(read.masked_paths, Some(vec![]));
        assert_eq!(read.readonly_paths, None);
        let written = serde_json::to_value(&read).expect("serialisable");
        assert_eq!(written["Memory"], 64);
        assert_eq!(written["PortBindings"]["80/tcp"], serde_json::Value::Null);
        assert_eq!(
            serde_json::from_value::<HostConfig>(written).expect("valid"),
            read
        );
    }

    #[test]
    fn a_wrong_type_among_the_limits_is_an_error() {
        assert!(serde_json::from_str::<HostConfig>(r#"{"Memory":"much"}"#).is_err());
    }
}
