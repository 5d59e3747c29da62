//! The daemon's side of a shim: requests out, events in, over a SEQPACKET socket that the caller watches.
//!
//! Nothing here waits when the socket is nonblocking: [`io::ErrorKind::WouldBlock`] is handed up, so that an event loop of
//! any kind can drive it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, socketpair,
};

use crate::packet;
use crate::protocol::{Event, Request};

/// The name of a shim's socket in its run folder.
pub const SOCKET: &str = "shim.sock";

/// A failed exchange with a shim.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket pair could be made.
    #[error("create a control socket for a shim")]
    Pair {
        /// Why.
        source: io::Error,
    },
    /// Nobody listens, or the folder is gone.
    #[error("connect to the shim at {}", socket.display())]
    Connect {
        /// The socket's path.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::Pair { .. } => fault::Kind::Internal,
            Self::Connect { .. } => fault::Kind::Unavailable,
        }
    }
}

/// A new control connection: the daemon's end, nonblocking, and the end to give to
/// [`SpawnerHandle::spawn`](crate::spawner::SpawnerHandle::spawn).
///
/// # Errors
/// [`Error::Pair`] when the process is out of descriptors.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Error> {
    socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .map_err(|errno| Error::Pair {
        source: errno.into(),
    })
}

/// Connects to the shim of a run folder; the first event is [`Event::Hello`]. The socket is nonblocking.
///
/// # Errors
/// [`Error::Connect`]; its source is `ECONNREFUSED` or `ENOENT` when the shim is gone.
pub fn connect_to(run_dir: &Path) -> Result<OwnedFd, Error> {
    let path = run_dir.join(SOCKET);
    let attempt = || -> io::Result<OwnedFd> {
        let (_folder, address) = address(run_dir)?;
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        connect(&socket, &address)?;
        Ok(socket)
    };
    attempt().map_err(|source| Error::Connect {
        socket: path,
        source,
    })
}

/// The address of a run folder's socket, by descriptor: a socket's path may have 107 bytes only. Keep the descriptor until
/// the address is used.
pub(crate) fn address(run_dir: &Path) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    use rustix::fs::{Mode, OFlags, open};
    use std::os::fd::AsRawFd;

    let folder = open(
        run_dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
    let address = SocketAddrUnix::new(path)?;
    Ok((folder, address))
}

/// Sends a request, with the client's stream for an `Attach`.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`]: nothing was sent, wait until the socket is writable. `EPIPE`, `ECONNRESET`: the shim is gone.
pub fn send_request(
    socket: BorrowedFd<'_>,
    request: &Request,
    stream: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    packet::send(socket, &serde_json::to_vec(request)?, stream)
}

/// Receives an event; `None` when the shim has closed the connection.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`]: none there, wait until the socket is readable. [`io::ErrorKind::InvalidData`]: not an event.
pub fn recv_event(socket: BorrowedFd<'_>) -> io::Result<Option<Event>> {
    match packet::receive(socket) {
        Ok(Some((bytes, _))) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Ok(None) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits at most `timeout` for an event; for callers without an event loop (tests, tools).
///
/// # Errors
/// As [`recv_event`]; [`io::ErrorKind::TimedOut`].
pub fn wait_event(
    socket: BorrowedFd<'_>,
    timeout: std::time::Duration,
) -> io::Result<Option<Event>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let deadline = std::time::Instant::now() + timeout;
    loop {
        match recv_event(socket.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
