//! The store of snapshots.

use std::collections::HashSet;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use crate::error::Result;

/// A committed layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its chain id.
    pub chain: String,
    /// The chain id of the layer below.
    pub parent: Option<String>,
    /// Bytes of its contents, as given at commit.
    pub size: u64,
}

/// What a commit found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// The draft is the layer now.
    New,
    /// Another draft was first; this one is gone.
    AlreadyThere,
}

/// Disk use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of blocks on disk; a file with several hard links counts once.
    pub bytes: u64,
    /// Files and folders.
    pub inodes: u64,
}

/// What to look at through a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View<'a> {
    /// A chain of layers up to this chain id, read-only.
    Layer(&'a str),
    /// A writable layer on its chain, by key. Read and write; only while no container runs on it.
    Writable(&'a str),
    /// The same, read-only.
    WritableReadOnly(&'a str),
}

/// The snapshots below one folder. Cheap to clone; safe to share between threads.
#[derive(Debug, Clone)]
pub struct Store;

/// A layer being filled; dropped, it is gone.
#[derive(Debug)]
pub struct LayerDraft;

impl LayerDraft {
    /// The folder to extract into: mode 0755, owned by root, on the store's file system.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        unimplemented!()
    }

    /// Makes the draft the layer `chain`, at once and whole. `size` is what [`Layer::size`] will say.
    ///
    /// # Errors
    /// The parent vanished meanwhile, or the disk's.
    pub fn commit(self, chain: &str, size: u64) -> Result<Committed> {
        let _ = (chain, size);
        unimplemented!()
    }
}

impl Store {
    /// Opens or makes the store, and repairs what a crash left: drafts, trash and orphans are removed.
    ///
    /// # Errors
    /// [`crate::Error::Locked`], or the disk's.
    pub fn open(root: &Path) -> Result<Self> {
        let _ = root;
        unimplemented!()
    }

    /// Whether the layer is there, whole.
    #[must_use]
    pub fn has_layer(&self, chain: &str) -> bool {
        let _ = chain;
        unimplemented!()
    }

    /// One layer.
    #[must_use]
    pub fn layer(&self, chain: &str) -> Option<Layer> {
        let _ = chain;
        unimplemented!()
    }

    /// All layers, by chain id.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        unimplemented!()
    }

    /// Starts a layer on `parent` (a chain id; `None` for the bottom layer).
    ///
    /// # Errors
    /// No such parent, or the disk's.
    pub fn begin_layer(&self, parent: Option<&str>) -> Result<LayerDraft> {
        let _ = parent;
        unimplemented!()
    }

    /// Folders of the layers of a chain, topmost first, opened: for `archive::ExtractOptions::lower`.
    ///
    /// # Errors
    /// No such layer, or the disk's.
    pub fn open_lower(&self, chain: &str) -> Result<Vec<OwnedFd>> {
        let _ = chain;
        unimplemented!()
    }

    /// Removes a layer.
    ///
    /// # Errors
    /// [`crate::Error::InUse`] while a layer or writable layer stands on it; no such layer.
    pub fn remove_layer(&self, chain: &str) -> Result<()> {
        let _ = chain;
        unimplemented!()
    }

    /// Makes a writable layer for `key` (a container's id) on the chain `parent` (`None`: an image without layers).
    /// `durable`: it must outlive a power cut; otherwise nothing is synced.
    ///
    /// # Errors
    /// The key is taken, no such parent, or the disk's.
    pub fn create_writable(&self, key: &str, parent: Option<&str>, durable: bool) -> Result<()> {
        let _ = (key, parent, durable);
        unimplemented!()
    }

    /// Whether `key` has a writable layer.
    #[must_use]
    pub fn has_writable(&self, key: &str) -> bool {
        let _ = key;
        unimplemented!()
    }

    /// Keys of all writable layers, sorted.
    #[must_use]
    pub fn writables(&self) -> Vec<String> {
        unimplemented!()
    }

    /// How the container's root is mounted.
    ///
    /// # Errors
    /// No such writable layer.
    pub fn rootfs(&self, key: &str) -> Result<oci::Rootfs> {
        let _ = key;
        unimplemented!()
    }

    /// The upper folder of a writable layer, opened: for `archive::changes` and `archive::pack_overlay_diff`.
    ///
    /// # Errors
    /// No such writable layer, or the disk's.
    pub fn open_upper(&self, key: &str) -> Result<OwnedFd> {
        let _ = key;
        unimplemented!()
    }

    /// The chain id a writable layer stands on.
    ///
    /// # Errors
    /// No such writable layer.
    pub fn parent_of(&self, key: &str) -> Result<Option<String>> {
        let _ = key;
        unimplemented!()
    }

    /// Removes a writable layer and deletes its files.
    ///
    /// # Errors
    /// No such writable layer, or the disk's.
    pub fn remove_writable(&self, key: &str) -> Result<()> {
        let _ = key;
        unimplemented!()
    }

    /// Removes a writable layer by one rename; [`Self::sweep`] deletes the files.
    ///
    /// # Errors
    /// No such writable layer, or the disk's.
    pub fn remove_writable_deferred(&self, key: &str) -> Result<()> {
        let _ = key;
        unimplemented!()
    }

    /// Deletes what was removed.
    ///
    /// # Errors
    /// The disk's; what could not be deleted stays for the next sweep.
    pub fn sweep(&self) -> Result<()> {
        unimplemented!()
    }

    /// Disk use of a writable layer.
    ///
    /// # Errors
    /// No such writable layer, or the disk's.
    pub fn usage(&self, key: &str) -> Result<Usage> {
        let _ = key;
        unimplemented!()
    }

    /// A detached overlay mount, reached through the folder that is returned and attached nowhere.
    ///
    /// # Errors
    /// Nothing by that name, or the mount's.
    pub fn mount_view(&self, view: View<'_>) -> Result<OwnedFd> {
        let _ = view;
        unimplemented!()
    }

    /// Removes all writable layers but those of `keys`, and all layers that neither `chains` nor those nor their
    /// upper layers need.
    ///
    /// # Errors
    /// The disk's.
    pub fn gc(&self, keys: &HashSet<String>, chains: &HashSet<String>) -> Result<()> {
        let _ = (keys, chains);
        unimplemented!()
    }

    /// Writes layers committed since the last flush to disk, so that they outlive a power cut. Slow; call it aside.
    ///
    /// # Errors
    /// The disk's.
    pub fn flush(&self) -> Result<()> {
        unimplemented!()
    }
}
