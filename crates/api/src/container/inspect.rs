//! Everything about one container.

use std::collections::BTreeMap;

use super::{ContainerConfig, HostConfig, MountPoint};
use crate::image::Descriptor;
use crate::network::NetworkSettings;

wire! {
    /// The answer of `GET /containers/{id}/json`.
    #[serde(rename_all = "PascalCase")]
    pub struct ContainerInspect {
        /// The full id.
        pub id: String,
        /// RFC 3339 with nanoseconds.
        pub created: String,
        /// The program.
        pub path: String,
        /// Its arguments.
        pub args: Vec<String>,
        /// Where it is in its life.
        pub state: Option<ContainerState>,
        /// The image's id.
        pub image: String,
        /// The container's file on the host.
        pub resolv_conf_path: String,
        /// The container's file on the host.
        pub hostname_path: String,
        /// The container's file on the host.
        pub hosts_path: String,
        /// The log file on the host.
        pub log_path: String,
        /// The name with a leading slash.
        pub name: String,
        /// How often the restart policy has struck.
        pub restart_count: i64,
        /// The snapshotter.
        pub driver: String,
        /// `linux`.
        pub platform: String,
        /// SELinux label.
        pub mount_label: String,
        /// SELinux label.
        pub process_label: String,
        /// The AppArmor profile.
        pub app_armor_profile: String,
        /// Ids of running execs.
        #[serde(rename = "ExecIDs", serialize_with = "crate::wire::null")]
        pub exec_ids: Vec<String>,
        /// The host's part of the configuration.
        pub host_config: Option<HostConfig>,
        /// The snapshot.
        pub graph_driver: GraphDriver,
        /// The manifest the container was made from.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_manifest_descriptor: Option<Descriptor>,
        /// Bytes of the writable layer; only when asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_rw: Option<i64>,
        /// Bytes of all layers; only when asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_root_fs: Option<i64>,
        /// The mounts.
        pub mounts: Vec<MountPoint>,
        /// The portable part of the configuration.
        pub config: Option<ContainerConfig>,
        /// Addresses and ports.
        pub network_settings: Option<NetworkSettings>,
    }

    /// Where a container is in its life.
    #[serde(rename_all = "PascalCase")]
    pub struct ContainerState {
        /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
        pub status: String,
        /// The program runs (also while paused or restarting).
        pub running: bool,
        /// The program is frozen.
        pub paused: bool,
        /// The restart policy will start it again.
        pub restarting: bool,
        /// The kernel's OOM killer struck.
        #[serde(rename = "OOMKilled")]
        pub oom_killed: bool,
        /// It could not be removed whole.
        pub dead: bool,
        /// The program's pid on the host; 0 when it does not run.
        pub pid: i64,
        /// The last exit code.
        pub exit_code: i64,
        /// Why the last start failed.
        pub error: String,
        /// RFC 3339; `0001-01-01T00:00:00Z` when never.
        pub started_at: String,
        /// RFC 3339; `0001-01-01T00:00:00Z` when never.
        pub finished_at: String,
        /// The health check's findings.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub health: Option<Health>,
    }

    /// The findings of a health check.
    #[serde(rename_all = "PascalCase")]
    pub struct Health {
        /// `none`, `starting`, `healthy` or `unhealthy`.
        pub status: String,
        /// Failures since the last success.
        pub failing_streak: i64,
        /// The last results, the oldest first.
        #[serde(serialize_with = "crate::wire::null")]
        pub log: Vec<HealthResult>,
    }

    /// One run of a health check.
    #[serde(rename_all = "PascalCase")]
    pub struct HealthResult {
        /// RFC 3339.
        pub start: String,
        /// RFC 3339.
        pub end: String,
        /// 0 healthy, 1 unhealthy, other: could not be run.
        pub exit_code: i64,
        /// What it printed, cut.
        pub output: String,
    }

    /// The snapshot under a container or an image.
    #[serde(rename_all = "PascalCase")]
    pub struct GraphDriver {
        /// The folders of the snapshot.
        #[serde(serialize_with = "crate::wire::null")]
        pub data: BTreeMap<String, String>,
        /// The snapshotter.
        pub name: String,
    }
}
