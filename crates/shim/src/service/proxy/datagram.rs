//! One client's datagrams and the replies to them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::service::poller::Watched;

/// After how long without a datagram either way a flow ends; as Docker's.
pub(super) const SILENCE: Duration = Duration::from_secs(90);

/// Who sends, and to which address of the host: the replies must come from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) to: Option<IpAddr>,
}

/// A flow.
#[derive(Debug)]
pub(super) struct Talk {
    /// The port it came by.
    pub(super) port: u32,
    pub(super) client: Client,
    /// Connected to the container.
    pub(super) far: Watched,
    /// When the last datagram went either way.
    pub(super) last: Instant,
}

impl Talk {
    pub(super) fn new(port: u32, client: Client, far: Watched) -> Self {
        Self {
            port,
            client,
            far,
            last: Instant::now(),
        }
    }

    /// Passes a datagram of the client's on. One that cannot go now is lost, as datagrams may be.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.last = Instant::now();
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if send(&self.far, bytes, flags) == Err(Errno::CONNREFUSED) {
            // That was said of an earlier one.
            let _ = send(&self.far, bytes, flags);
        }
    }

    /// Passes the container's datagrams back, `most` at a time.
    pub(super) fn pass_back(&mut self, port: &Watched, buffer: &mut [u8], most: usize) {
        for _ in 0..most {
            match recv(&self.far, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((got, _)) => {
                    self.last = Instant::now();
                    let Client { address, to } = self.client;
                    let sent = sys::datagram::send(port, &buffer[..got], address, to);
                    if sent.is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput) {
                        // Not an address to answer from: a broadcast's, or gone.
                        let _ = sys::datagram::send(port, &buffer[..got], address, None);
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(_) => {} // nobody listened there when the client's datagram came
            }
        }
    }
}
