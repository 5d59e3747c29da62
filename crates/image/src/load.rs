//! Image archives and layouts to images.
//!
//! ```text
//! tar, OCI layout folder ──spool──► documents in memory, blobs in the content store, all by name
//!        └─ manifest.json / index.json ──► candidates ──► config + layers ──► verified, unpacked ──► one database change
//! ```
//! Names in an archive are keys of a map and never paths on disk. The lease drops whatever no image came to refer to.

mod docker;
mod documents;
mod layout;
mod spool;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use oci::image::Config;
use oci::{ChainId, Descriptor, Digest, Platform, Reference};

use crate::lease::Lease;
use crate::record::{Record, Variant};
use crate::store::Store;
use crate::{Error, ImageId, NotAnArchive, Result};
use spool::Spool;

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Take only what is for this platform; `None` takes what suits this machine best.
    pub platform: Option<Platform>,
}

/// What happens while an archive is loaded. [`fmt::Display`] gives Docker's line for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadEvent {
    /// A layer is being unpacked, or (`current == total`) is there.
    Layer {
        /// Its diff id.
        id: String,
        /// Bytes of its blob done.
        current: u64,
        /// Bytes of its blob.
        total: u64,
    },
    /// A name moved from another image to the loaded one.
    Renamed {
        /// The name.
        name: String,
        /// The image that had it.
        old: ImageId,
    },
    /// An image is in the store; `name` is `None` when the archive gives it none.
    Loaded {
        /// The image.
        image: ImageId,
        /// A name it has now.
        name: Option<String>,
    },
}

impl fmt::Display for LoadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer { .. } => f.write_str("Loading layer"),
            Self::Renamed { name, old } => write!(
                f,
                "The image {name} already exists, renaming the old one with ID {old} to empty string"
            ),
            Self::Loaded {
                name: Some(name), ..
            } => write!(f, "Loaded image: {name}"),
            Self::Loaded { image, name: None } => write!(f, "Loaded image ID: {image}"),
        }
    }
}

/// Hears what happens.
pub(crate) type Listener<'a> = &'a mut dyn FnMut(LoadEvent);

/// One image that an archive offers, checked and ready to be unpacked.
struct Offer {
    config: Vec<u8>,
    /// The layers' blobs, in the content store, the lowest first.
    layers: Vec<Descriptor>,
    manifest: Option<Descriptor>,
    index: Option<Descriptor>,
    variants: Vec<Variant>,
    /// Blobs besides config and layers that belong to it.
    blobs: Vec<Digest>,
    names: Vec<Reference>,
}

impl Store {
    /// Loads every image of an archive: `docker save`'s format or an OCI layout, plain, gzip, zstd or xz.
    ///
    /// Returns the ids of the images. What came is on disk for good after [`Store::flush`].
    ///
    /// # Errors
    /// When the archive is broken, incomplete or lies, or the disk is full; nothing of the archive is left then, but
    /// images loaded from it before the one in error stay.
    pub fn load(
        &self,
        input: impl Read + Send,
        options: &LoadOptions,
        listener: &mut dyn FnMut(LoadEvent),
    ) -> Result<Vec<ImageId>> {
        let lease = self.lease();
        let mut spool = Spool::new(self, &lease);
        spool.take_archive(input)?;
        self.load_spooled(&spool, options, listener)
    }

