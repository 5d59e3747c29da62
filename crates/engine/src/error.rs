//! What can go wrong in the engine, in the words Docker's users know, each with its kind.

use std::io;
use std::path::PathBuf;

use fault::Kind;

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A refusal or a failure of the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No container has this name, id or id prefix.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// No exec has this id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// More than one id begins like this.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousPrefix(String),
    /// The container's name is taken.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The wanted name.
        name: String,
        /// The full id of the container that has it.
        holder: String,
    },
    /// The request is wrong; the text says how.
    #[error("{0}")]
    Invalid(String),
    /// The state of the thing stands against the request; the text says which.
    #[error("{0}")]
    Conflict(String),
    /// The thing is not there; the text names it.
    #[error("{0}")]
    NotFound(String),
    /// The caller may not do this; the text says why.
    #[error("{0}")]
    Denied(String),
    /// Not on this host or not now; the text says why.
    #[error("{0}")]
    Unavailable(String),
    /// Known, and not built; the text names it.
    #[error("{0}")]
    Unimplemented(String),
    /// The lifecycle refuses the step.
    #[error(transparent)]
    Refused(#[from] lifecycle::Refusal),
    /// The container or exec could not be started.
    #[error("{message}")]
    Start {
        /// 125, 126 or 127, for `docker run`'s exit code.
        code: i32,
        /// The chain of causes.
        message: String,
    },
    /// Another engine holds the data root.
    #[error(
        "the {what} root {root} is in use by another daemon (pid {pid}): stop it, or choose another --{what}-root"
    )]
    RootInUse {
        /// `data` or `exec`.
        what: &'static str,
        /// The folder.
        root: PathBuf,
        /// Who holds it, as its lock file says.
        pid: String,
    },
    /// A file of ours could not be read or written.
    #[error("{action} {path}")]
    File {
        /// `read`, `write`, `create`…
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A record of ours is not what we wrote.
    #[error("parse {path}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The spawner or a shim could not be spoken to.
    #[error("talk to the {peer} of container {id}")]
    Shim {
        /// `spawner` or `shim`.
        peer: &'static str,
        /// The container.
        id: String,
        /// Why.
        source: io::Error,
    },
    /// An image operation failed.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// A blob could not be read or written.
    #[error(transparent)]
    Content(#[from] content::Error),
    /// A snapshot operation failed.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    /// An archive was refused or could not be written.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A volume operation failed.
    #[error(transparent)]
    Volume(#[from] volume::Error),
    /// A subnet or address cannot be given.
    #[error(transparent)]
    Ipam(#[from] network::ipam::Error),
    /// A port of the host cannot be had.
    #[error("driver failed programming external connectivity on endpoint {name} ({endpoint})")]
    Ports {
        /// The container's name.
        name: String,
        /// The endpoint's id.
        endpoint: String,
        /// Why.
        source: Box<network::ports::Error>,
    },
    /// The kernel refused a link, an address or a route.
    #[error(transparent)]
    Link(#[from] network::link::Error),
    /// A network namespace could not be made or entered.
    #[error(transparent)]
    Namespace(#[from] network::namespace::Error),
    /// The kernel refused our rules.
    #[error(transparent)]
    Firewall(#[from] network::firewall::Error),
    /// A container's resolver could not be started.
    #[error(transparent)]
    Resolver(#[from] network::dns::Error),
    /// A control group operation failed.
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    /// A log could not be read, or its options are wrong.
    #[error(transparent)]
    Logs(#[from] logs::Error),
    /// The spawner could not fork a shim.
    #[error(transparent)]
    Spawner(#[from] shim::spawner::Error),
    /// A control socket could not be made.
    #[error(transparent)]
    ShimClient(#[from] shim::client::Error),
    /// The actor of the container is gone: it was removed meanwhile.
    #[error("No such container: {0}")]
    Gone(String),
    /// A worker panicked; the daemon goes on.
    #[error("internal error in {what}: this is a bug, the daemon's log says more")]
    Panicked {
        /// Which work.
        what: &'static str,
    },
}

impl Error {
    /// What it means to the caller.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSuchContainer(_) | Self::NoSuchExec(_) | Self::NotFound(_) | Self::Gone(_) => {
                Kind::NotFound
            }
            Self::AmbiguousPrefix(_) | Self::Invalid(_) => Kind::Invalid,
            Self::NameInUse { .. } | Self::Conflict(_) => Kind::Conflict,
            Self::Refused(refusal) => refusal.kind(),
            Self::Unimplemented(_) => Kind::Unimplemented,
            Self::Denied(_) => Kind::Denied,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Ipam(e) => e.kind(),
            Self::Ports { source, .. } => source.kind(),
            Self::Link(e) => e.kind(),
            Self::Namespace(e) => e.kind(),
            Self::Firewall(e) => e.kind(),
            Self::Resolver(e) => e.kind(),
            // Docker answers 400 for what the user can mend (no such command) and 500 for the rest.
            Self::Start {
                code: 126 | 127, ..
            } => Kind::Invalid,
            Self::Start { .. }
            | Self::File { .. }
            | Self::Record { .. }
            | Self::Shim { .. }
            | Self::Panicked { .. } => Kind::Internal,
            Self::RootInUse { .. } => Kind::Unavailable,
            Self::Image(e) => e.kind(),
            Self::Content(e) => e.kind(),
            Self::Snapshot(e) => e.kind(),
            Self::Archive(e) => e.kind(),
            Self::Volume(e) => e.kind(),
            Self::Cgroup(e) => e.kind(),
            Self::Logs(e) => e.kind(),
            Self::Spawner(e) => e.kind(),
            Self::ShimClient(e) => e.kind(),
        }
    }

    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File {
            action,
            path: path.into(),
            source,
        }
    }
}
