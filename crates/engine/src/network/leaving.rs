//! Bridges of networks that are gone, removed behind the answer.
//!
//! The kernel takes tens of milliseconds to remove a bridge: it waits twice until every CPU has let go of it. Nobody else
//! needs to wait for that. The network's rules, ranges and addresses go first, within the request; the bare bridge then
//! goes on a thread that ends when there is nothing left to do. Its name is nobody's until it is gone.
//!
//! ```text
//! networks/<id>.json ──rename──► <id>.gone ──bridge removed──► nothing
//! ```
//! Crash rule: a `.gone` that start-up finds names a bridge that may be there still.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use network::link;

use crate::error::{Error, Result};

/// So many may wait to be removed; whoever removes more networks than the kernel keeps up with waits as before.
const MOST: usize = 16;

/// A bridge that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    /// Its name.
    pub(crate) name: String,
    /// Whether the user has named it: it may then be one of the user's own, and only a bridge with our mark goes.
    pub(crate) is_named: bool,
}

impl Bridge {
    /// Removes it now; nothing is done when there is none.
    pub(crate) fn remove(&self) -> Result<()> {
        match self.is_named {
            true => link::remove_bridge(&self.name)?,
            // The other names are nobody's but ours, and such a bridge goes also when a crash came before its mark.
            false => link::remove_link(&self.name)?,
        };
        Ok(())
    }

    /// Takes its addresses, and the host's routes to them: its ranges are free from then on.
    pub(crate) fn strip(&self) -> Result<()> {
        link::strip_bridge(&self.name, self.is_named)?;
        Ok(())
    }
}

/// What is to go, and the thread that does it.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    shared: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Bridge, PathBuf)>,
    /// Names of the bridges that wait, and of the one that is being removed.
    names: BTreeSet<String>,
    is_at_work: bool,
}

impl Leaving {
    /// Removes a bridge soon, and then the file that says that it is to go.
    pub(crate) fn remove(&self, bridge: Bridge, tombstone: PathBuf) {
        let mut state = self.shared.lock();
        while state.waiting.len() >= MOST {
            state = self.shared.wait(state);
        }
        state.names.insert(bridge.name.clone());
        state.waiting.push_back((bridge, tombstone));
        if state.is_at_work {
            return;
        }
        state.is_at_work = true;
        drop(state);
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new()
            .name("bridges".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || shared.work());
        if started.is_err() {
            // Out of threads: whoever asked does it.
            self.shared.work();
        }
    }

    /// Waits until a bridge of this name is no longer on its way out.
    pub(crate) fn await_gone(&self, name: &str) {
        let mut state = self.shared.lock();
        while state.names.contains(name) {
            state = self.shared.wait(state);
        }
    }

    /// Waits until nothing is on its way out.
    pub(crate) fn await_all(&self) {
        let mut state = self.shared.lock();
        while state.is_at_work {
            state = self.shared.wait(state);
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let woken = self.changed.wait(state);
        woken.unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes one after the other until none is left.
    fn work(&self) {
        loop {
            let mut state = self.lock();
            let Some((bridge, tombstone)) = state.waiting.pop_front() else {
                state.is_at_work = false;
                drop(state);
                self.changed.notify_all();
                return;
            };
            drop(state);
            if let Err(error) = remove(&bridge, &tombstone) {
                tracing::warn!(
                    bridge = bridge.name,
                    error = fault::chain(&error),
                    "bridge of a removed network stays until the next start"
                );
            }
            self.lock().names.remove(&bridge.name);
            self.changed.notify_all();
        }
    }
}

/// The file goes last: where the kernel refuses, the next start tries again.
fn remove(bridge: &Bridge, tombstone: &PathBuf) -> Result<()> {
    bridge.remove()?;
    match fs::remove_file(tombstone) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", tombstone, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use network::link::BridgeSpec;
    use network::namespace::{Namespace, within};

    use super::*;

    #[test]
    fn what_leaves_is_gone_in_the_end_and_its_name_is_taken_until_then() {
        let folder = std::env::temp_dir().join(format!("estiva-leaving-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder of ours");
        let host = Namespace::make().expect("root");
        within(host.as_fd(), || {
            let leaving = Leaving::default();
            for number in 0..MOST + 4 {
                let bridge = Bridge {
                    name: format!("leaving{number}"),
                    is_named: number % 2 == 0,
                };
                let gateway = format!("10.9.{number}.1").parse().expect("an address");
                link::ensure_bridge(&BridgeSpec {
                    name: bridge.name.clone(),
                    gateways: vec![(gateway, 24)],
                    mtu: None,
                })
                .expect("made");
                let tombstone = folder.join(format!("{number}.gone"));
                fs::write(&tombstone, b"").expect("written");
                bridge.strip().expect("stripped");
                assert_eq!(link::host_ranges().expect("read"), [], "its range is free");
                leaving.remove(bridge, tombstone);
            }
            let last = format!("leaving{}", MOST + 3);
            leaving.await_gone(&last);
            assert_eq!(link::find(&last).expect("read"), None);
            leaving.await_all();
            assert_eq!(link::links_with_prefix("leaving").expect("read"), []);
        })
        .expect("entered");
        assert_eq!(fs::read_dir(&folder).expect("ours").count(), 0);
        fs::remove_dir(&folder).expect("ours");
    }
}
