//! The client behind a connection: who it is, and whether it is still there.

use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use crate::hijack::TakeOver;
use crate::listen::Stream;

/// The client of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// A second descriptor of the socket: hyper owns the first.
    socket: Arc<OwnedFd>,
    /// A TCP client that ends its side has gone, as far as can be told; a unix client may only have ended its input.
    is_tcp: bool,
    /// The user behind a unix socket, see SO_PEERCRED in unix(7).
    pub(crate) uid: Option<u32>,
    /// Who takes the connection over, once a route has said so.
    taken: Arc<Mutex<Option<TakeOver>>>,
}

/// Resolves when the client has gone.
pub(crate) type Gone = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Peer {
    pub(crate) fn of(stream: &Stream) -> std::io::Result<Self> {
        let (socket, is_tcp, uid) = match stream {
            Stream::Unix(unix) => (unix.as_fd(), false, unix.peer_cred().ok().map(|c| c.uid())),
            Stream::Tcp(tcp) => (tcp.as_fd(), true, None),
        };
        Ok(Self {
            socket: Arc::new(socket.try_clone_to_owned()?),
            is_tcp,
            uid,
            taken: Arc::default(),
        })
    }

    /// Says that the connection is to be taken from HTTP.
    pub(crate) fn take_over(&self, by: TakeOver) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(by);
    }

    /// Who takes the connection over, if somebody does.
    pub(crate) fn taken_over(&self) -> Option<TakeOver> {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Waits until the client has closed its end. hyper alone would notice only when it next writes, which for a silent
    /// `logs -f` or `events` may be never.
    pub(crate) fn gone(&self) -> Gone {
        let peer = self.clone();
        Box::pin(async move {
            if peer.hung_up().await.is_err() {
                // Not watchable: the stream then ends at the next write.
                std::future::pending().await
            }
        })
    }

    async fn hung_up(&self) -> std::io::Result<()> {
        let socket = self.socket.try_clone()?;
        if self.is_tcp {
            let socket = TcpStream::from_std(socket.into())?;
            while !socket.ready(Interest::READABLE).await?.is_read_closed() {
                let _ = socket.try_io(Interest::READABLE, not_now);
            }
        } else {
            let socket = UnixStream::from_std(socket.into())?;
            while !socket.ready(Interest::WRITABLE).await?.is_write_closed() {
                let _ = socket.try_io(Interest::WRITABLE, not_now);
            }
        }
        Ok(())
    }
}

/// Tells tokio that the socket was found not ready, so that it waits for the next change.
fn not_now() -> std::io::Result<()> {
    Err(std::io::ErrorKind::WouldBlock.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_unix_client_is_gone_when_it_closes_and_not_when_its_input_ends() {
        let (near, mut far) = UnixStream::pair().expect("a socket pair");
        let gone = Peer::of(&Stream::Unix(near)).expect("a peer").gone();
        tokio::pin!(gone);
        far.write_all(b"x").await.expect("room for a byte");
        far.shutdown().await.expect("an open socket");
        let still = tokio::time::timeout(Duration::from_millis(50), &mut gone).await;
        assert!(still.is_err(), "the client can still read");
        drop(far);
        tokio::time::timeout(Duration::from_secs(5), gone)
            .await
            .expect("the client has gone");
    }
}
