//! Being small while nothing is asked: memory that only work needs goes back to the kernel when no request has come for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How long it must be quiet. Shorter than anybody waits before looking, longer than the pauses within a script.
const QUIET: Duration = Duration::from_secs(1);

/// Knows when something was asked last; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rest(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stirs: AtomicU64,
    is_waited_for: AtomicBool,
}

impl Rest {
    /// Something is asked, or was answered just now.
    pub(crate) fn stir(&self) {
        self.0.stirs.fetch_add(1, Ordering::SeqCst);
        if !self.0.is_waited_for.swap(true, Ordering::SeqCst) {
            tokio::spawn(self.clone().wait());
        }
    }

    /// Until it was quiet for long enough.
    async fn wait(self) {
        loop {
            let seen = self.0.stirs.load(Ordering::SeqCst);
            tokio::time::sleep(QUIET).await;
            if self.0.stirs.load(Ordering::SeqCst) == seen {
                break;
            }
        }
        self.0.is_waited_for.store(false, Ordering::SeqCst);
        sys::memory::trim_heap();
        // The code goes last: what runs from here on is mapped again.
        sys::memory::forget_code();
    }
}
