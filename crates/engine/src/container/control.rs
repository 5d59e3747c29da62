//! The daemon's end of a shim's control socket, for async use.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use shim::protocol::{Event, Request};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// A connection to one shim. Dropping it leaves the shim running.
#[derive(Debug)]
pub(crate) struct Control {
    /// Tokio has no type for SEQPACKET; readiness, all that is used of this one, is the same for every unix socket.
    socket: UnixDatagram,
}

impl Control {
    /// Takes over a connected SEQPACKET socket.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UnixDatagram::from_std(socket)?,
        })
    }

    /// Sends one request, with the stream of an attach.
    pub(crate) async fn send(
        &self,
        request: &Request,
        fd: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let send = || shim::client::send_request(self.socket.as_fd(), request, fd);
        self.socket.async_io(Interest::WRITABLE, send).await
    }

    /// The next event; `None` when the shim has gone. Cancelling it loses nothing.
    pub(crate) async fn recv(&self) -> io::Result<Option<Event>> {
        let recv = || shim::client::recv_event(self.socket.as_fd());
        self.socket.async_io(Interest::READABLE, recv).await
    }

    /// An event that is there already, without waiting for the runtime to notice it.
    pub(crate) fn try_recv(&self) -> Option<io::Result<Option<Event>>> {
        match shim::client::recv_event(self.socket.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            told => Some(told),
        }
    }
}
