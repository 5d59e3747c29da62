//! The manifests behind an image, one a platform: what of them is here, and the image as one of them alone.

use std::sync::Arc;

use oci::manifest::MAX_MANIFEST;
use oci::{ChainId, Descriptor, Digest, Document, Manifest, Platform};

use crate::record::{Image, Layer, Record, Variant};
use crate::store::Store;
use crate::{Error, ImageId, Result};

/// The annotation by which an index says what an entry is.
const KIND: &str = "vnd.docker.reference.type";
/// The annotation by which an attestation names the manifest it is about.
const ABOUT: &str = "vnd.docker.reference.digest";

/// One manifest of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestInfo {
    /// The manifest.
    pub descriptor: Descriptor,
    /// Whether all of it is here.
    pub is_complete: bool,
    /// Bytes of its blobs that are here.
    pub content_bytes: u64,
    /// What it is.
    pub kind: ManifestKind,
}

/// What a manifest is.
#[derive(Debug, Clone, PartialEq)]
pub enum ManifestKind {
    /// A container can be made from it.
    Image {
        /// What it runs on.
        platform: Platform,
        /// The image; `None` when its config is not here.
        id: Option<ImageId>,
        /// Bytes of its files; 0 when it is not unpacked.
        unpacked_bytes: u64,
    },
    /// It tells how another was built.
    Attestation {
        /// The other's digest, as it is written.
        about: String,
    },
    /// Something else.
    Unknown,
}

impl Store {
    /// The manifests behind an image; none for one that was made here and never had any.
    #[must_use]
    pub fn manifests(&self, image: &Image) -> Vec<ManifestInfo> {
        let own = image.record.manifest.iter().map(|descriptor| Variant {
            descriptor: descriptor.clone(),
            is_complete: true,
            id: Some(image.id.clone()),
        });
        let variants = match image.record.variants.is_empty() {
            true => own.collect(),
            false => image.record.variants.clone(),
        };
        variants
            .into_iter()
            .map(|variant| self.describe(image, variant))
            .collect()
    }

    fn describe(&self, image: &Image, variant: Variant) -> ManifestInfo {
        let manifest = self.manifest(&variant.descriptor).ok();
        let blobs = manifest.iter().flat_map(parts);
        let digests = blobs
            .map(|part| &part.digest)
            .chain([&variant.descriptor.digest]);
        let sizes = digests.filter_map(|digest| self.content.size(digest).ok());
        ManifestInfo {
            content_bytes: sizes.sum(),
            is_complete: variant.is_complete,
            kind: self.kind(image, &variant),
            descriptor: variant.descriptor,
        }
    }

    fn kind(&self, image: &Image, variant: &Variant) -> ManifestKind {
        let notes = &variant.descriptor.annotations;
        if notes
            .get(KIND)
            .is_some_and(|kind| kind == "attestation-manifest")
        {
            let about = notes.get(ABOUT).cloned().unwrap_or_default();
            return ManifestKind::Attestation { about };
        }
        let known = match &variant.id {
            Some(id) if *id == image.id => Some(image.platform()),
            _ => variant.descriptor.platform.clone(),
        };
        match known {
            Some(platform) => ManifestKind::Image {
                unpacked_bytes: variant
                    .id
                    .as_ref()
                    .and_then(|id| self.get(id))
                    .map_or(0, |unpacked| unpacked.size()),
                id: variant.id.clone(),
                platform,
            },
            None => ManifestKind::Unknown,
        }
    }

    /// The image as the manifest for one platform alone makes it: without its index and the other platforms. One that is
    /// not unpacked here can be looked at and saved, not run.
    ///
    /// # Errors
    /// It has none for that platform, or not all of it is here.
    pub fn for_platform(&self, image: &Arc<Image>, wanted: &Platform) -> Result<Arc<Image>> {
        let missing = || Error::Platform {
            name: image
                .repo_tags()
                .first()
                .cloned()
                .unwrap_or_else(|| image.id.to_string()),
            platform: Box::new(wanted.clone()),
        };
        if image.record.variants.is_empty() {
            return match wanted.accepts(&image.platform()) {
                true => Ok(Arc::clone(image)),
                false => Err(missing()),
            };
        }
        let rank = |variant: &&Variant| {
            let is_own = variant.id.as_ref() == Some(&image.id);
            let own = || is_own.then(|| image.platform());
            wanted.rank(&variant.descriptor.platform.clone().or_else(own)?)
        };
        let best = image
            .record
            .variants
            .iter()
            .filter(|variant| variant.is_complete)
            .filter_map(|variant| Some((rank(&variant)?, variant, variant.id.as_ref()?)))
            .min_by_key(|(rank, ..)| *rank);
        let (_, variant, id) = best.ok_or_else(missing)?;
        self.alone(image, variant, id).map(Arc::new)
    }

    fn alone(&self, image: &Image, variant: &Variant, id: &ImageId) -> Result<Image> {
        let manifest = self.manifest(&variant.descriptor)?;
        let config = self.read_config(id)?;
        let mut blobs: Vec<Digest> = parts(&manifest).map(|part| part.digest.clone()).collect();
        blobs.push(variant.descriptor.digest.clone());
        let layers = match *id == image.id {
            true => image.record.layers.clone(),
            false => layers_of(&manifest, &config.rootfs.diff_ids),
        };
        Ok(Image {
            id: id.clone(),
            config,
            record: Record {
                parent: None,
                layers,
                manifest: Some(variant.descriptor.clone()),
                index: None,
                variants: Vec::new(),
                blobs,
                ..image.record.clone()
            },
            ..image.clone()
        })
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let bytes = self.content.read_small(&descriptor.digest, MAX_MANIFEST)?;
        let name = || descriptor.digest.to_string();
        match Document::parse(&bytes) {
            Ok(Document::Manifest(manifest)) => Ok(manifest),
            Ok(Document::Index(_)) => Err(Error::Incomplete {
                name: name(),
                wanted_by: "its index",
            }),
            Err(source) => Err(Error::Manifest {
                name: name(),
                source,
            }),
        }
    }
}

/// What a manifest points to.
fn parts(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    std::iter::once(&manifest.config).chain(&manifest.layers)
}

/// Layers that are not unpacked: they take no space as files.
fn layers_of(manifest: &Manifest, diff_ids: &[oci::DiffId]) -> Vec<Layer> {
    let chains = ChainId::chain(diff_ids);
    let names = diff_ids.iter().zip(chains);
    names
        .zip(&manifest.layers)
        .map(|((diff_id, chain_id), blob)| Layer {
            diff_id: diff_id.clone(),
            chain_id,
            blob: blob.clone(),
            size: 0,
        })
        .collect()
}
