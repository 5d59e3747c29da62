//! How much disk images take.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::ChainId;

use crate::Result;
use crate::record::Image;
use crate::store::Store;

/// The disk use of all images.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Each image with its share.
    pub images: Vec<ImageUsage>,
    /// Bytes of all unpacked layers, each counted once.
    pub layers: u64,
    /// Bytes of all blobs (configs, manifests, layers as they came).
    pub blobs: u64,
}

/// The disk use of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageUsage {
    /// The image.
    pub image: Arc<Image>,
    /// Bytes of layers that other images have too.
    pub shared: u64,
    /// Bytes of layers that only this one has.
    pub unique: u64,
}

impl Store {
    /// Adds up what images take on disk.
    ///
    /// # Errors
    /// When blobs cannot be listed.
    pub fn usage(&self) -> Result<Usage> {
        let images = self.list();
        let mut owners: BTreeMap<&ChainId, (u64, usize)> = BTreeMap::new();
        for layer in images.iter().flat_map(|image| &image.record.layers) {
            let owner = owners.entry(&layer.chain_id).or_insert((layer.size, 0));
            owner.1 += 1;
        }
        let share = |image: &Arc<Image>| {
            let is_shared =
                |chain: &ChainId| owners.get(chain).is_some_and(|(_, count)| *count > 1);
            let layers = image.record.layers.iter();
            let shared = layers
                .filter(|layer| is_shared(&layer.chain_id))
                .map(|layer| layer.size)
                .sum();
            ImageUsage {
                image: Arc::clone(image),
                shared,
                unique: image.size().saturating_sub(shared),
            }
        };
        Ok(Usage {
            images: images.iter().map(share).collect(),
            layers: owners.values().map(|(size, _)| size).sum(),
            blobs: self.content.list()?.iter().map(|blob| blob.size).sum(),
        })
    }
}
