//! What can go wrong with snapshots.

use std::io;
use std::path::PathBuf;

/// The result of every operation here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was tried, and on what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the store open.
    #[error("snapshots in {root} are in use by another process")]
    Locked {
        /// The store.
        root: PathBuf,
    },
    /// There is no such layer.
    #[error("no layer {chain}")]
    NoLayer {
        /// Its chain id.
        chain: String,
    },
    /// There is no such writable layer.
    #[error("no writable layer {key}")]
    NoWritable {
        /// Its key, the container's id.
        key: String,
    },
    /// The key is taken.
    #[error("writable layer {key} exists")]
    Exists {
        /// Its key.
        key: String,
    },
    /// Something stands on the layer.
    #[error("layer {chain} is used by {user}")]
    InUse {
        /// Its chain id.
        chain: String,
        /// A layer or a writable layer.
        user: String,
    },
    /// A file operation below the store failed.
    #[error("{action} {path}")]
    Io {
        /// The operation.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused the overlay mount.
    #[error("mount view of {name}: {step}")]
    Mount {
        /// The chain id or key.
        name: String,
        /// The step of fsopen(2), fsconfig(2), fsmount(2).
        step: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What this means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::NoLayer { .. } | Self::NoWritable { .. } => fault::Kind::NotFound,
            Self::Exists { .. } | Self::InUse { .. } => fault::Kind::Conflict,
            Self::Locked { .. } => fault::Kind::Unavailable,
            Self::Io { .. } | Self::Mount { .. } => fault::Kind::Internal,
        }
    }
}
