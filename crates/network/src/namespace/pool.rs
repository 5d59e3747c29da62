//! Namespaces that stand ready.
//!
//! ```text
//! take() ──pop──► ready (at most `size`) ◄──push── refill thread: make, return to the host's namespace, park when full
//! ```
//! Nothing is made before the first take, so a daemon without networks pays for nothing. After a take the thread rests a
//! moment: the container that took is about to start, and making namespaces would be in its way.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sys::namespace::{Namespaces, join};

use super::{Error, Namespace, STACK_BYTES, current, make_here};

/// How long after a take nothing is made, as long as some stand ready.
const REST: Duration = Duration::from_millis(8);

/// A few fresh namespaces, refilled by a thread of its own. Dropping it ends the thread and frees what stands ready.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Namespace>,
    taken: Option<Instant>,
    is_refilling: bool,
    is_over: bool,
}

impl Pool {
    /// A pool that keeps so many ready once it is used.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                size,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// A fresh namespace: a ready one, or one made on the spot.
    ///
    /// # Errors
    /// What [`Namespace::make`] says.
    pub fn take(&self) -> Result<Namespace, Error> {
        let ready = {
            let mut state = self.shared.lock();
            let ready = state.ready.pop_front();
            state.taken = Some(Instant::now());
            if !state.is_refilling && self.shared.size > 0 {
                state.is_refilling = self.start_refilling();
            }
            ready
        };
        self.shared.changed.notify_all();
        match ready {
            Some(namespace) => Ok(namespace),
            None => Namespace::make(),
        }
    }

    /// How many stand ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.shared.lock().ready.len()
    }

    /// Starts the thread; without one, each namespace is made when it is taken.
    fn start_refilling(&self) -> bool {
        let shared = Arc::clone(&self.shared);
        thread::Builder::new()
            .name("namespaces".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let end = shared.refill();
                let mut state = shared.lock();
                state.is_refilling = false;
                drop(state);
                if let Err(error) = end {
                    // Whoever takes next makes one on the spot, and is told what is wrong.
                    tracing::debug!("no namespaces ahead of time: {}", fault::chain(&error));
                }
            })
            .is_ok()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        state.ready.clear();
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes namespaces on this thread as they are taken, until the pool is over.
    fn refill(&self) -> Result<(), Error> {
        let home = current()?;
        loop {
            let mut state = self.lock();
            while let Some(wait) = state.wait(self.size) {
                state = self
                    .changed
                    .wait_timeout(state, wait)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
            if state.is_over {
                return Ok(());
            }
            drop(state);
            let made = make_here();
            // Staying would keep the namespace alive after its container.
            join(home.as_fd(), Namespaces::NETWORK).map_err(|source| Error::Enter { source })?;
            let made = made?;
            let mut state = self.lock();
            if !state.is_over {
                state.ready.push_back(made);
                drop(state);
                self.changed.notify_all();
            }
        }
    }
}

impl State {
    /// How long to do nothing, unless something happens; `None`: make one now, or end.
    fn wait(&self, size: usize) -> Option<Duration> {
        if self.is_over || self.ready.is_empty() {
            return None;
        }
        if self.ready.len() >= size {
            return Some(Duration::MAX);
        }
        let rested = self.taken.map_or(REST, |taken| taken.elapsed());
        REST.checked_sub(rested).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::is_same;
    use super::*;

    fn await_ready(pool: &Pool, count: usize) {
        let start = Instant::now();
        while pool.ready() != count {
            assert!(start.elapsed() < Duration::from_secs(10), "never {count}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn nothing_is_made_before_the_first_take_and_no_namespace_is_given_twice() {
        let pool = Pool::new(2);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(pool.ready(), 0);
        let first = pool.take().expect("root");
        await_ready(&pool, 2);
        let taken = [
            first,
            pool.take().expect("ready"),
            pool.take().expect("ready"),
            pool.take().expect("made or ready"),
        ];
        for (place, one) in taken.iter().enumerate() {
            for other in &taken[place + 1..] {
                assert!(!is_same(one.as_fd(), other.as_fd()).expect("open"));
            }
        }
        await_ready(&pool, 2);
    }

    #[test]
    fn many_threads_take_at_once() {
        let pool = Pool::new(4);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..4 {
                        pool.take().expect("root");
                    }
                });
            }
        });
        await_ready(&pool, 4);
    }

    #[test]
    fn a_dropped_pool_keeps_no_thread() {
        let pool = Pool::new(1);
        drop(pool.take().expect("root"));
        await_ready(&pool, 1);
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        let start = Instant::now();
        while shared.upgrade().is_some() {
            assert!(start.elapsed() < Duration::from_secs(10), "still there");
            thread::sleep(Duration::from_millis(1));
        }
    }
}
