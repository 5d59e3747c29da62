//! Images as the API speaks of them.

use std::collections::BTreeMap;

use crate::container::{ContainerConfig, GraphDriver};

wire! {
    /// One row of `GET /images/json`.
    #[serde(rename_all = "PascalCase")]
    pub struct ImageSummary {
        /// Containers that use it; -1: not counted.
        pub containers: i64,
        /// Seconds since the epoch.
        pub created: i64,
        /// The image's id.
        pub id: String,
        /// The image's labels.
        #[serde(serialize_with = "crate::wire::null")]
        pub labels: BTreeMap<String, String>,
        /// The parent's id.
        pub parent_id: String,
        /// The manifest or index behind the image.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub descriptor: Option<Descriptor>,
        /// The manifests behind the image, when asked for.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub manifests: Vec<ManifestSummary>,
        /// `repository@digest` names.
        pub repo_digests: Vec<String>,
        /// `repository:tag` names.
        pub repo_tags: Vec<String>,
        /// Bytes shared with other images; -1: not counted.
        pub shared_size: i64,
        /// Bytes of all layers.
        pub size: i64,
        /// The same as `size`; only before API 1.44.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub virtual_size: Option<i64>,
    }

    /// The answer of `GET /images/{name}/json`.
    #[serde(rename_all = "PascalCase")]
    pub struct ImageInspect {
        /// The image's id.
        pub id: String,
        /// `repository:tag` names.
        pub repo_tags: Vec<String>,
        /// `repository@digest` names.
        pub repo_digests: Vec<String>,
        /// The parent's id.
        pub parent: String,
        /// The commit message.
        pub comment: String,
        /// RFC 3339.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub created: String,
        /// The version of the engine that made it.
        pub docker_version: String,
        /// Who made it.
        pub author: String,
        /// How to run it.
        pub config: Option<ContainerConfig>,
        /// `amd64`, …
        pub architecture: String,
        /// `v8`, …
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub variant: String,
        /// `linux`.
        pub os: String,
        /// Windows only.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub os_version: String,
        /// Bytes of all layers.
        pub size: i64,
        /// The same as `size`; only before API 1.44.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub virtual_size: Option<i64>,
        /// The snapshot of the topmost layer.
        pub graph_driver: GraphDriver,
        /// The layers.
        #[serde(rename = "RootFS")]
        pub root_fs: RootFs,
        /// What this engine remembers about it.
        pub metadata: ImageMetadata,
        /// The manifest or index behind the image.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub descriptor: Option<Descriptor>,
        /// The manifests behind the image, when asked for.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub manifests: Vec<ManifestSummary>,
    }

    /// One of the manifests behind an image.
    #[serde(rename_all = "PascalCase")]
    pub struct ManifestSummary {
        /// The manifest's digest.
        #[serde(rename = "ID")]
        pub id: String,
        /// The manifest.
        pub descriptor: Descriptor,
        /// All of it is here.
        pub available: bool,
        /// Bytes.
        pub size: ManifestSize,
        /// `image`, `attestation` or `unknown`.
        pub kind: String,
        /// Of an image.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_data: Option<ManifestImage>,
        /// Of an attestation.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attestation_data: Option<ManifestAttestation>,
    }

    /// Bytes of a manifest.
    #[serde(rename_all = "PascalCase")]
    pub struct ManifestSize {
        /// Of its blobs, as they came.
        pub content: i64,
        /// Of its blobs and its files.
        pub total: i64,
    }

    /// What a manifest says of an image.
    #[serde(rename_all = "PascalCase")]
    pub struct ManifestImage {
        /// For whom it is.
        pub platform: Platform,
        /// Bytes of its files.
        pub size: ManifestImageSize,
        /// Ids of the containers made from it.
        pub containers: Vec<String>,
    }

    /// Bytes of an image's files.
    #[serde(rename_all = "PascalCase")]
    pub struct ManifestImageSize {
        /// Once unpacked; 0 when it is not.
        pub unpacked: i64,
    }

    /// What an attestation is about.
    #[serde(rename_all = "PascalCase")]
    pub struct ManifestAttestation {
        /// The digest of the manifest.
        #[serde(rename = "For")]
        pub about: String,
    }

    /// The layers of an image.
    #[serde(rename_all = "PascalCase")]
    pub struct RootFs {
        /// `layers`.
        #[serde(rename = "Type")]
        pub kind: String,
        /// Digests of the uncompressed layers, the lowest first.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub layers: Vec<String>,
    }

    /// What this engine remembers about an image.
    #[serde(rename_all = "PascalCase")]
    pub struct ImageMetadata {
        /// RFC 3339; `0001-01-01T00:00:00Z` when never.
        pub last_tag_time: String,
    }

    /// An OCI descriptor.
    #[serde(rename_all = "camelCase")]
    pub struct Descriptor {
        /// The type of what it points to.
        pub media_type: String,
        /// Its digest.
        pub digest: String,
        /// Its bytes.
        pub size: i64,
        /// Where else it may be had.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub urls: Vec<String>,
        /// Free-form facts.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub annotations: BTreeMap<String, String>,
        /// For whom it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub platform: Option<Platform>,
    }

    /// A platform in OCI's spelling.
    #[serde(rename_all = "camelCase")]
    pub struct Platform {
        /// `amd64`, …
        pub architecture: String,
        /// `linux`.
        pub os: String,
        /// Windows only.
        #[serde(rename = "os.version", skip_serializing_if = "crate::wire::absent")]
        pub os_version: String,
        /// Windows only.
        #[serde(rename = "os.features", skip_serializing_if = "crate::wire::absent")]
        pub os_features: Vec<String>,
        /// `v8`, …
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub variant: String,
    }

    /// One line of `GET /images/{name}/history`.
    #[serde(rename_all = "PascalCase")]
    pub struct HistoryItem {
        /// The image's id at that step, or `<missing>`.
        pub id: String,
        /// Seconds since the epoch.
        pub created: i64,
        /// The step.
        pub created_by: String,
        /// Names of the image at that step.
        #[serde(serialize_with = "crate::wire::null")]
        pub tags: Vec<String>,
        /// Bytes the step added.
        pub size: i64,
        /// The commit message.
        pub comment: String,
    }

    /// One step of an image's deletion; one of the two is set.
    #[serde(rename_all = "PascalCase")]
    pub struct DeleteItem {
        /// A digest that is gone.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub deleted: String,
        /// A name that is gone.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub untagged: String,
    }

    /// What a prune removed.
    #[serde(rename_all = "PascalCase")]
    pub struct ImagesPruned {
        /// Steps in order.
        #[serde(serialize_with = "crate::wire::null")]
        pub images_deleted: Vec<DeleteItem>,
        /// Bytes freed.
        pub space_reclaimed: u64,
    }

    /// The answer of a commit.
    #[serde(rename_all = "PascalCase")]
    pub struct CommitResponse {
        /// The new image's id.
        pub id: String,
    }

    /// One line of a progress stream (load, import, pull, build).
    #[serde(rename_all = "camelCase")]
    pub struct Progress {
        /// A piece of output.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub stream: String,
        /// What happens to `id`.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub status: String,
        /// How far it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub progress_detail: Option<ProgressDetail>,
        /// `progress_detail` drawn as a bar.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub progress: String,
        /// The layer meant.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub id: String,
        /// The end of it all.
        #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
        pub error_detail: Option<ErrorDetail>,
        /// The same text, for old clients.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub error: String,
        /// Results for machines.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub aux: Option<serde_json::Value>,
    }

    /// How far a transfer is.
    pub struct ProgressDetail {
        /// Bytes done.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub current: i64,
        /// Bytes in all.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub total: i64,
    }

    /// Why a stream ended early.
    pub struct ErrorDetail {
        /// A code, if there is one.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub code: i64,
        /// The text.
        pub message: String,
    }

    /// What a registry search finds.
    pub struct SearchResult {
        /// Stars.
        pub star_count: i64,
        /// Curated.
        pub is_official: bool,
        /// The repository.
        pub name: String,
        /// Built by the registry.
        pub is_automated: bool,
        /// One line about it.
        pub description: String,
    }
}

impl Progress {
    /// A line that ends the stream with an error.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            error_detail: Some(ErrorDetail {
                code: 0,
                message: message.clone(),
            }),
            error: message,
            ..Self::default()
        }
    }
}
