//! The image store: what is in memory, and the one way to change it.
//!
//! Lookups read memory only. A change takes the `change` lock, writes the database, then memory; blobs and layers are
//! written before the database names them and removed after it no longer does, so a crash leaves at worst things
//! that nothing refers to, and opening the store removes those.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;
use oci::image::{Config, MAX_CONFIG};
use oci::{Digest, Reference};

use crate::lease::Pins;
use crate::meta::{Batch, Meta, Name};
use crate::record::{Image, Record};
use crate::{Error, ImageId, Result};

/// All images of one data root.
#[derive(Debug)]
pub struct Store {
    pub(crate) content: Arc<content::Store>,
    pub(crate) snapshots: Arc<snapshot::Store>,
    pub(crate) pins: Mutex<Pins>,
    meta: Meta,
    state: RwLock<State>,
    change: Mutex<()>,
}

/// What the database says, ready to be used.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) images: BTreeMap<ImageId, Arc<Image>>,
    pub(crate) names: BTreeMap<Reference, Name>,
}

/// Held while the store is changed.
pub(crate) type Change<'a> = MutexGuard<'a, ()>;

impl Store {
    /// Opens `data_root/meta.db`, drops images that lost content, and removes blobs and layers that nothing refers to.
    ///
    /// # Errors
    /// When the database cannot be opened (as when another daemon has it) or is damaged.
    pub fn open(
        data_root: &Path,
        content: Arc<content::Store>,
        snapshots: Arc<snapshot::Store>,
    ) -> Result<Self> {
        let store = Self {
            meta: Meta::open(&data_root.join("meta.db"))?,
            content,
            snapshots,
            pins: Mutex::default(),
            state: RwLock::default(),
            change: Mutex::default(),
        };
        store.restore()?;
        store.sweep()?;
        Ok(store)
    }

    /// Every image, in the order of ids.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Image>> {
        self.read().images.values().cloned().collect()
    }

    /// The image with exactly this id.
    #[must_use]
    pub fn get(&self, id: &ImageId) -> Option<Arc<Image>> {
        self.read().images.get(id).cloned()
    }

    /// Where the layers are.
    #[must_use]
    pub fn snapshots(&self) -> &Arc<snapshot::Store> {
        &self.snapshots
    }

    /// The images made from this one here.
    #[must_use]
    pub fn children(&self, id: &ImageId) -> Vec<Arc<Image>> {
        let state = self.read();
        state
            .images
            .values()
            .filter(|image| image.parent() == Some(id))
            .cloned()
            .collect()
    }

    /// The raw bytes of an image's config document.
    ///
    /// # Errors
    /// When the blob cannot be read.
    pub fn config_bytes(&self, id: &ImageId) -> Result<Vec<u8>> {
        Ok(self.content.read_small(&id.0, MAX_CONFIG)?)
    }

    /// Writes what came since the last flush to disk, so that it outlives a power cut. Slow; to be called aside.
    ///
    /// # Errors
    /// The disk's.
    pub fn flush(&self) -> Result<()> {
        self.content.flush()?;
        Ok(self.snapshots.flush()?)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody else changes names or images while this is held.
    pub(crate) fn lock(&self) -> Change<'_> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change durable, then visible.
    pub(crate) fn apply(&self, _held: &Change<'_>, batch: Batch) -> Result<()> {
        let mut configs = BTreeMap::new();
        for (id, _) in &batch.put_images {
            configs.insert(id.clone(), self.read_config(id)?);
        }
        self.meta.apply(&batch)?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.update(batch, configs);
        Ok(())
    }

    /// Adds an image, or adds to what is known about it, and gives it names. Content must be in place and leased.
    ///
    /// Returns the images that lost a name by this.
    pub(crate) fn insert(
        &self,
        id: &ImageId,
        record: Record,
        names: &[Reference],
    ) -> Result<Vec<(Reference, ImageId)>> {
        let held = self.lock();
        let mut record = match self.get(id) {
            Some(known) => merged(&known.record, record),
            None => record,
        };
        if !names.is_empty() {
            record.last_tagged = Some(Timestamp::now());
        }
        let target = record.target().map(|descriptor| descriptor.digest.clone());
        let mut moved = Vec::new();
        let mut batch = Batch::default();
        for name in names {
            let owner = self.read().names.get(name).map(|old| old.image.clone());
            moved.extend(
                owner
                    .filter(|owner| owner != id)
                    .map(|owner| (name.clone(), owner)),
            );
            let entry = Name {
                image: id.clone(),
                target: target.clone(),
            };
            batch.put_names.push((name.clone(), entry));
        }
        batch.put_images.push((id.clone(), record));
        self.apply(&held, batch)?;
        Ok(moved)
    }

    pub(crate) fn read_config(&self, id: &ImageId) -> Result<Config> {
        let bytes = self.config_bytes(id)?;
        Config::parse(&bytes).map_err(|source| Error::Parse {
            name: format!("config {id}"),
            source,
        })
    }

    /// Fills memory from the database, without what cannot be used any more.
    fn restore(&self) -> Result<()> {
        let contents = self.meta.read()?;
        let mut repairs = Batch::default();
        let mut configs = BTreeMap::new();
        let mut whole = Batch::default();
        for (id, record) in contents.images {
            match self.restore_image(&id, &record) {
                Ok(config) => {
                    configs.insert(id.clone(), config);
                    whole.put_images.push((id, record));
                }
                Err(error) => {
                    tracing::warn!(image = %id, cause = fault::chain(&error), "image lost content and is dropped");
                    repairs.drop_images.push(id);
                }
            }
        }
        for (reference, name) in contents.names {
            if configs.contains_key(&name.image) {
                whole.put_names.push((reference, name));
            } else {
                repairs.drop_names.push(reference);
            }
        }
        self.meta.apply(&repairs)?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.update(whole, configs);
        Ok(())
    }

    /// Checks that everything of an image is here. Layers that a power cut took are unpacked again.
    fn restore_image(&self, id: &ImageId, record: &Record) -> Result<Config> {
        for digest in &record.blobs {
            self.content.size(digest)?;
        }
        let mut parent = None;
        for layer in &record.layers {
            let size = self.content.size(&layer.blob.digest)?;
            if size != layer.blob.size {
                let (expected, actual, digest) = (layer.blob.size, size, layer.blob.digest.clone());
                return Err(content::Error::Size {
                    digest,
                    expected,
                    actual,
                }
                .into());
            }
            if !self.snapshots.has_layer(layer.chain_id.0.as_str()) {
                self.unpack(&layer.blob, parent, Some((0, &layer.diff_id)))?;
            }
            parent = Some(&layer.chain_id);
        }
        self.read_config(id)
    }
}

