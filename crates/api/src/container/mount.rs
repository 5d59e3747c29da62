//! Mounts as asked for (`Mount`) and as they are (`MountPoint`).

use std::collections::BTreeMap;

use crate::wire::Empty;

wire! {
    /// One mount in the long form of `--mount`.
    #[serde(rename_all = "PascalCase")]
    pub struct Mount {
        /// `bind`, `volume`, `tmpfs`, `image`, `npipe` or `cluster`.
        #[serde(rename = "Type", skip_serializing_if = "crate::wire::absent")]
        pub kind: String,
        /// A host path or a volume's name; empty for tmpfs and anonymous volumes.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub source: String,
        /// The path in the container.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub target: String,
        /// Mount it read-only.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub read_only: bool,
        /// `default`, `consistent`, `cached` or `delegated`; without effect on Linux.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub consistency: String,
        /// For `bind`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bind_options: Option<BindOptions>,
        /// For `volume`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_options: Option<VolumeOptions>,
        /// For `image`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_options: Option<ImageOptions>,
        /// For `tmpfs`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tmpfs_options: Option<TmpfsOptions>,
        /// For `cluster`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cluster_options: Option<Empty>,
    }

    /// Options of a bind mount.
    #[serde(rename_all = "PascalCase")]
    pub struct BindOptions {
        /// `[r]private`, `[r]shared`, `[r]slave`; empty: rprivate.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub propagation: String,
        /// Leave out mounts below the source.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub non_recursive: bool,
        /// Make the source folder when it is missing.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub create_mountpoint: bool,
        /// Read-only for the top mount only.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub read_only_non_recursive: bool,
        /// Fail when read-only cannot be made recursive.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub read_only_force_recursive: bool,
    }

    /// Options of a volume mount.
    #[serde(rename_all = "PascalCase")]
    pub struct VolumeOptions {
        /// Do not copy the image's content into a new volume.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub no_copy: bool,
        /// Labels of a volume made for this mount.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub labels: BTreeMap<String, String>,
        /// A folder inside the volume.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub subpath: String,
        /// The driver of a volume made for this mount.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub driver_config: Option<DriverConfig>,
    }

    /// A volume driver and its options.
    #[serde(rename_all = "PascalCase")]
    pub struct DriverConfig {
        /// The driver's name.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub name: String,
        /// Its options.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub options: BTreeMap<String, String>,
    }

    /// Options of an image mount.
    #[serde(rename_all = "PascalCase")]
    pub struct ImageOptions {
        /// A folder inside the image.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub subpath: String,
    }

    /// Options of a tmpfs mount.
    #[serde(rename_all = "PascalCase")]
    pub struct TmpfsOptions {
        /// Bytes; 0: no bound.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub size_bytes: i64,
        /// Mode bits; 0: 01777.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub mode: u32,
        /// Further options, each `[name]` or `[name, value]`.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub options: Vec<Vec<String>>,
    }

    /// One mount that a container has.
    #[serde(rename_all = "PascalCase")]
    pub struct MountPoint {
        /// `bind`, `volume` or `tmpfs`.
        #[serde(rename = "Type", skip_serializing_if = "crate::wire::absent")]
        pub kind: String,
        /// The volume's name.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub name: String,
        /// The path on the host.
        pub source: String,
        /// The path in the container.
        pub destination: String,
        /// The volume's driver.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub driver: String,
        /// The option word as given, such as `z` or `ro`.
        pub mode: String,
        /// Writable.
        #[serde(rename = "RW")]
        pub rw: bool,
        /// Mount propagation.
        pub propagation: String,
    }
}
