//! Waiting until a log may have grown: inotify on its folder, and a switch to stop waiting.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;
use rustix::io::Errno;

/// How often to look without inotify (the kernel gives a user 128 instances by default).
const POLL: Duration = Duration::from_millis(100);

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Something was written, created or renamed in the log's folder, or someone called [`Canceller::wake`].
    Changed,
    /// Someone called [`Canceller::cancel`].
    Cancelled,
    /// Nothing happened.
    TimedOut,
}

/// Ends or wakes a wait from another thread.
#[derive(Debug, Clone)]
pub struct Canceller {
    switch: Arc<Switch>,
}

impl Canceller {
    /// The present wait and all later ones end with [`Wait::Cancelled`].
    pub fn cancel(&self) {
        self.switch.cancelled.store(true, Ordering::Release);
        self.wake();
    }

    /// The present or next wait ends with [`Wait::Changed`].
    pub fn wake(&self) {
        if let Some(event) = &self.switch.event {
            let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
        }
    }
}

#[derive(Debug)]
struct Switch {
    cancelled: AtomicBool,
    event: Option<OwnedFd>,
}

/// A watched folder.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<OwnedFd>,
    switch: Arc<Switch>,
}

impl Watch {
    /// Begins to watch. Without inotify, [`Watch::wait`] polls instead.
    pub(super) fn new(folder: &Path) -> Self {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .and_then(|fd| {
                let events = inotify::WatchFlags::MODIFY
                    | inotify::WatchFlags::CREATE
                    | inotify::WatchFlags::MOVED_TO
                    | inotify::WatchFlags::ONLYDIR;
                inotify::add_watch(&fd, folder, events)?;
                Ok(fd)
            })
            .ok();
        Self {
            inotify,
            switch: Arc::new(Switch {
                cancelled: AtomicBool::new(false),
                event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok(),
            }),
        }
    }

    pub(super) fn canceller(&self) -> Canceller {
        Canceller {
            switch: Arc::clone(&self.switch),
        }
    }

    pub(super) fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<Wait> {
        let timeout = if self.inotify.is_some() {
            timeout
        } else {
            timeout.min(POLL)
        };
        let timeout = Timespec::try_from(timeout).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut fds = Vec::with_capacity(2);
        fds.extend(
            [self.inotify.as_ref(), self.switch.event.as_ref()]
                .into_iter()
                .flatten()
                .map(|fd| PollFd::new(fd, PollFlags::IN)),
        );
        let ready = match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => ready,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        drop(fds);
        self.discard();
        Ok(if self.switch.cancelled.load(Ordering::Acquire) {
            Wait::Cancelled
        } else if ready > 0 || self.inotify.is_none() {
            Wait::Changed
        } else {
            Wait::TimedOut
        })
    }

    /// Takes the notices: which file it was does not matter, the reader looks at all.
    fn discard(&self) {
        if let Some(event) = &self.switch.event {
            let _ = rustix::io::read(event, &mut [0; 8]);
        }
        if let Some(inotify) = &self.inotify {
            let mut space = [MaybeUninit::<u8>::uninit(); 4096];
            while rustix::io::read(inotify, &mut space[..]).is_ok_and(|(got, _)| !got.is_empty()) {}
        }
    }
}
