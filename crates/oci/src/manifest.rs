//! Manifests and indexes, Docker's and OCI's alike.
//!
//! Whoever needs the digest again keeps the raw bytes: nothing here is ever written back in place of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::json;
use crate::media_type;
use crate::platform::Platform;

/// Largest manifest or index that is read, in bytes.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Most layers or manifests one document may list.
pub const MAX_ENTRIES: usize = 10_000;

/// A pointer to a blob. Spec: OCI image-spec, `descriptor.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Notes; never a path, never a command.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What kind of artifact it points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A bare pointer.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
            artifact_type: None,
        }
    }
}

/// The parts of one image. Spec: OCI image-spec, `manifest.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What this document calls itself; may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Set for what is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, the lowest first.
    #[serde(default, deserialize_with = "json::null_default")]
    pub layers: Vec<Descriptor>,
    /// What it says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// Several manifests, one per platform. Spec: OCI image-spec, `image-index.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What this document calls itself; may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests (or further indexes).
    #[serde(default, deserialize_with = "json::null_default")]
    pub manifests: Vec<Descriptor>,
    /// Notes.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "json::null_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// A manifest or an index, whichever the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, taken apart at once"
)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

/// Why bytes are neither manifest nor index.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Larger than [`MAX_MANIFEST`].
    #[error("manifest of {0} bytes is too large (at most {MAX_MANIFEST})")]
    TooLarge(u64),
    /// More than [`MAX_ENTRIES`] entries.
    #[error("manifest lists {0} entries (at most {MAX_ENTRIES})")]
    TooMany(usize),
    /// No such JSON.
    #[error("parse manifest")]
    Json(#[source] serde_json::Error),
    /// It is both, or neither, or not what it calls itself (CVE-2021-41190).
    #[error("manifest is ambiguous: its media type {media_type:?} does not fit its fields")]
    Ambiguous {
        /// What it calls itself.
        media_type: String,
    },
    /// Docker's first manifest format, signed and long gone.
    #[error("manifest schema {0} is not supported, only schema 2 and OCI")]
    Schema(u32),
}

impl ManifestError {
    /// Always the sender's mistake.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        fault::Kind::Invalid
    }
}

/// The fields that tell the shapes apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: u32,
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads a manifest or index, and refuses one that could be read as both.
    ///
    /// # Errors
    /// When it is too large, malformed, ambiguous or of another schema.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MAX_MANIFEST {
            return Err(ManifestError::TooLarge(bytes.len() as u64));
        }
        let shape: Shape = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        if shape.schema_version != 2 {
            return Err(ManifestError::Schema(shape.schema_version));
        }
        let has_manifest =
            shape.config.is_some() || shape.layers.is_some() || shape.fs_layers.is_some();
        let has_index = shape.manifests.is_some();
        let named = shape.media_type.as_deref();
        let fits = match (has_manifest, has_index) {
            (true, false) => named.is_none_or(media_type::is_manifest),
            (false, true) => named.is_none_or(media_type::is_index),
            // An index without any entry is written by some tools as no field at all.
            (false, false) => named.is_some_and(media_type::is_index),
            (true, true) => false,
        };
        if !fits {
            return Err(ManifestError::Ambiguous {
                media_type: shape.media_type.unwrap_or_default(),
            });
        }
        let document = if has_manifest {
            Self::Manifest(serde_json::from_slice(bytes).map_err(ManifestError::Json)?)
        } else {
            Self::Index(serde_json::from_slice(bytes).map_err(ManifestError::Json)?)
        };
        let entries = match &document {
            Self::Manifest(manifest) => manifest.layers.len(),
            Self::Index(index) => index.manifests.len(),
        };
        if entries > MAX_ENTRIES {
            return Err(ManifestError::TooMany(entries));
        }
        Ok(document)
    }

    /// What it calls itself, or what its shape says.
    #[must_use]
    pub fn media_type(&self) -> &str {
        match self {
            Self::Manifest(manifest) => manifest
                .media_type
                .as_deref()
                .unwrap_or(media_type::OCI_MANIFEST),
            Self::Index(index) => index.media_type.as_deref().unwrap_or(media_type::OCI_INDEX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    fn descriptor() -> String {
        format!(r#"{{"mediaType":"x","digest":"{ZERO}","size":1}}"#)
    }

    #[test]
    fn shapes_are_told_apart() {
        let d = descriptor();
        let manifest = format!(r#"{{"schemaVersion":2,"config":{d},"layers":[{d}]}}"#);
        assert!(matches!(
            Document::parse(manifest.as_bytes()),
            Ok(Document::Manifest(_))
        ));
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{d}]}}"#,
            media_type::OCI_INDEX
        );
        assert!(matches!(
            Document::parse(index.as_bytes()),
            Ok(Document::Index(_))
        ));
    }

    #[test]
    fn a_document_that_is_both_or_lies_is_refused() {
        let d = descriptor();
        let oci = media_type::OCI_MANIFEST;
        for text in [
            format!(r#"{{"schemaVersion":2,"config":{d},"layers":[],"manifests":[{d}]}}"#),
            format!(r#"{{"schemaVersion":2,"mediaType":"{oci}","manifests":[{d}]}}"#),
            format!(r#"{{"schemaVersion":2,"mediaType":"text/plain","config":{d},"layers":[]}}"#),
            r#"{"schemaVersion":2}"#.to_owned(),
        ] {
            assert!(
                matches!(
                    Document::parse(text.as_bytes()),
                    Err(ManifestError::Ambiguous { .. })
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn size_and_schema_are_checked_first() {
        assert!(matches!(
            Document::parse(&vec![b' '; 5 << 20]),
            Err(ManifestError::TooLarge(_))
        ));
        assert!(matches!(
            Document::parse(br#"{"schemaVersion":1}"#),
            Err(ManifestError::Schema(1))
        ));
        let d = descriptor();
        let wide = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            vec![d; MAX_ENTRIES + 1].join(",")
        );
        assert!(matches!(
            Document::parse(wide.as_bytes()),
            Err(ManifestError::TooMany(_))
        ));
    }
}
