//! An image as callers see it, and as it stands in the store's database.

use jiff::Timestamp;
use oci::image::Config;
use oci::{ChainId, Descriptor, DiffId, Digest, Platform, Reference};
use serde::{Deserialize, Serialize};

use crate::ImageId;

/// One image with everything that is known about it; a value, never changed once handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its config document.
    pub config: Config,
    /// Its tags, sorted by their full form.
    pub tags: Vec<Reference>,
    /// `repository@digest` for each repository it is named in, of the manifest or index that it came with.
    pub digests: Vec<Reference>,
    /// What does not change with its names.
    pub record: Record,
}

impl Image {
    /// Its tags as people write them; empty for a dangling image.
    #[must_use]
    pub fn repo_tags(&self) -> Vec<String> {
        self.tags.iter().map(Reference::familiar).collect()
    }

    /// `alpine@sha256:…`; empty when it came without a manifest.
    #[must_use]
    pub fn repo_digests(&self) -> Vec<String> {
        self.digests.iter().map(Reference::familiar).collect()
    }

    /// Whether nothing names it.
    #[must_use]
    pub fn is_dangling(&self) -> bool {
        self.tags.is_empty()
    }

    /// The chain of its topmost layer, by which a container's root is made; `None` without layers.
    #[must_use]
    pub fn chain_id(&self) -> Option<&ChainId> {
        self.record.layers.last().map(|layer| &layer.chain_id)
    }

    /// The image it was made from on this machine.
    #[must_use]
    pub fn parent(&self) -> Option<&ImageId> {
        self.record.parent.as_ref()
    }

    /// Bytes of all files in all its layers.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.record.layers.iter().map(|layer| layer.size).sum()
    }

    /// Digests of its uncompressed layers, the lowest first.
    #[must_use]
    pub fn diff_ids(&self) -> &[DiffId] {
        &self.config.rootfs.diff_ids
    }

    /// When it was built, as its config says.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.config.created.as_deref()?.parse().ok()
    }

    /// What it runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.config.platform()
    }

    /// The message given when it was made.
    #[must_use]
    pub fn comment(&self) -> &str {
        let own = self
            .config
            .extra
            .get("comment")
            .and_then(|value| value.as_str());
        let last = || self.config.history.last().map(|step| step.comment.as_str());
        own.or_else(last).unwrap_or_default()
    }
}

/// What the database keeps of an image beside its config blob and its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The image it was made from here.
    pub parent: Option<ImageId>,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    /// The manifest it came with, when it came with one; its bytes are a blob.
    pub manifest: Option<Descriptor>,
    /// The index that manifest came in; its bytes are a blob.
    pub index: Option<Descriptor>,
    /// What the index lists, with what of it is here.
    pub variants: Vec<Variant>,
    /// Every blob it keeps alive, its config among them.
    pub blobs: Vec<Digest>,
    /// When it came into this store.
    pub loaded: Timestamp,
    /// When a name was last given to it; `None` when it never had one.
    pub last_tagged: Option<Timestamp>,
}

impl Record {
    /// What its names point to for other machines: the index or the manifest.
    #[must_use]
    pub fn target(&self) -> Option<&Descriptor> {
        self.index.as_ref().or(self.manifest.as_ref())
    }
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of its uncompressed tar.
    pub diff_id: DiffId,
    /// Its name in the snapshot store.
    pub chain_id: ChainId,
    /// Its blob, as it came.
    pub blob: Descriptor,
    /// Bytes of its files once unpacked.
    pub size: u64,
}

/// One manifest of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// The manifest, with the platform it is for.
    pub descriptor: Descriptor,
    /// Whether manifest, config and all layers are in the store.
    pub is_complete: bool,
    /// The id its config would have as an image; `None` when the manifest is not here.
    pub id: Option<ImageId>,
}
