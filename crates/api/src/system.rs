//! The engine as a whole: version, info, disk usage.

use std::collections::BTreeMap;

use crate::container::ContainerSummary;
use crate::image::ImageSummary;
use crate::volume::Volume;

wire! {
    /// The answer of `GET /version`.
    #[serde(rename_all = "PascalCase")]
    pub struct Version {
        /// The product's edition.
        pub platform: PlatformName,
        /// The parts and their versions.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub components: Vec<Component>,
        /// The product's version.
        pub version: String,
        /// The newest API version.
        pub api_version: String,
        /// The oldest API version.
        #[serde(rename = "MinAPIVersion", skip_serializing_if = "crate::wire::absent")]
        pub min_api_version: String,
        /// The source's commit.
        pub git_commit: String,
        /// The compiler; the field is Docker's.
        pub go_version: String,
        /// `linux`.
        pub os: String,
        /// `amd64`, …
        pub arch: String,
        /// The kernel's release.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub kernel_version: String,
        /// Unfinished features are on.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub experimental: bool,
        /// RFC 3339.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub build_time: String,
    }

    /// The product's edition.
    #[serde(rename_all = "PascalCase")]
    pub struct PlatformName {
        /// The text.
        pub name: String,
    }

    /// A part of the product.
    #[serde(rename_all = "PascalCase")]
    pub struct Component {
        /// The part.
        pub name: String,
        /// Its version.
        pub version: String,
        /// More about it.
        #[serde(serialize_with = "crate::wire::null")]
        pub details: BTreeMap<String, String>,
    }

    /// The answer of `GET /info`.
    #[serde(rename_all = "PascalCase")]
    pub struct Info {
        /// The engine's own id, kept over restarts.
        #[serde(rename = "ID")]
        pub id: String,
        /// Containers in all.
        pub containers: i64,
        /// Containers that run.
        pub containers_running: i64,
        /// Containers that are paused.
        pub containers_paused: i64,
        /// Containers that do not run.
        pub containers_stopped: i64,
        /// Images.
        pub images: i64,
        /// The snapshotter.
        pub driver: String,
        /// Facts about the snapshotter, pairs.
        pub driver_status: Vec<[String; 2]>,
        /// Facts about the whole system, pairs.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub system_status: Vec<[String; 2]>,
        /// What can be plugged in.
        pub plugins: Plugins,
        /// The kernel can limit memory.
        pub memory_limit: bool,
        /// The kernel can limit swap.
        pub swap_limit: bool,
        /// The kernel can limit kernel TCP memory.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "crate::wire::absent")]
        pub kernel_memory_tcp: bool,
        /// The kernel has the CFS period.
        pub cpu_cfs_period: bool,
        /// The kernel has the CFS quota.
        pub cpu_cfs_quota: bool,
        /// The kernel has CPU shares.
        #[serde(rename = "CPUShares")]
        pub cpu_shares: bool,
        /// The kernel has cpusets.
        #[serde(rename = "CPUSet")]
        pub cpu_set: bool,
        /// The kernel can limit processes.
        pub pids_limit: bool,
        /// Packets between interfaces are forwarded.
        #[serde(rename = "IPv4Forwarding")]
        pub ipv4_forwarding: bool,
        /// Debug logging is on.
        pub debug: bool,
        /// Descriptors the daemon has open.
        #[serde(rename = "NFd")]
        pub n_fd: i64,
        /// The OOM killer can be turned off per container.
        pub oom_kill_disable: bool,
        /// Tasks in the daemon; the field is Docker's.
        pub n_goroutines: i64,
        /// RFC 3339.
        pub system_time: String,
        /// The default log driver.
        pub logging_driver: String,
        /// `cgroupfs` or `systemd`.
        pub cgroup_driver: String,
        /// `1` or `2`.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub cgroup_version: String,
        /// Clients that listen to events.
        pub n_events_listener: i64,
        /// The kernel's release.
        pub kernel_version: String,
        /// The host's distribution.
        pub operating_system: String,
        /// The distribution's version.
        #[serde(rename = "OSVersion")]
        pub os_version: String,
        /// `linux`.
        #[serde(rename = "OSType")]
        pub os_type: String,
        /// `x86_64`, …
        pub architecture: String,
        /// The default registry.
        pub index_server_address: String,
        /// Registries known to the daemon.
        pub registry_config: Option<RegistryConfig>,
        /// CPUs.
        #[serde(rename = "NCPU")]
        pub ncpu: i64,
        /// Bytes of memory.
        pub mem_total: i64,
        /// Resources offered to a scheduler.
        pub generic_resources: Option<Vec<serde_json::Value>>,
        /// The data root.
        pub docker_root_dir: String,
        /// The proxy for pulls.
        pub http_proxy: String,
        /// The proxy for pulls over TLS.
        pub https_proxy: String,
        /// What needs no proxy.
        pub no_proxy: String,
        /// The host's name.
        pub name: String,
        /// The daemon's labels.
        pub labels: Vec<String>,
        /// Unfinished features are on.
        pub experimental_build: bool,
        /// The product's version.
        pub server_version: String,
        /// OCI runtimes by name.
        pub runtimes: BTreeMap<String, RuntimeInfo>,
        /// The runtime used by default.
        pub default_runtime: String,
        /// Swarm: always inactive.
        pub swarm: SwarmInfo,
        /// Containers live on without the daemon.
        pub live_restore_enabled: bool,
        /// Windows only.
        pub isolation: String,
        /// The init given by `--init`.
        pub init_binary: String,
        /// Version of containerd's part.
        pub containerd_commit: Commit,
        /// Version of the runtime.
        pub runc_commit: Commit,
        /// Version of the init.
        pub init_commit: Commit,
        /// `name=seccomp,profile=builtin`, …
        pub security_options: Vec<String>,
        /// The product's licence.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub product_license: String,
        /// Pools for new networks.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub default_address_pools: Vec<AddressPool>,
        /// The firewall in use.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub firewall_backend: Option<FirewallInfo>,
        /// Folders with CDI device files.
        #[serde(rename = "CDISpecDirs")]
        pub cdi_spec_dirs: Vec<String>,
        /// What the host lacks.
        #[serde(serialize_with = "crate::wire::null")]
        pub warnings: Vec<String>,
    }

    /// What can be plugged in, by kind.
    #[serde(rename_all = "PascalCase")]
    pub struct Plugins {
        /// Volume drivers.
        pub volume: Vec<String>,
        /// Network drivers.
        pub network: Vec<String>,
        /// Authorisation plugins.
        #[serde(serialize_with = "crate::wire::null")]
        pub authorization: Vec<String>,
        /// Log drivers.
        pub log: Vec<String>,
    }

    /// Registries known to the daemon.
    #[serde(rename_all = "PascalCase")]
    pub struct RegistryConfig {
        /// Networks that may go without TLS.
        #[serde(rename = "InsecureRegistryCIDRs")]
        pub insecure_registry_cidrs: Vec<String>,
        /// Registries by name.
        pub index_configs: BTreeMap<String, IndexConfig>,
        /// Mirrors of the default registry.
        #[serde(serialize_with = "crate::wire::null")]
        pub mirrors: Vec<String>,
    }

    /// One registry.
    #[serde(rename_all = "PascalCase")]
    pub struct IndexConfig {
        /// Its name.
        pub name: String,
        /// Its mirrors.
        pub mirrors: Vec<String>,
        /// TLS is required.
        pub secure: bool,
        /// It is the default registry.
        pub official: bool,
    }

    /// One OCI runtime.
    pub struct RuntimeInfo {
        /// Its binary.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub path: String,
        /// More arguments.
        #[serde(rename = "runtimeArgs", skip_serializing_if = "crate::wire::absent")]
        pub runtime_args: Vec<String>,
    }

    /// Swarm state; this engine is never part of one.
    #[serde(rename_all = "PascalCase")]
    pub struct SwarmInfo {
        /// Empty.
        #[serde(rename = "NodeID")]
        pub node_id: String,
        /// Empty.
        pub node_addr: String,
        /// `inactive`.
        pub local_node_state: String,
        /// Never.
        pub control_available: bool,
        /// Empty.
        pub error: String,
        /// None.
        pub remote_managers: Option<Vec<serde_json::Value>>,
    }

    /// A version of a part.
    pub struct Commit {
        /// The commit or version.
        #[serde(rename = "ID")]
        pub id: String,
        /// Only read: the version once expected (before API 1.49).
        #[serde(rename = "Expected", skip_serializing_if = "crate::wire::absent")]
        pub expected: String,
    }

    /// A pool for new networks.
    #[serde(rename_all = "PascalCase")]
    pub struct AddressPool {
        /// The pool.
        pub base: String,
        /// The prefix length of each network.
        pub size: i64,
    }

    /// The firewall in use.
    #[serde(rename_all = "PascalCase")]
    pub struct FirewallInfo {
        /// `nftables`, …
        pub driver: String,
        /// Facts about it, pairs.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub info: Vec<[String; 2]>,
    }

    /// The answer of `GET /system/df`.
    #[serde(rename_all = "PascalCase")]
    pub struct DiskUsage {
        /// Bytes of all layers.
        pub layers_size: i64,
        /// The images.
        #[serde(serialize_with = "crate::wire::null")]
        pub images: Vec<ImageSummary>,
        /// The containers with their sizes.
        #[serde(serialize_with = "crate::wire::null")]
        pub containers: Vec<ContainerSummary>,
        /// The volumes with their sizes.
        #[serde(serialize_with = "crate::wire::null")]
        pub volumes: Vec<Volume>,
        /// The build cache.
        #[serde(serialize_with = "crate::wire::null")]
        pub build_cache: Vec<BuildCache>,
    }

    /// One record of the build cache.
    #[serde(rename_all = "PascalCase")]
    pub struct BuildCache {
        /// Its id.
        #[serde(rename = "ID")]
        pub id: String,
        /// The records it builds on.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub parents: Vec<String>,
        /// `regular`, `source.local`, …
        #[serde(rename = "Type")]
        pub kind: String,
        /// The step.
        pub description: String,
        /// A build uses it now.
        pub in_use: bool,
        /// An image uses it too.
        pub shared: bool,
        /// Bytes.
        pub size: i64,
        /// RFC 3339.
        pub created_at: String,
        /// RFC 3339.
        pub last_used_at: Option<String>,
        /// How often.
        pub usage_count: i64,
    }

    /// The answer of `POST /auth`.
    #[serde(rename_all = "PascalCase")]
    pub struct AuthResponse {
        /// For people.
        pub status: String,
        /// A token to use instead of the password.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub identity_token: String,
    }
}
