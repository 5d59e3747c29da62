//! The store: what it knows in memory, and where each snapshot lies.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::files::Place;
use crate::record::boot_id;

/// The lower layer of containers whose image has none.
pub(crate) const EMPTY: &str = "empty";

/// The snapshots below one folder. Cheap to clone; safe to share between threads.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    path: PathBuf,
    dir: OwnedFd,
    _lock: File,
    next: AtomicU64,
    pub(crate) boot: String,
    state: Mutex<State>,
    /// Held while trash is deleted, so that two sweeps do not trip over each other.
    pub(crate) sweeping: Mutex<()>,
}

/// All snapshots, by their names in the world.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) layers: HashMap<String, LayerNode>,
    pub(crate) writables: HashMap<String, WritableNode>,
    /// How many layers, writable layers and drafts stand on a chain id.
    pub(crate) users: HashMap<String, u32>,
}

#[derive(Debug)]
pub(crate) struct LayerNode {
    pub(crate) n: u64,
    pub(crate) parent: Option<String>,
    pub(crate) size: u64,
    pub(crate) is_synced: bool,
    /// Mode, uid and gid of its topmost folder, once asked for.
    pub(crate) root: Option<(u32, u32, u32)>,
}

#[derive(Debug)]
pub(crate) struct WritableNode {
    pub(crate) n: u64,
    pub(crate) parent: Option<String>,
}

impl State {
    pub(crate) fn hold(&mut self, parent: Option<&str>) {
        if let Some(parent) = parent {
            *self.users.entry(parent.to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn release(&mut self, parent: Option<&str>) {
        let Some(parent) = parent else { return };
        if let Some(count) = self.users.get_mut(parent) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(parent);
            }
        }
    }

    /// The numbers of a chain's layers, topmost first.
    pub(crate) fn chain(&self, top: Option<&str>) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        let mut next = top;
        while let Some(chain) = next {
            let layer = self.require_layer(chain)?;
            numbers.push(layer.n);
            next = layer.parent.as_deref();
        }
        Ok(numbers)
    }

    pub(crate) fn require_layer(&self, chain: &str) -> Result<&LayerNode> {
        self.layers.get(chain).ok_or_else(|| Error::NoLayer {
            chain: chain.to_owned(),
        })
    }

    pub(crate) fn require_writable(&self, key: &str) -> Result<&WritableNode> {
        self.writables.get(key).ok_or_else(|| Error::NoWritable {
            key: key.to_owned(),
        })
    }
}

impl Store {
    /// Opens or makes the store, and repairs what a crash left: drafts, trash and orphans are removed.
    ///
    /// # Errors
    /// [`Error::Locked`], or the disk's.
    pub fn open(root: &Path) -> Result<Self> {
        let failed = |action, source| Error::Io {
            action,
            path: root.to_owned(),
            source,
        };
        match rustix::fs::mkdir(root, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed("create", errno.into())),
        }
        let path = std::path::absolute(root).map_err(|e| failed("resolve", e))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir =
            rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| failed("open", e.into()))?;
        let lock = lock(&Place {
            dir: dir.as_fd(),
            path: &path,
        })?;
        let store = Self {
            inner: Arc::new(Inner {
                boot: boot_id(dir.as_fd()),
                path,
                dir,
                _lock: lock,
                next: AtomicU64::new(1),
                state: Mutex::default(),
                sweeping: Mutex::default(),
            }),
        };
        store.repair()?;
        Ok(store)
    }

    pub(crate) fn place(&self) -> Place<'_> {
        self.inner.place()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state()
    }

    /// A number no snapshot, draft or trash has.
    pub(crate) fn number(&self) -> u64 {
        self.inner.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn number_from(&self, next: u64) {
        self.inner.next.fetch_max(next, Ordering::Relaxed);
    }

    /// Folders of layers by their numbers, topmost first; the empty one where there are none.
    pub(crate) fn lower_paths(&self, numbers: &[u64]) -> Vec<PathBuf> {
        if numbers.is_empty() {
            return vec![self.inner.path.join(EMPTY)];
        }
        numbers
            .iter()
            .map(|n| self.inner.path.join(format!("{n}/fs")))
            .collect()
    }
}

impl Inner {
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            dir: self.dir.as_fd(),
            path: &self.path,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves maps that are whole: each change is one insert or remove.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn lock(root: &Place<'_>) -> Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root.dir, "lock", flags, Mode::from_raw_mode(0o600))
        .map_err(|e| root.failed("open", "lock", e))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file.into()),
        Err(Errno::WOULDBLOCK) => Err(Error::Locked {
            root: root.path.to_owned(),
        }),
        Err(errno) => Err(root.failed("lock", "lock", errno)),
    }
}
