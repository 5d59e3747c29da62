//! Putting right what others changed: `nft flush ruleset`, a firewall's reload, a rule behind ours.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netlink::nft::Watch;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use crate::firewall::error::Error;
use crate::firewall::tables::Tables;

/// A reload comes as many transactions: one heal answers those that come this close.
const QUIET: Duration = Duration::from_millis(20);
/// But no heal waits longer than this.
const LONGEST: Duration = Duration::from_millis(200);
/// Between two heals, so that another program that also insists does not get us to spin.
const PAUSE: Duration = Duration::from_millis(250);

/// The thread that heals. Ends it when dropped.
#[derive(Debug)]
pub struct Healer {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Stop {
    is_asked: AtomicBool,
    wake: OwnedFd,
}

impl Drop for Healer {
    fn drop(&mut self) {
        self.stop.is_asked.store(true, Ordering::SeqCst);
        let woken = rustix::io::write(&self.stop.wake, &1u64.to_ne_bytes()).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            // It only ever sleeps for less than a second.
            let _ = thread.join();
        }
    }
}

/// Starts to listen, then the thread: what happens from now on is heard.
pub(super) fn start(tables: Arc<Tables>) -> Result<Healer, Error> {
    let watch = Watch::open().map_err(|source| Error::Watch { source })?;
    let own_port = tables.port().map_err(|source| Error::Watch { source })?;
    let thread = |source: io::Error| Error::Thread { source };
    let wake = eventfd(0, EventfdFlags::CLOEXEC).map_err(|source| thread(source.into()))?;
    let stop = Arc::new(Stop {
        is_asked: AtomicBool::new(false),
        wake,
    });
    let loop_ = Loop {
        tables,
        watch,
        own_port,
        stop: Arc::clone(&stop),
    };
    let handle = std::thread::Builder::new()
        .name("firewall".into())
        .stack_size(256 * 1024)
        .spawn(move || loop_.run())
        .map_err(thread)?;
    Ok(Healer {
        stop,
        thread: Some(handle),
    })
}

struct Loop {
    tables: Arc<Tables>,
    watch: Watch,
    own_port: u32,
    stop: Arc<Stop>,
}

/// What must be done about the changes that were heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Nothing: they were ours.
    Nothing,
    /// Others changed their own tables: there may be a chain in the way.
    LookAtOthers,
    /// Notices were lost: nobody knows.
    LookAtAll,
    /// A table of ours was touched.
    Rebuild,
}

impl Loop {
    fn run(&self) {
        while self.wait() {
            let need = self.hear();
            if need == Need::Nothing {
                continue;
            }
            if let Err(error) = self.heal(need) {
                let error = fault::chain(&error);
                tracing::warn!(%error, "the firewall was changed by others and is not right");
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Until there is something to hear; false when it is time to end.
    fn wait(&self) -> bool {
        loop {
            if self.stop.is_asked.load(Ordering::SeqCst) {
                return false;
            }
            let mut fds = [
                PollFd::new(&self.watch, PollFlags::IN),
                PollFd::new(&self.stop.wake, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) if fds[1].revents().is_empty() => return true,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "no longer watching the firewall");
                    return false;
                }
            }
        }
    }

    /// Listens until it is quiet.
    fn hear(&self) -> Need {
        let began = Instant::now();
        let mut need = Need::Nothing;
        loop {
            // Our own changes alone are no reason to wait for more.
            let patience = match need {
                Need::Nothing => Duration::ZERO,
                _ => QUIET.min(LONGEST.saturating_sub(began.elapsed())),
            };
            match self.watch.next(patience) {
                Ok(events) if events.is_empty() => return need,
                Ok(events) => {
                    for event in events {
                        need = need.max(self.need_of(&event));
                    }
                }
                Err(_) => need = need.max(Need::LookAtAll),
            }
            if began.elapsed() >= LONGEST {
                return need;
            }
        }
    }

    fn need_of(&self, event: &netlink::nft::Event) -> Need {
        if event.port == self.own_port {
            Need::Nothing
        } else if self.tables.is_own(event.family, &event.table) {
            Need::Rebuild
        } else {
            Need::LookAtOthers
        }
    }

    fn heal(&self, need: Need) -> Result<(), Error> {
        match need {
            Need::Nothing => Ok(()),
            Need::LookAtOthers => self.tables.look_after_others(),
            Need::LookAtAll if self.tables.is_whole()? => self.tables.look_after_others(),
            Need::LookAtAll | Need::Rebuild => {
                self.tables.rebuild()?;
                tracing::info!("the firewall's tables were changed by others and made anew");
                Ok(())
            }
        }
    }
}