impl State {
    /// Takes a change in and renews every image it touches.
    fn update(&mut self, batch: Batch, mut configs: BTreeMap<ImageId, Config>) {
        let mut touched: BTreeSet<ImageId> = BTreeSet::new();
        for reference in &batch.drop_names {
            touched.extend(self.names.remove(reference).map(|name| name.image));
        }
        for (reference, name) in batch.put_names {
            touched.insert(name.image.clone());
            touched.extend(self.names.insert(reference, name).map(|old| old.image));
        }
        for id in &batch.drop_images {
            self.images.remove(id);
        }
        for (id, record) in batch.put_images {
            let config = configs.remove(&id).unwrap_or_default();
            touched.insert(id.clone());
            let image = Image {
                id: id.clone(),
                config,
                tags: Vec::new(),
                digests: Vec::new(),
                record,
            };
            self.images.insert(id, Arc::new(image));
        }
        for id in touched {
            let Some(old) = self.images.get(&id) else {
                continue;
            };
            let mut image = Image::clone(old);
            (image.tags, image.digests) = self.names_of(&id);
            self.images.insert(id, Arc::new(image));
        }
    }

    fn names_of(&self, id: &ImageId) -> (Vec<Reference>, Vec<Reference>) {
        let mut digests = BTreeSet::new();
        let mut tags = Vec::new();
        for (reference, name) in &self.names {
            if name.image == *id {
                tags.push(reference.clone());
                digests.extend(
                    name.target
                        .clone()
                        .map(|target| reference.with_digest(target)),
                );
            }
        }
        (tags, digests.into_iter().collect())
    }
}

/// What is known of an image after it came once more.
fn merged(known: &Record, new: Record) -> Record {
    let blobs: BTreeSet<Digest> = known.blobs.iter().chain(&new.blobs).cloned().collect();
    let has_variants = !new.variants.is_empty();
    Record {
        parent: known.parent.clone().or(new.parent),
        layers: known.layers.clone(),
        manifest: new.manifest.or_else(|| known.manifest.clone()),
        index: new.index.or_else(|| known.index.clone()),
        variants: if has_variants {
            new.variants
        } else {
            known.variants.clone()
        },
        blobs: blobs.into_iter().collect(),
        loaded: known.loaded,
        last_tagged: known.last_tagged,
    }
}
