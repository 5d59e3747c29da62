//! Layers: drafts that become layers whole, or never.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::Mode;

use crate::error::{Error, Result};
use crate::record::Record;
use crate::store::{LayerNode, State, Store};

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

/// A layer being filled; dropped, it is gone.
#[derive(Debug)]
pub struct LayerDraft {
    store: Store,
    n: u64,
    parent: Option<String>,
    dir: OwnedFd,
    is_committed: bool,
}

impl LayerDraft {
    /// The folder to extract into: mode 0755, owned by root, on the store's file system.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Makes the draft the layer `chain`, at once and whole. `size` is what [`Layer::size`] will say.
    ///
    /// # Errors
    /// The disk's.
    pub fn commit(mut self, chain: &str, size: u64) -> Result<Committed> {
        let store = self.store.clone();
        let draft = draft_name(self.n);
        let record = Record::Layer {
            chain: chain.to_owned(),
            parent: self.parent.clone(),
            size,
            unsynced: Some(store.inner.boot.clone()),
        };
        record.create(&store.place(), &draft, false)?;
        let mut state = store.state();
        if state.layers.contains_key(chain) {
            return Ok(Committed::AlreadyThere); // and the draft is dropped, after the lock
        }
        store.place().rename(&draft, &self.n.to_string())?;
        self.is_committed = true; // its hold on the parent is the layer's now
        let node = LayerNode {
            n: self.n,
            parent: self.parent.clone(),
            size,
            is_synced: false,
            root: None,
        };
        state.layers.insert(chain.to_owned(), node);
        Ok(Committed::New)
    }
}

impl Drop for LayerDraft {
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        self.store.state().release(self.parent.as_deref());
        // What cannot be deleted now is, when the store is opened next.
        let _ = self.store.place().remove_tree(&draft_name(self.n));
    }
}

impl Store {
    /// Whether the layer is there, whole.
    #[must_use]
    pub fn has_layer(&self, chain: &str) -> bool {
        self.state().layers.contains_key(chain)
    }

    /// One layer.
    #[must_use]
    pub fn layer(&self, chain: &str) -> Option<Layer> {
        let state = self.state();
        state.layers.get(chain).map(|node| describe(chain, node))
    }

