//! Start-up repair, garbage collection, and the deletion of what was removed.

use std::collections::HashSet;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use crate::error::Result;
use crate::mountpoints;
use crate::record::Record;
use crate::store::{EMPTY, LayerNode, State, Store, WritableNode};

impl Store {
    /// Reads all records; whatever is not a whole snapshot of this or a synced boot goes.
    pub(crate) fn repair(&self) -> Result<()> {
        let place = self.place();
        match rustix::fs::mkdirat(place.dir, EMPTY, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(place.failed("create", EMPTY, errno)),
        }
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::chmodat(place.dir, EMPTY, mode, AtFlags::empty())
            .map_err(|e| place.failed("set mode of", EMPTY, e))?;
        let mut lost = Vec::new();
        {
            let mut state = self.state();
            for name in place.names()? {
                if let Some(n) = number(&name) {
                    self.number_from(n + 1);
                }
                match name.parse::<u64>() {
                    Ok(n) if n.to_string() == name => {
                        let is_whole = self.load(&mut state, n)?;
                        lost.extend((!is_whole).then_some(name));
                    }
                    _ if name.starts_with("draft-") || name.starts_with("trash-") => {
                        lost.push(name);
                    }
                    _ => {}
                }
            }
            lost.extend(drop_unfounded(&mut state));
            count_users(&mut state);
        }
        for name in lost {
            place.remove_tree(&name)?;
        }
        Ok(())
    }

    /// True if the snapshot is whole and now known.
    fn load(&self, state: &mut State, n: u64) -> Result<bool> {
        match Record::read(&self.place(), &n.to_string())? {
            Some(Record::Layer {
                chain,
                parent,
                size,
                unsynced,
            }) => {
                let may_be_lost = unsynced
                    .as_ref()
                    .is_some_and(|boot| *boot != self.inner.boot);
                if may_be_lost || state.layers.contains_key(&chain) {
                    return Ok(false);
                }
                let node = LayerNode {
                    n,
                    parent,
                    size,
                    is_synced: unsynced.is_none(),
                    root: None,
                };
                state.layers.insert(chain, node);
                Ok(true)
            }
            Some(Record::Writable { key, parent }) => {
                if state.writables.contains_key(&key) {
                    return Ok(false);
                }
                state.writables.insert(key, WritableNode { n, parent });
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Deletes what was removed.
    ///
    /// # Errors
    /// The disk's; what could not be deleted stays for the next sweep.
    pub fn sweep(&self) -> Result<()> {
        let _one_at_a_time = self
            .inner
            .sweeping
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let place = self.place();
        for name in place.names()? {
            if name.starts_with("trash-") {
                match place.remove_tree(&name) {
                    // `remove_layer` and `remove_writable` delete their own trash, perhaps this one, just now.
                    Err(_) if !exists(self, &name) => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }

    /// Removes all writable layers but those of `keys`, and all layers that neither `chains` nor those nor their
    /// upper layers need.
    ///
    /// # Errors
    /// The disk's.
    pub fn gc(&self, keys: &HashSet<String>, chains: &HashSet<String>) -> Result<()> {
        for key in self.writables() {
            if !keys.contains(&key) {
                self.remove_writable_deferred(&key)?;
            }
        }
        loop {
            let mut state = self.state();
            let unneeded: Vec<_> = state
                .layers
                .keys()
                .filter(|chain| {
                    let image = mountpoints::image_of(chain).unwrap_or(chain);
                    !chains.contains(image) && !state.users.contains_key(*chain)
                })
                .cloned()
                .collect();
            if unneeded.is_empty() {
                break;
            }
            for chain in unneeded {
                self.take_layer(&mut state, &chain)?;
            }
        }
        self.sweep()
    }
}

fn number(name: &str) -> Option<u64> {
    let digits = name
        .strip_prefix("draft-")
        .or_else(|| name.strip_prefix("trash-"))
        .unwrap_or(name);
    digits.parse().ok()
}

fn exists(store: &Store, name: &str) -> bool {
    rustix::fs::statat(store.place().dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Layers whose parents are gone are useless; writable layers hold what users wrote, and wait.
fn drop_unfounded(state: &mut State) -> Vec<String> {
    let mut lost = Vec::new();
    loop {
        let unfounded: Vec<_> = state
            .layers
            .iter()
            .filter(|(_, node)| {
                let parent = node.parent.as_ref();
                parent.is_some_and(|parent| !state.layers.contains_key(parent))
            })
            .map(|(chain, _)| chain.clone())
            .collect();
        if unfounded.is_empty() {
            return lost;
        }
        for chain in unfounded {
            let node = state.layers.remove(&chain).expect("listed above");
            lost.push(node.n.to_string());
        }
    }
}

fn count_users(state: &mut State) {
    let layers = state.layers.values().map(|node| node.parent.clone());
    let writables = state.writables.values().map(|node| node.parent.clone());
    let parents: Vec<_> = layers.chain(writables).flatten().collect();
    for parent in parents {
        state.hold(Some(&parent));
    }
}
