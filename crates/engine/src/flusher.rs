//! Durability in groups: records are written at once and forced to disk a little later, many with one wait.
//!
//! A crash of the daemon loses nothing either way; only a power cut within the interval can.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a record may wait.
const INTERVAL: Duration = Duration::from_millis(500);

/// Files to force to disk.
#[derive(Debug, Clone)]
pub(crate) struct Flusher {
    waiting: Arc<(Mutex<BTreeSet<PathBuf>>, Condvar)>,
}

impl Flusher {
    /// Starts the thread that flushes; it sleeps while there is nothing to do.
    pub(crate) fn start() -> Self {
        let flusher = Self {
            waiting: Arc::default(),
        };
        let own = flusher.clone();
        let spawned = std::thread::Builder::new()
            .name("flusher".into())
            .stack_size(64 << 10)
            .spawn(move || {
                loop {
                    own.await_work();
                    std::thread::sleep(INTERVAL);
                    own.flush();
                }
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread for flushing: records survive crashes of the daemon, not power cuts");
        }
        flusher
    }

    /// Has a file forced to disk soon.
    pub(crate) fn later(&self, path: PathBuf) {
        let (set, wake) = &*self.waiting;
        set.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path);
        wake.notify_one();
    }

    fn await_work(&self) {
        let (set, wake) = &*self.waiting;
        let set = set.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            wake.wait_while(set, |set| set.is_empty())
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Forces everything that waits to disk, the files and the folders that name them.
    pub(crate) fn flush(&self) {
        let files = std::mem::take(
            &mut *self
                .waiting
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for path in files {
            for path in [Some(path.as_path()), path.parent()].into_iter().flatten() {
                // A file that is gone meanwhile needs no flush.
                if let Ok(file) = File::open(path) {
                    let _ = file.sync_all();
                }
            }
        }
    }
}