    /// Loads every image of an OCI layout (or unpacked archive) in a folder. Symbolic links in it are refused.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load_folder(
        &self,
        folder: &Path,
        options: &LoadOptions,
        listener: &mut dyn FnMut(LoadEvent),
    ) -> Result<Vec<ImageId>> {
        let lease = self.lease();
        let mut spool = Spool::new(self, &lease);
        spool.take_folder(folder)?;
        self.load_spooled(&spool, options, listener)
    }

    fn load_spooled(
        &self,
        spool: &Spool<'_>,
        options: &LoadOptions,
        listener: Listener<'_>,
    ) -> Result<Vec<ImageId>> {
        let mut offers = Vec::new();
        if spool.has("index.json") && spool.has("oci-layout") {
            offers.extend(layout::offers(spool, options)?);
        }
        if spool.has("manifest.json") {
            let has_layout = !offers.is_empty();
            offers.extend(docker::offers(spool, options, has_layout)?);
        } else if offers.is_empty() && !spool.has("index.json") {
            let why = match (spool.is_empty(), spool.has("repositories")) {
                (true, _) => NotAnArchive::Empty,
                (_, true) => NotAnArchive::Legacy,
                _ => NotAnArchive::NoManifest,
            };
            return Err(Error::NotAnArchive(why));
        }
        let mut loaded: Vec<ImageId> = Vec::new();
        for offer in joined(offers) {
            let id = self.take(spool.lease(), offer, listener)?;
            if !loaded.contains(&id) {
                loaded.push(id);
            }
        }
        Ok(loaded)
    }

    /// Unpacks one offer and makes it an image.
    fn take(&self, lease: &Lease<'_>, offer: Offer, listener: Listener<'_>) -> Result<ImageId> {
        let config = Config::parse(&offer.config).map_err(|source| Error::Parse {
            name: "the config".to_owned(),
            source,
        })?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != offer.layers.len() {
            return Err(Error::LayerCount {
                expected: diff_ids.len(),
                actual: offer.layers.len(),
            });
        }
        let id = ImageId(lease.put(&offer.config)?);
        let mut parent: Option<ChainId> = None;
        let mut layers = Vec::with_capacity(diff_ids.len());
        for (number, (diff_id, blob)) in diff_ids.iter().zip(&offer.layers).enumerate() {
            let mut tell = |current| {
                listener(LoadEvent::Layer {
                    id: diff_id.0.short().to_owned(),
                    current,
                    total: blob.size,
                });
            };
            tell(0);
            lease.blob(&blob.digest);
            lease.layer(&ChainId::on(parent.as_ref(), diff_id));
            let layer = self.unpack(blob, parent.as_ref(), Some((number, diff_id)))?;
            tell(blob.size);
            parent = Some(layer.chain_id.clone());
            layers.push(layer);
        }
        let mut blobs = offer.blobs;
        blobs.extend(layers.iter().map(|layer| layer.blob.digest.clone()));
        blobs.push(id.0.clone());
        blobs.sort();
        blobs.dedup();
        let record = Record {
            parent: None,
            layers,
            manifest: offer.manifest,
            index: offer.index,
            variants: offer.variants,
            blobs,
            loaded: Timestamp::now(),
            last_tagged: None,
        };
        for (name, old) in self.insert(&id, record, &offer.names)? {
            listener(LoadEvent::Renamed {
                name: name.familiar(),
                old,
            });
        }
        tell_loaded(&id, &offer.names, listener);
        Ok(id)
    }
}

fn tell_loaded(id: &ImageId, names: &[Reference], listener: Listener<'_>) {
    for name in names {
        listener(LoadEvent::Loaded {
            image: id.clone(),
            name: Some(name.familiar()),
        });
    }
    if names.is_empty() {
        listener(LoadEvent::Loaded {
            image: id.clone(),
            name: None,
        });
    }
}

/// An archive that speaks both formats offers each image twice: one offer takes the names of both, and the first's
/// manifest, which the archive gave as bytes.
fn joined(offers: Vec<Offer>) -> Vec<Offer> {
    let mut joined: Vec<Offer> = Vec::new();
    let mut places: BTreeMap<Digest, usize> = BTreeMap::new();
    for offer in offers {
        let id = Digest::of(&offer.config);
        let Some(place) = places.get(&id) else {
            places.insert(id, joined.len());
            joined.push(offer);
            continue;
        };
        let first = &mut joined[*place];
        for name in offer.names {
            if !first.names.contains(&name) {
                first.names.push(name);
            }
        }
        first.blobs.extend(offer.blobs);
        if first.manifest.is_none() {
            first.manifest = offer.manifest;
            first.index = offer.index;
            first.variants = offer.variants;
            first.layers = offer.layers;
        }
    }
    joined
}
