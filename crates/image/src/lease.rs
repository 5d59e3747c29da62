//! Leases: what an unfinished operation needs, kept from the collector; and the collector.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{MutexGuard, PoisonError};

use oci::{ChainId, Digest};

use crate::Result;
use crate::store::Store;

/// How often each blob and layer is held by a lease.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    blobs: HashMap<Digest, u32>,
    layers: HashMap<ChainId, u32>,
}

/// Holds blobs and layers until an image refers to them. Dropped, it removes those that none refers to, so an
/// operation that fails leaves nothing.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    store: &'a Store,
    blobs: RefCell<Vec<Digest>>,
    layers: RefCell<Vec<ChainId>>,
}

/// What the collector removed.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) layers: Vec<ChainId>,
}

impl Store {
    pub(crate) fn lease(&self) -> Lease<'_> {
        Lease {
            store: self,
            blobs: RefCell::default(),
            layers: RefCell::default(),
        }
    }

    /// Removes every blob and layer that no image, lease or container refers to.
    ///
    /// Runs when the store is opened. The engine calls it after it removed a container whose image was removed before.
    ///
    /// # Errors
    /// When something cannot be listed or removed.
    pub fn sweep(&self) -> Result<()> {
        let blobs: Vec<Digest> = self
            .content
            .list()?
            .into_iter()
            .map(|blob| blob.digest)
            .collect();
        let layers: Vec<ChainId> = self
            .snapshots
            .layers()
            .iter()
            .filter_map(|layer| layer.chain.parse().ok())
            .collect();
        self.collect(&blobs, &layers)?;
        Ok(())
    }

    /// Removes those of the candidates that nothing refers to; layers that something stands on stay.
    pub(crate) fn collect(&self, blobs: &[Digest], layers: &[ChainId]) -> Result<Collected> {
        // Held throughout: a lease taken meanwhile must not find what is about to go.
        let pins = self.pinned();
        let (live_blobs, live_layers) = self.live();
        for digest in blobs {
            if !live_blobs.contains(digest) && !pins.blobs.contains_key(digest) {
                self.content.remove(digest)?;
            }
        }
        let is_dead =
            |chain: &&ChainId| !live_layers.contains(*chain) && !pins.layers.contains_key(*chain);
        // Most callers name parents first, so one pass from the end does; a parent met too early waits for the next.
        let mut dead: Vec<&ChainId> = layers.iter().filter(is_dead).collect();
        let mut collected = Collected::default();
        loop {
            let mut stay = Vec::new();
            for chain in dead.iter().rev().copied() {
                match self.snapshots.remove_layer(chain.0.as_str()) {
                    Ok(()) => collected.layers.push(chain.clone()),
                    Err(snapshot::Error::NoLayer { .. }) => {}
                    Err(snapshot::Error::InUse { .. }) => stay.push(chain),
                    Err(error) => return Err(error.into()),
                }
            }
            if stay.is_empty() || stay.len() == dead.len() {
                return Ok(collected);
            }
            stay.reverse();
            dead = stay;
        }
    }

    fn live(&self) -> (HashSet<Digest>, HashSet<ChainId>) {
        let state = self.read();
        let mut blobs = HashSet::new();
        let mut layers = HashSet::new();
        for image in state.images.values() {
            blobs.extend(image.record.blobs.iter().cloned());
            layers.extend(
                image
                    .record
                    .layers
                    .iter()
                    .map(|layer| layer.chain_id.clone()),
            );
        }
        (blobs, layers)
    }

    fn pinned(&self) -> MutexGuard<'_, Pins> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// Keeps a blob, whether it is there already or comes later.
    pub(crate) fn blob(&self, digest: &Digest) {
        *self.store.pinned().blobs.entry(digest.clone()).or_default() += 1;
        self.blobs.borrow_mut().push(digest.clone());
    }

    /// Keeps a layer; parents before children.
    pub(crate) fn layer(&self, chain: &ChainId) {
        *self.store.pinned().layers.entry(chain.clone()).or_default() += 1;
        self.layers.borrow_mut().push(chain.clone());
    }
}

impl Lease<'_> {
    /// Stores bytes at hand.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        self.blob(&digest);
        Ok(self.store.content.put(bytes)?)
    }

    /// Stores what a writer took, without waiting for the disk.
    pub(crate) fn store_lazily(
        &self,
        writer: content::Writer<'_>,
        expected: Option<&Digest>,
        size: Option<u64>,
    ) -> Result<Digest> {
        // Which digest it gets is known only after it has it; until then the collector must wait.
        let mut pins = self.store.pinned();
        let digest = writer.commit_lazily(expected, size)?;
        *pins.blobs.entry(digest.clone()).or_default() += 1;
        self.blobs.borrow_mut().push(digest.clone());
        Ok(digest)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let (blobs, layers) = (self.blobs.take(), self.layers.take());
        {
            let mut pins = self.store.pinned();
            for digest in &blobs {
                release(&mut pins.blobs, digest);
            }
            for chain in &layers {
                release(&mut pins.layers, chain);
            }
        }
        // What cannot be removed now goes when the store is opened next.
        let _ = self.store.collect(&blobs, &layers);
    }
}

fn release<K: Eq + std::hash::Hash>(pins: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = pins.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            pins.remove(key);
        }
    }
}
