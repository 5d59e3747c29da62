//! What can go wrong with blobs.

use std::io;
use std::path::PathBuf;

use oci::Digest;

/// An operation on the blob store that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that digest is here.
    #[error("no blob {digest}")]
    NotFound {
        /// The digest asked for.
        digest: Digest,
    },
    /// The bytes are not those that were announced.
    #[error("content is {actual}, but {expected} was announced")]
    Digest {
        /// What was announced.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// There are more or fewer bytes than were announced.
    #[error("content of {digest} has {actual} bytes, but {expected} were announced")]
    Size {
        /// The blob.
        digest: Digest,
        /// What was announced.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// A blob that should be small is not.
    #[error("blob {digest} has {size} bytes, more than the {cap} that may be read at once")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The most that may be read.
        cap: u64,
    },
    /// The folders could not be made or read.
    #[error("open blob store at {path}")]
    Open {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A draft could not be made, written, synced or named.
    #[error("write blob at {path}")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A blob could not be opened or read.
    #[error("read blob {digest}")]
    Read {
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A blob could not be removed.
    #[error("remove blob {digest}")]
    Remove {
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::NotFound { .. } => fault::Kind::NotFound,
            Self::Digest { .. } | Self::Size { .. } | Self::TooLarge { .. } => fault::Kind::Invalid,
            Self::Open { .. } | Self::Write { .. } | Self::Read { .. } | Self::Remove { .. } => {
                fault::Kind::Internal
            }
        }
    }
}