    /// All layers of images, by chain id.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        let state = self.state();
        let mut layers: Vec<_> = state
            .layers
            .iter()
            .filter(|(chain, _)| crate::mountpoints::image_of(chain).is_none())
            .map(|(chain, node)| describe(chain, node))
            .collect();
        layers.sort_by(|a, b| a.chain.cmp(&b.chain));
        layers
    }

    /// Starts a layer on `parent` (a chain id; `None` for the bottom layer). The parent cannot be removed meanwhile.
    ///
    /// # Errors
    /// No such parent, or the disk's.
    pub fn begin_layer(&self, parent: Option<&str>) -> Result<LayerDraft> {
        {
            let mut state = self.state();
            if let Some(parent) = parent {
                state.require_layer(parent)?;
            }
            state.hold(parent);
        }
        self.make_draft(parent)
            .inspect_err(|_| self.state().release(parent))
    }

    fn make_draft(&self, parent: Option<&str>) -> Result<LayerDraft> {
        let n = self.number();
        let (draft, place) = (draft_name(n), self.place());
        place.make_dir(&draft, 0o700)?;
        let fs = format!("{draft}/fs");
        place.make_dir(&fs, 0o755)?;
        let dir = place.open_dir(&fs)?;
        rustix::fs::fchmod(&dir, Mode::from_raw_mode(0o755)) // whatever the umask
            .map_err(|e| place.failed("set mode of", &fs, e))?;
        Ok(LayerDraft {
            store: self.clone(),
            n,
            parent: parent.map(str::to_owned),
            dir,
            is_committed: false,
        })
    }

    /// Folders of the layers of a chain, topmost first, for people and tools to look at; see [`Store::open_lower`].
    ///
    /// # Errors
    /// No such layer.
    pub fn layer_paths(&self, chain: &str) -> Result<Vec<PathBuf>> {
        let numbers = self.state().chain(Some(chain))?;
        Ok(self.lower_paths(&numbers))
    }

    /// Folders of the layers of a chain, topmost first, opened: for `archive::ExtractOptions::lower`.
    ///
    /// # Errors
    /// No such layer, or the disk's.
    pub fn open_lower(&self, chain: &str) -> Result<Vec<OwnedFd>> {
        let numbers = self.state().chain(Some(chain))?;
        let place = self.place();
        numbers
            .iter()
            .map(|n| place.open_dir(&format!("{n}/fs")))
            .collect()
    }

    /// Removes a layer, and with it the layers of mount points that only stand ready on it.
    ///
    /// # Errors
    /// [`Error::InUse`] while a layer or writable layer stands on it; no such layer.
    pub fn remove_layer(&self, chain: &str) -> Result<()> {
        let trash = {
            let mut state = self.state();
            state.require_layer(chain)?;
            let mut trash = Vec::new();
            for ready in crate::mountpoints::ready_on(&state, chain) {
                trash.push(self.take_layer(&mut state, &ready)?);
            }
            trash.push(self.take_layer(&mut state, chain)?);
            trash
        };
        for name in trash {
            self.place().remove_tree(&name)?;
        }
        Ok(())
    }

    /// Takes a layer nobody stands on out of the store; its files are in the trash that is returned.
    pub(crate) fn take_layer(&self, state: &mut State, chain: &str) -> Result<String> {
        if let Some(user) = user_of(state, chain) {
            return Err(Error::InUse {
                chain: chain.to_owned(),
                user,
            });
        }
        let n = state.require_layer(chain)?.n;
        let trash = format!("trash-{n}");
        self.place().rename(&n.to_string(), &trash)?;
        let node = state.layers.remove(chain).expect("required above");
        state.release(node.parent.as_deref());
        Ok(trash)
    }

    /// Writes layers committed since the last flush to disk, so that they outlive a power cut. Slow; call it aside.
    ///
    /// # Errors
    /// The disk's.
    pub fn flush(&self) -> Result<()> {
        let unsynced: Vec<_> = {
            let state = self.state();
            let layers = state.layers.iter().filter(|(_, node)| !node.is_synced);
            layers
                .map(|(chain, node)| (node.n, describe(chain, node)))
                .collect()
        };
        if unsynced.is_empty() {
            return Ok(());
        }
        let place = self.place();
        rustix::fs::syncfs(place.dir).map_err(|e| place.failed("sync", ".", e))?;
        for (n, layer) in unsynced {
            // A layer removed meanwhile must not be written to; nobody removes one while the state is locked.
            let mut state = self.state();
            let Some(node) = state.layers.get_mut(&layer.chain).filter(|l| l.n == n) else {
                continue;
            };
            let record = Record::Layer {
                chain: layer.chain,
                parent: layer.parent,
                size: layer.size,
                unsynced: None,
            };
            record.replace(&place, &n.to_string())?;
            node.is_synced = true;
        }
        Ok(())
    }
}

pub(crate) fn draft_name(n: u64) -> String {
    format!("draft-{n}")
}

fn describe(chain: &str, node: &LayerNode) -> Layer {
    Layer {
        chain: chain.to_owned(),
        parent: node.parent.clone(),
        size: node.size,
    }
}

/// Someone that stands on a layer, in words.
fn user_of(state: &State, chain: &str) -> Option<String> {
    state.users.get(chain)?;
    let is_on = |parent: &Option<String>| parent.as_deref() == Some(chain);
    let layer = state.layers.iter().find(|(_, node)| is_on(&node.parent));
    let writable = state.writables.iter().find(|(_, node)| is_on(&node.parent));
    Some(match (writable, layer) {
        (Some((key, _)), _) => format!("writable layer {key}"),
        (None, Some((chain, _))) => format!("layer {chain}"),
        (None, None) => "a layer being extracted".to_owned(),
    })
}
