//! Volumes as the API speaks of them.

use std::collections::BTreeMap;

wire! {
    /// A volume.
    #[serde(rename_all = "PascalCase")]
    pub struct Volume {
        /// RFC 3339, seconds.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub created_at: String,
        /// `local`.
        pub driver: String,
        /// Labels.
        #[serde(serialize_with = "crate::wire::null")]
        pub labels: BTreeMap<String, String>,
        /// Its folder on the host.
        pub mountpoint: String,
        /// Its name.
        pub name: String,
        /// The driver's options.
        #[serde(serialize_with = "crate::wire::null")]
        pub options: BTreeMap<String, String>,
        /// `local`.
        pub scope: String,
        /// What the driver says about it.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub status: BTreeMap<String, serde_json::Value>,
        /// Only in `system df`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub usage_data: Option<VolumeUsage>,
    }

    /// How a volume is used; -1: not counted.
    #[serde(rename_all = "PascalCase")]
    pub struct VolumeUsage {
        /// Containers that mount it.
        pub ref_count: i64,
        /// Bytes.
        pub size: i64,
    }

    /// The answer of `GET /volumes`.
    #[serde(rename_all = "PascalCase")]
    pub struct VolumeList {
        /// The volumes.
        pub volumes: Vec<Volume>,
        /// What went wrong on the way.
        #[serde(serialize_with = "crate::wire::null")]
        pub warnings: Vec<String>,
    }

    /// The body of a create request.
    #[serde(rename_all = "PascalCase")]
    pub struct VolumeCreateRequest {
        /// Its name; empty: a random one.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub name: String,
        /// Its driver; empty: local.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub driver: String,
        /// The driver's options.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub driver_opts: BTreeMap<String, String>,
        /// Labels.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub labels: BTreeMap<String, String>,
    }

    /// What a prune removed.
    #[serde(rename_all = "PascalCase")]
    pub struct VolumesPruned {
        /// The names.
        pub volumes_deleted: Vec<String>,
        /// Bytes freed.
        pub space_reclaimed: u64,
    }
}
