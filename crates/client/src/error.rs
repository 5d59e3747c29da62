//! What can go wrong between a client and its daemon, in the words Docker's users know.

use std::{io, path::PathBuf};

use fault::Kind;

/// A failure of the client or an error answered by the daemon.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint's text is not one this client understands.
    #[error("unable to parse docker host `{host}`")]
    BadHost {
        /// The text as given.
        host: String,
    },
    /// The endpoint needs a transport that is not built.
    #[error("{scheme} connections are not supported yet: use unix:// or plain tcp://")]
    Transport {
        /// What was asked for, such as `ssh` or `TLS`.
        scheme: &'static str,
    },
    /// A context is named that does not exist.
    #[error("context \"{name}\": context not found: open {path}: no such file or directory")]
    NoContext {
        /// The context's name.
        name: String,
        /// The metadata file that would describe it.
        path: String,
    },
    /// A client file could not be read or written.
    #[error("{operation} {path}: {source}")]
    File {
        /// The operation, such as `open`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A client file is not the JSON it should be.
    #[error("{path}: {source}")]
    FileFormat {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// Nobody listens at the endpoint.
    #[error("Cannot connect to the estiva daemon at {endpoint}. Is the estiva daemon running?")]
    Connect {
        /// The endpoint as a URL.
        endpoint: String,
        /// The cause.
        source: io::Error,
    },
    /// The socket's permissions refuse this user.
    #[error(
        "permission denied while trying to connect to the estiva daemon socket at {endpoint}: \
         run the command as root (sudo), or choose another daemon with -H"
    )]
    Denied {
        /// The endpoint as a URL.
        endpoint: String,
        /// The cause.
        source: io::Error,
    },
    /// An ordinary user has no daemon: rootless mode does not exist yet.
    #[error(
        "rootless mode is not built yet: run the command as root (sudo), or point -H or \
         DOCKER_HOST at a running daemon"
    )]
    Rootless,
    /// The daemon could not be started.
    #[error("start the estiva daemon: {reason}")]
    Start {
        /// Why.
        reason: String,
    },
    /// The conversation broke off.
    #[error("error during connect: {operation}: {source}")]
    Exchange {
        /// The request, as method and path.
        operation: String,
        /// The cause.
        source: hyper::Error,
    },
    /// The upgraded stream could not be taken over.
    #[error("unable to upgrade to tcp, received {status}")]
    Upgrade {
        /// The answer's status.
        status: u16,
    },
    /// The daemon answered with an error.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// The HTTP status.
        status: u16,
        /// The daemon's message.
        message: String,
    },
    /// The daemon's answer is not the JSON it should be.
    #[error("invalid answer from daemon to {operation}: {source}")]
    Answer {
        /// The request, as method and path.
        operation: String,
        /// The cause.
        source: serde_json::Error,
    },
}

impl Error {
    /// What the error means to the caller.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::BadHost { .. } | Self::FileFormat { .. } => Kind::Invalid,
            Self::Transport { .. } | Self::Rootless => Kind::Unimplemented,
            Self::NoContext { .. } => Kind::NotFound,
            Self::Denied { .. } => Kind::Denied,
            Self::Connect { .. } | Self::Start { .. } | Self::Exchange { .. } => Kind::Unavailable,
            Self::File { .. } | Self::Upgrade { .. } | Self::Answer { .. } => Kind::Internal,
            Self::Daemon { status, .. } => match status {
                404 => Kind::NotFound,
                409 => Kind::Conflict,
                400 => Kind::Invalid,
                401 | 403 => Kind::Denied,
                503 => Kind::Unavailable,
                501 => Kind::Unimplemented,
                _ => Kind::Internal,
            },
        }
    }

    /// The daemon's own message without any prefix, or the whole text for other errors.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Daemon { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    /// Whether the daemon answered that the named thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Daemon { status: 404, .. })
    }
}
