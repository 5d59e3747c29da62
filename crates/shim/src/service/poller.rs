//! An epoll set that knows what each descriptor is for.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use logs::Stream;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::process::Key;
use super::proxy::Side;

/// What a ready descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// `shim.sock`.
    Listener,
    /// The daemon.
    Control,
    /// The kernel's notice of an OOM kill.
    Oom,
    /// A process has ended.
    Exit(Key),
    /// A process's output, or its terminal.
    Output(Key, Stream),
    /// A process takes input again.
    Input(Key),
    /// An attached client, by its number in the process.
    Client(Key, u64),
    /// A published port, by its number in the proxy.
    Port(u32),
    /// One end of something that is passed on, by its number in the proxy.
    Flow(u32, Side),
}

/// What happened to a descriptor.
pub(crate) type Ready = epoll::EventFlags;

/// An owned descriptor and what epoll was asked for it.
#[derive(Debug)]
pub(crate) struct Watched {
    fd: OwnedFd,
    token: Option<u64>,
    interest: Ready,
}

impl Watched {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            token: None,
            interest: Ready::empty(),
        }
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The set.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    tokens: BTreeMap<u64, What>,
    next: u64,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            tokens: BTreeMap::new(),
            next: 0,
        })
    }

    /// Asks for events; none at all when `interest` is empty: hang-ups, which epoll always tells, are then not told either.
    pub(crate) fn ask(&mut self, watched: &mut Watched, what: What, interest: Ready) {
        if interest.is_empty() {
            self.forget(watched);
            return;
        }
        if let Some(token) = watched.token {
            if watched.interest != interest {
                let _ = epoll::modify(
                    &self.epoll,
                    &watched.fd,
                    epoll::EventData::new_u64(token),
                    interest,
                );
            }
        } else {
            let token = self.next;
            self.next += 1;
            let data = epoll::EventData::new_u64(token);
            if epoll::add(&self.epoll, &watched.fd, data, interest).is_ok() {
                watched.token = Some(token);
                self.tokens.insert(token, what);
            }
        }
        watched.interest = interest;
    }

    /// Asks for nothing any more. To be done before the descriptor is closed: another process may hold the same open file,
    /// and epoll would go on telling of it.
    pub(crate) fn forget(&mut self, watched: &mut Watched) {
        if let Some(token) = watched.token.take() {
            let _ = epoll::delete(&self.epoll, &watched.fd);
            self.tokens.remove(&token);
            watched.interest = Ready::empty();
        }
    }

    /// Waits for events; an empty answer means that the time is up.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<(What, Ready)>> {
        let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
        let mut space = [MaybeUninit::uninit(); 32];
        let (events, _) = loop {
            match epoll::wait(&self.epoll, &mut space, timeout.as_ref()) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        Ok(events
            .iter()
            .filter_map(|event| {
                // Copied out: the structure is packed.
                let (data, flags) = (event.data, event.flags);
                self.tokens.get(&data.u64()).map(|&what| (what, flags))
            })
            .collect())
    }
}
