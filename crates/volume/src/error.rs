//! What can go wrong with a volume, in Docker's words where users see them.

use std::io;
use std::path::PathBuf;

/// The result of an operation on volumes.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed operation on volumes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such volume.
    #[error("get {name}: no such volume")]
    NotFound {
        /// The name.
        name: String,
    },
    /// A name that no volume can have.
    #[error(
        "create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" \
         are allowed. If you intended to pass a host directory, use absolute path"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A name of one letter.
    #[error(
        "create {name}: volume name is too short, names should be at least two alphanumeric characters"
    )]
    ShortName {
        /// The name.
        name: String,
    },
    /// A name that no file can have.
    #[error("create {name}: volume name is too long, names should be at most 255 characters")]
    LongName {
        /// The name.
        name: String,
    },
    /// Only the driver `local` is built in.
    #[error("create {name}: error looking up volume plugin {driver}: plugin {driver:?} not found")]
    Driver {
        /// The volume.
        name: String,
        /// The driver.
        driver: String,
    },
    /// The driver does not know the option.
    #[error("create {name}: invalid option: {option:?}")]
    Option {
        /// The volume.
        name: String,
        /// The option.
        option: String,
    },
    /// An option needs another.
    #[error("create {name}: missing required option: {option:?}")]
    MissingOption {
        /// The volume.
        name: String,
        /// What is missing.
        option: &'static str,
    },
    /// The volume has a limit of size, which needs project quotas.
    #[error("create {name}: quota size requested but no quota support")]
    Quota {
        /// The volume.
        name: String,
    },
    /// A network file system is named by a host name.
    #[error(
        "mount volume {name}: option addr={address:?} must be an IP address: host names of file servers are not looked up"
    )]
    Address {
        /// The volume.
        name: String,
        /// The address.
        address: String,
    },
    /// Somebody holds the volume.
    #[error("remove {name}: volume is in use - [{}]", holders.join(", "))]
    InUse {
        /// The volume.
        name: String,
        /// Who.
        holders: Vec<String>,
    },
    /// The device could not be mounted.
    #[error("failed to mount local volume: mount {device}:{}, flags: {flags:#x}, data: {data}", target.display())]
    Mount {
        /// The device.
        device: String,
        /// Where to.
        target: PathBuf,
        /// Mount flags.
        flags: u64,
        /// The file system's own options.
        data: String,
        /// Why.
        source: io::Error,
    },
    /// The device could not be unmounted.
    #[error("unmount volume {name}")]
    Unmount {
        /// The volume.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A folder or file of the store could not be used.
    #[error("{action} {}", path.display())]
    Store {
        /// What we tried: `create`, `open`, `read`, `write`, `rename`, `remove`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The record of a volume is not what we write.
    #[error("read {}: not a volume's record", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The content of the image could not be copied into the volume.
    #[error("copy {path:?} of the image into volume {name}: {step}")]
    Copy {
        /// The volume.
        name: String,
        /// The path below the copied folder.
        path: String,
        /// The step that failed.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The folders of the image are nested too deeply.
    #[error("copy {path:?} of the image into volume {name}: folders are nested too deeply")]
    TooDeep {
        /// The volume.
        name: String,
        /// The path below the copied folder.
        path: String,
    },
    /// The path in the volume cannot be used.
    #[error("cannot access path {path:?} in volume {name}")]
    Subpath {
        /// The volume.
        name: String,
        /// The path.
        path: String,
        /// Why; EXDEV (`Invalid cross-device link`) when it leads out of the volume.
        source: io::Error,
    },
    /// The path in the volume is no relative path below it.
    #[error("subpath {path:?} must be a relative path within the volume")]
    SubpathForm {
        /// The path.
        path: String,
    },
}

impl Error {
    /// What this error means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Error::NotFound { .. } | Error::Driver { .. } => fault::Kind::NotFound,
            Error::Name { .. }
            | Error::ShortName { .. }
            | Error::LongName { .. }
            | Error::Option { .. }
            | Error::MissingOption { .. }
            | Error::Quota { .. }
            | Error::Address { .. }
            | Error::Subpath { .. }
            | Error::SubpathForm { .. } => fault::Kind::Invalid,
            Error::InUse { .. } => fault::Kind::Conflict,
            _ => fault::Kind::Internal,
        }
    }
}

/// Names the path of a failed file operation.
pub(crate) fn at(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Store {
        action,
        path,
        source,
    }
}
