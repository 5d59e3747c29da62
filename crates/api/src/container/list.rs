//! Containers in a list.

use std::collections::BTreeMap;

use super::MountPoint;
use crate::image::Descriptor;
use crate::network::EndpointSettings;

wire! {
    /// One row of `GET /containers/json`.
    #[serde(rename_all = "PascalCase")]
    pub struct ContainerSummary {
        /// The full id.
        pub id: String,
        /// Names with a leading slash.
        pub names: Vec<String>,
        /// The image as the user wrote it, or its id when that name now means another image.
        pub image: String,
        /// The image's id.
        #[serde(rename = "ImageID")]
        pub image_id: String,
        /// The manifest the container was made from.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_manifest_descriptor: Option<Descriptor>,
        /// The command line.
        pub command: String,
        /// Seconds since the epoch.
        pub created: i64,
        /// Open ports.
        pub ports: Vec<Port>,
        /// Bytes of the writable layer; only when asked for.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub size_rw: i64,
        /// Bytes of all layers; only when asked for.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub size_root_fs: i64,
        /// Labels.
        pub labels: BTreeMap<String, String>,
        /// `created`, `running`, …
        pub state: String,
        /// For people: `Up 5 minutes`.
        pub status: String,
        /// The host's part, shortened.
        pub host_config: SummaryHostConfig,
        /// The networks.
        pub network_settings: SummaryNetworks,
        /// The mounts.
        pub mounts: Vec<MountPoint>,
    }

    /// The host's part of a row.
    #[serde(rename_all = "PascalCase")]
    pub struct SummaryHostConfig {
        /// The network mode.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub network_mode: String,
        /// Annotations.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub annotations: BTreeMap<String, String>,
    }

    /// The networks of a row.
    #[serde(rename_all = "PascalCase")]
    pub struct SummaryNetworks {
        /// Endpoints by network name.
        pub networks: BTreeMap<String, EndpointSettings>,
    }

    /// An open port.
    #[serde(rename_all = "PascalCase")]
    pub struct Port {
        /// The host address it is published on.
        #[serde(rename = "IP", skip_serializing_if = "crate::wire::absent")]
        pub ip: String,
        /// The container's port.
        pub private_port: u16,
        /// The host's port.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub public_port: u16,
        /// `tcp`, `udp` or `sctp`.
        #[serde(rename = "Type")]
        pub kind: String,
    }
}
