//! What can go wrong with images. Where users of Docker know a text, the text is Docker's.

use std::io;
use std::path::PathBuf;

use oci::{DiffId, Digest, Platform};

use crate::ImageId;

/// The result of every operation here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on images that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that name or id.
    #[error("No such image: {0}")]
    NotFound(String),
    /// An id prefix fits several.
    #[error("image id prefix {prefix:?} is ambiguous: it fits {} images", candidates.len())]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// The images it fits.
        candidates: Vec<ImageId>,
    },
    /// The only name of an image that a container uses.
    #[error(
        "conflict: unable to remove repository reference {name:?} (must force) - container {container} is using its referenced image {}",
        image.short()
    )]
    NameInUse {
        /// The name.
        name: String,
        /// The container's short id.
        container: String,
        /// The image.
        image: ImageId,
    },
    /// Something stands against deleting an image.
    #[error("conflict: unable to delete {} ({}) - {obstacle}", image.short(), if *.is_hard { "cannot be forced" } else { "must be forced" })]
    InUse {
        /// The image.
        image: ImageId,
        /// Whether force would not help.
        is_hard: bool,
        /// What stands against it.
        obstacle: Obstacle,
    },
    /// A bad name.
    #[error(transparent)]
    Reference(#[from] oci::reference::ReferenceError),
    /// The built-in image has no program for this CPU.
    #[error("the built-in image hello has no program for {0}; load or import an image of your own")]
    NoHello(Box<Platform>),
    /// A new name must be a tag.
    #[error("refusing to create a tag with a digest reference")]
    TagWithDigest,
    /// No part of a multi-platform image is for the platform asked for.
    #[error(
        "image with reference {name} was found but does not provide the specified platform ({platform})"
    )]
    Platform {
        /// The image, or what it was loaded from.
        name: String,
        /// What was wanted.
        platform: Box<Platform>,
    },
    /// An instruction of `--change` that is none.
    #[error("{0}")]
    Change(#[from] crate::changes::ChangeError),
    /// What was given to load is no image archive.
    #[error("not an image archive: {0}")]
    NotAnArchive(NotAnArchive),
    /// An archive refers to something that it does not hold.
    #[error("image archive lacks {name}, which {wanted_by} refers to")]
    Incomplete {
        /// What is missing.
        name: String,
        /// Who wants it.
        wanted_by: &'static str,
    },
    /// Something in an archive is not what its name says.
    #[error("image archive lies: {name} has the digest {actual}")]
    Lie {
        /// The name, which is a digest.
        name: String,
        /// The digest of what is there.
        actual: Digest,
    },
    /// A layer unpacks to something else than the config says.
    #[error("wrong diff id calculated on extraction {actual:?}: layer {layer} should be {expected}", actual = actual.to_string())]
    DiffId {
        /// The layer, from 0.
        layer: usize,
        /// What the config says.
        expected: DiffId,
        /// What came out.
        actual: DiffId,
    },
    /// The config lists another number of layers than there are.
    #[error("invalid manifest, layers length mismatch: expected {expected}, got {actual}")]
    LayerCount {
        /// As the config says.
        expected: usize,
        /// As there are.
        actual: usize,
    },
    /// Something in an archive is larger or more than is read.
    #[error("image archive: {what} passes the limit of {limit}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A document in an archive cannot be read.
    #[error("parse {name} of the image")]
    Parse {
        /// The document.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A manifest cannot be read.
    #[error("read manifest {name}")]
    Manifest {
        /// The document.
        name: String,
        /// Why.
        source: oci::manifest::ManifestError,
    },
    /// A layer cannot be unpacked.
    #[error("unpack layer")]
    Unpack {
        /// Why.
        source: archive::Error,
    },
    /// The archive cannot be read.
    #[error("read image archive")]
    Archive {
        /// Why.
        source: archive::Error,
    },
    /// The input stream failed.
    #[error("read image")]
    Input {
        /// Why.
        source: io::Error,
    },
    /// The receiver of an archive failed.
    #[error("write image archive")]
    Output {
        /// Why.
        source: io::Error,
    },
    /// A file of an image folder cannot be read.
    #[error("read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The blob store failed.
    #[error("store image content")]
    Content {
        /// Why.
        #[from]
        source: content::Error,
    },
    /// The layer store failed.
    #[error("store image layer")]
    Snapshot {
        /// Why.
        #[from]
        source: snapshot::Error,
    },
    /// The database failed.
    #[error("{action} image database {path}")]
    Database {
        /// The step.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// A thread of ours could not be started or died.
    #[error("start a thread to unpack layers")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

/// Why something is no image archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnArchive {
    /// Neither `manifest.json` nor `index.json`.
    #[error(
        "it has neither manifest.json nor index.json (a plain file system is taken in with `import`)"
    )]
    NoManifest,
    /// Only `repositories`, as Docker before 1.10 wrote.
    #[error(
        "it has the format of Docker before 1.10, which is not supported; load and save it with a newer Docker first"
    )]
    Legacy,
    /// An OCI layout of a version nobody knows.
    #[error("its oci-layout has an unknown version")]
    LayoutVersion,
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
}

/// What stands against deleting an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Images were made from it.
    #[error("image has dependent child images")]
    Children,
    /// A running container (short id) uses it.
    #[error("image is being used by running container {0}")]
    Running(String),
    /// A stopped container (short id) uses it.
    #[error("image is being used by stopped container {0}")]
    Stopped(String),
    /// Several names, and an id was given.
    #[error("image is referenced in multiple repositories")]
    Names,
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        use fault::Kind;
        match self {
            Self::NotFound(_) | Self::Platform { .. } => Kind::NotFound,
            Self::NoHello(_) => Kind::Unimplemented,
            Self::NameInUse { .. } | Self::InUse { .. } => Kind::Conflict,
            Self::Ambiguous { .. }
            | Self::Reference(_)
            | Self::TagWithDigest
            | Self::Change(_)
            | Self::NotAnArchive(_)
            | Self::Incomplete { .. }
            | Self::Lie { .. }
            | Self::DiffId { .. }
            | Self::LayerCount { .. }
            | Self::TooMuch { .. }
            | Self::Parse { .. }
            | Self::Manifest { .. }
            | Self::Input { .. } => Kind::Invalid,
            Self::Unpack { source } | Self::Archive { source } => source.kind(),
            Self::Content { source } => source.kind(),
            Self::Snapshot { source } => source.kind(),
            Self::Output { .. }
            | Self::File { .. }
            | Self::Database { .. }
            | Self::Thread { .. } => Kind::Internal,
        }
    }
}
