//! The daemon's end of a shim's control socket, for async use.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use shim::protocol::{Event, Request};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A connection to one shim. Dropping it leaves the shim running.
#[derive(Debug)]
pub(crate) struct Control {
    socket: AsyncFd<OwnedFd>,
}

impl Control {
    /// Takes over a connected SEQPACKET socket in nonblocking mode.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket: AsyncFd::with_interest(socket, Interest::READABLE | Interest::WRITABLE)?,
        })
    }

    /// Sends one request, with the stream of an attach.
    pub(crate) async fn send(
        &self,
        request: &Request,
        fd: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        self.socket
            .async_io(Interest::WRITABLE, |socket| {
                shim::client::send_request(socket.as_fd(), request, fd)
            })
            .await
    }

    /// The next event; `None` when the shim has gone. Cancelling it loses nothing.
    pub(crate) async fn recv(&self) -> io::Result<Option<Event>> {
        self.socket
            .async_io(Interest::READABLE, |socket| {
                shim::client::recv_event(socket.as_fd())
            })
            .await
    }
}
