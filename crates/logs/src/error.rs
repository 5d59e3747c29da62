//! What can go wrong with a log.

use std::io;
use std::path::PathBuf;

/// A failed operation on a log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver is not one of ours. Docker's text.
    #[error("error looking up logging plugin {driver}: plugin {driver:?} not found")]
    UnknownDriver {
        /// What was asked for.
        driver: String,
    },
    /// json-file does not know the option. Docker's text.
    #[error("unknown log opt '{option}' for json-file log driver")]
    UnknownOption {
        /// The option's name.
        option: String,
    },
    /// local does not know the option. Docker's text.
    #[error("unknown log opt '{option}' for log driver local")]
    UnknownLocalOption {
        /// The option's name.
        option: String,
    },
    /// A size cannot be read. Docker's text.
    #[error("failed to initialize logging driver: invalid size: '{value}'")]
    BadSize {
        /// What was given.
        value: String,
    },
    /// A size of nothing. Docker's text.
    #[error("failed to initialize logging driver: {option} must be a positive number")]
    NotPositive {
        /// The option's name.
        option: &'static str,
    },
    /// A count cannot be read. Docker's text.
    #[error("failed to initialize logging driver: strconv.Atoi: parsing {value:?}: invalid syntax")]
    BadNumber {
        /// What was given.
        value: String,
    },
    /// A flag cannot be read. Docker's text.
    #[error(
        "failed to initialize logging driver: strconv.ParseBool: parsing {value:?}: invalid syntax"
    )]
    BadBool {
        /// What was given.
        value: String,
    },
    /// No file to write to. Docker's text.
    #[error("failed to initialize logging driver: max-file cannot be less than 1")]
    TooFewFiles,
    /// The delivery mode is unknown. Docker's text.
    #[error("logger: logging mode not supported: {mode}")]
    UnknownMode {
        /// What was given.
        mode: String,
    },
    /// A buffer size without a buffer. Docker's text.
    #[error("logger: max-buffer-size option is only supported with 'mode=non-blocking'")]
    BufferWithoutMode,
    /// Compression needs rotation. Docker's text.
    #[error(
        "failed to initialize logging driver: compress cannot be true when max-file is less than 2 or max-size is not set"
    )]
    CompressWithoutRotation,
    /// The driver keeps nothing to read. Docker's text.
    #[error("configured logging driver does not support reading")]
    Unreadable,
    /// Rotation deleted what a reader had not come to yet.
    #[error(
        "the log was rotated faster than it could be read, and {files} of its files are lost: raise max-file or max-size"
    )]
    Overtaken {
        /// How many files are missing between what was read last and what is there.
        files: u64,
    },
    /// A file operation failed.
    #[error("{what} {}", path.display())]
    File {
        /// What we tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Waiting for new lines failed.
    #[error("watch the log {}", path.display())]
    Watch {
        /// The log.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::UnknownDriver { .. }
            | Self::UnknownOption { .. }
            | Self::UnknownLocalOption { .. }
            | Self::BadSize { .. }
            | Self::NotPositive { .. }
            | Self::BadNumber { .. }
            | Self::BadBool { .. }
            | Self::TooFewFiles
            | Self::UnknownMode { .. }
            | Self::BufferWithoutMode
            | Self::CompressWithoutRotation => fault::Kind::Invalid,
            Self::Unreadable => fault::Kind::Unimplemented,
            Self::Overtaken { .. } => fault::Kind::Unavailable,
            Self::File { .. } | Self::Watch { .. } => fault::Kind::Internal,
        }
    }
}

/// The result of an operation on a log.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Names the operation and the file of a failed call.
pub(crate) fn file<E: Into<io::Error>>(
    what: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(E) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        what,
        path,
        source: source.into(),
    }
}
