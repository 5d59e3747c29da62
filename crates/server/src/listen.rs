//! Where clients come in: unix sockets (0660) and plain TCP.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Why clients cannot come in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another daemon answers on this socket.
    #[error("another daemon listens on {path}: stop it, or choose another -H")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket stands in the way.
    #[error("{path} exists and is not a socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The socket could not be made.
    #[error("listen on {path}")]
    Unix {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The TCP address could not be used.
    #[error("listen on tcp://{address}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A passed descriptor is no listening socket.
    #[error("listen on a passed descriptor")]
    Passed {
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What it means to the caller.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::InUse { .. } => fault::Kind::Unavailable,
            Self::NotASocket { .. } => fault::Kind::Conflict,
            Self::Unix { .. } | Self::Tcp { .. } | Self::Passed { .. } => fault::Kind::Internal,
        }
    }
}

/// A socket that clients connect to; needs a tokio runtime.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket; the rights of its file decide who may speak.
    Unix(UnixListener),
    /// Plain TCP: whoever reaches it is root. For the loopback and for tests.
    Tcp(TcpListener),
}

/// A connected client.
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl Listener {
    /// Listens on a unix socket, mode 0660 and of the given group. A socket that a dead daemon left is replaced.
    ///
    /// # Errors
    /// Another daemon listens there; the path is not ours to use.
    pub fn unix(path: &Path, group: Option<u32>) -> Result<Self, Error> {
        let failed = |source| Error::Unix {
            path: path.into(),
            source,
        };
        clear_stale(path)?;
        // Between bind and chmod nobody but root can write to the socket file, hence connect, under any usual umask.
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o660)).map_err(failed)?;
        if let Some(group) = group {
            std::os::unix::fs::chown(path, None, Some(group)).map_err(failed)?;
        }
        Ok(Self::Unix(listener))
    }

    /// Listens on a TCP address.
    ///
    /// # Errors
    /// The address is in use or not ours.
    pub async fn tcp(address: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind(address).await;
        Ok(Self::Tcp(
            listener.map_err(|source| Error::Tcp { address, source })?,
        ))
    }

    /// Takes over a listening unix socket that somebody passed to us, as systemd does.
    ///
    /// # Errors
    /// It is not a listening unix socket.
    pub fn passed(socket: OwnedFd) -> Result<Self, Error> {
        let failed = |source| Error::Passed { source };
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self::Unix(
            UnixListener::from_std(listener).map_err(failed)?,
        ))
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

/// Removes a socket nobody listens on.
fn clear_stale(path: &Path) -> Result<(), Error> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(_) => return Ok(()),
    };
    if !kind.is_socket() {
        return Err(Error::NotASocket { path: path.into() });
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(Error::InUse { path: path.into() });
    }
    std::fs::remove_file(path).map_err(|source| Error::Unix {
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_respected() {
        let dir = std::env::temp_dir().join(format!("estiva-listen-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        let path = dir.join("s.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a fresh socket"));
        let live = Listener::unix(&path, None).expect("nobody listens any more");
        let mode = std::fs::metadata(&path)
            .expect("the socket")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o660);
        assert!(matches!(
            Listener::unix(&path, None),
            Err(Error::InUse { .. })
        ));
        drop(live);
        std::fs::write(dir.join("file"), "").expect("a file");
        assert!(matches!(
            Listener::unix(&dir.join("file"), None),
            Err(Error::NotASocket { .. })
        ));
        std::fs::remove_dir_all(&dir).expect("our own folder");
    }
}
