//! Writable layers: one per container, made and removed by a handful of system calls.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Gid, Mode, Uid};

use crate::error::{Error, Result};
use crate::record::Record;
use crate::store::{Store, WritableNode};

/// Mode, uid and gid of the root where no layer says.
const PLAIN_ROOT: (u32, u32, u32) = (0o755, 0, 0);

impl Store {
    /// Makes a writable layer for `key` (a container's id) on the chain `parent` (`None`: an image without layers).
    /// `durable`: it must outlive a power cut; otherwise nothing is synced.
    ///
    /// # Errors
    /// The key is taken, no such parent, or the disk's.
    pub fn create_writable(&self, key: &str, parent: Option<&str>, durable: bool) -> Result<()> {
        let n = self.number();
        let known = {
            let mut state = self.state();
            if state.writables.contains_key(key) {
                let key = key.to_owned();
                return Err(Error::Exists { key });
            }
            let known = match parent {
                Some(parent) => state.require_layer(parent)?.root,
                None => Some(PLAIN_ROOT),
            };
            state.hold(parent);
            let node = WritableNode {
                n,
                parent: parent.map(str::to_owned),
            };
            state.writables.insert(key.to_owned(), node);
            known
        };
        let made = self
            .root_attributes(parent, known)
            .and_then(|root| self.make_writable(n, key, parent, root, durable));
        made.inspect_err(|_| {
            let mut state = self.state();
            state.writables.remove(key);
            state.release(parent);
            drop(state);
            let _ = self.place().remove_tree(&n.to_string());
        })
    }

    fn make_writable(
        &self,
        n: u64,
        key: &str,
        parent: Option<&str>,
        (mode, uid, gid): (u32, u32, u32),
        durable: bool,
    ) -> Result<()> {
        let place = self.place();
        let name = n.to_string();
        let upper = format!("{n}/fs");
        place.make_dir(&name, 0o700)?;
        place.make_dir(&upper, 0o755)?;
        place.make_dir(&format!("{n}/work"), 0o700)?;
        // What the container sees at / is the upper folder: it takes after the image's.
        if (uid, gid) != (0, 0) {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            rustix::fs::chownat(place.dir, &*upper, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| place.failed("set owner of", &upper, e))?;
        }
        let mode = Mode::from_raw_mode(mode);
        rustix::fs::chmodat(place.dir, &*upper, mode, AtFlags::empty())
            .map_err(|e| place.failed("set mode of", &upper, e))?;
        let record = Record::Writable {
            key: key.to_owned(),
            parent: parent.map(str::to_owned),
        };
        record.create(&place, &name, durable)?;
        if durable {
            place.sync_dir(&name)?;
            place.sync_dir(".")?;
        }
        Ok(())
    }

    /// Asked once per layer, remembered after.
    fn root_attributes(
        &self,
        parent: Option<&str>,
        known: Option<(u32, u32, u32)>,
    ) -> Result<(u32, u32, u32)> {
        if let Some(known) = known {
            return Ok(known);
        }
        let Some(parent) = parent else {
            return Ok(PLAIN_ROOT);
        };
        let n = self.state().require_layer(parent)?.n;
        let (place, fs) = (self.place(), format!("{n}/fs"));
        let stat = rustix::fs::statat(place.dir, &*fs, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| place.failed("stat", &fs, e))?;
        let root = (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid);
        if let Some(node) = self.state().layers.get_mut(parent) {
            node.root = Some(root);
        }
        Ok(root)
    }

    /// Whether `key` has a writable layer.
    #[must_use]
    pub fn has_writable(&self, key: &str) -> bool {
        self.state().writables.contains_key(key)
    }

    /// Keys of all writable layers, sorted.
    #[must_use]
    pub fn writables(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.state().writables.keys().cloned().collect();
        keys.sort();
        keys
    }

    /// How the container's root is mounted.
    ///
    /// # Errors
    /// No such writable layer, or a layer below it is gone (see [`Store::flush`]).
    pub fn rootfs(&self, key: &str) -> Result<oci::Rootfs> {
        let (n, lower) = {
            let state = self.state();
            let node = state.require_writable(key)?;
            (node.n, state.chain(node.parent.as_deref())?)
        };
        let place = self.place();
        Ok(oci::Rootfs::Overlay {
            lower: self.lower_paths(&lower),
            upper: place.path.join(format!("{n}/fs")),
            work: place.path.join(format!("{n}/work")),
            idmap: None,
        })
    }

    /// The upper folder of a writable layer, opened: for `archive::changes` and `archive::pack_overlay_diff`.
    ///
    /// # Errors
    /// No such writable layer, or the disk's.
    pub fn open_upper(&self, key: &str) -> Result<OwnedFd> {
        let n = self.state().require_writable(key)?.n;
        self.place().open_dir(&format!("{n}/fs"))
    }

    /// The chain id a writable layer stands on, as it was given; see [`Store::image_chain`] for the image's.
    ///
    /// # Errors
    /// No such writable layer.
    pub fn parent_of(&self, key: &str) -> Result<Option<String>> {
        Ok(self.state().require_writable(key)?.parent.clone())
    }

    /// Removes a writable layer and deletes its files.
    ///
    /// # Errors
    /// No such writable layer, or the disk's.
    pub fn remove_writable(&self, key: &str) -> Result<()> {
        let trash = self.take_writable(key)?;
        self.place().remove_tree(&trash)
    }

    /// Removes a writable layer by one rename; [`Self::sweep`] deletes the files.
    ///
    /// # Errors
    /// No such writable layer, or the disk's.
    pub fn remove_writable_deferred(&self, key: &str) -> Result<()> {
        self.take_writable(key).map(drop)
    }

    fn take_writable(&self, key: &str) -> Result<String> {
        let mut state = self.state();
        let n = state.require_writable(key)?.n;
        let trash = format!("trash-{n}");
        self.place().rename(&n.to_string(), &trash)?;
        let node = state.writables.remove(key).expect("required above");
        state.release(node.parent.as_deref());
        Ok(trash)
    }
}
