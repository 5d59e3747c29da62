//! Everything that a command can fail with, in the words that callers of runc look for.

use std::io;
use std::path::PathBuf;

use crate::record::Standing;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("flag provided but not defined: -{name}")]
    UnknownFlag { name: String },
    #[error("flag needs an argument: -{name}")]
    NoValue { name: String },
    #[error("invalid value {value:?} for flag -{flag}")]
    Value { flag: String, value: String },
    #[error("{command}: {expected}")]
    Arguments {
        command: &'static str,
        expected: &'static str,
    },
    #[error("No help topic for '{name}'")]
    UnknownCommand { name: String },
    #[error("an argument is not valid UTF-8: {word:?}")]
    NotText { word: std::ffi::OsString },
    #[error("container ID cannot be empty")]
    NoId,
    #[error("invalid container ID format: {id:?}")]
    BadId { id: String },
    #[error("container does not exist")]
    NotFound,
    #[error("container with given ID already exists")]
    Exists,
    #[error("container not running")]
    NotRunning,
    #[error("the container was made without a cgroup")]
    NoGroup,
    #[error("not a regular expression: {pattern:?}")]
    Pattern {
        pattern: String,
        source: Box<regex_automata::dfa::dense::BuildError>,
    },
    #[error("container not paused")]
    NotPaused,
    #[error("cannot delete container {id} that is not stopped: {standing}")]
    NotStopped { id: String, standing: Standing },
    #[error("cannot start a container that has stopped")]
    StartStopped,
    #[error("cannot start an already running container")]
    StartRunning,
    #[error("cannot start a container in the {standing} state")]
    StartOther { standing: Standing },
    #[error("cannot exec in a stopped container")]
    ExecStopped,
    #[error("cannot exec in a paused container (use --ignore-paused to override)")]
    ExecPaused,
    #[error("container did not end after SIGKILL")]
    Lingers,
    #[error("unknown signal {word:?}")]
    Signal { word: String },
    #[error("signal the container")]
    Kill { source: io::Error },
    #[error("JSON specification file {} not found", path.display())]
    NoSpec { path: PathBuf },
    #[error("File {name} exists. Remove it first")]
    SpecExists { name: String },
    #[error("invalid {member}: {reason}")]
    Spec {
        member: &'static str,
        reason: String,
    },
    #[error("{what} {}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("understand {}", path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("cannot allocate tty if the runtime will detach without setting console socket")]
    NoConsoleSocket,
    #[error("cannot use console socket if the runtime will not detach or allocate tty")]
    UselessConsoleSocket,
    #[error("please check that preserved-fd {number} is present")]
    NoPreserved { number: u32 },
    #[error("{what}")]
    Streams {
        what: &'static str,
        source: io::Error,
    },
    #[error("detach the root {}", path.display())]
    Detach {
        path: PathBuf,
        source: runtime::Refusal,
    },
    #[error("run from a sealed copy of the program")]
    Seal { source: io::Error },
    #[error("unable to start container process")]
    Start { source: runtime::Error },
    #[error("run hooks")]
    Hooks { source: runtime::Error },
    #[error("unable to apply cgroup configuration")]
    Cgroup { source: cgroup::Error },
    #[error("error setting seccomp")]
    Seccomp { source: runtime::seccomp::Error },
    #[error("seccomp filter of the container")]
    Filter { source: runtime::seccomp::Error },
    #[error(
        "systemd cgroup flag passed, but systemd support for managing cgroups is not available"
    )]
    Systemd,
    #[error("criu is not installed: {action} needs it; nothing has changed")]
    NoCriu { action: &'static str },
    #[error("criu {action} failed: {reason}")]
    Criu {
        action: &'static str,
        reason: String,
    },
    #[error("write to standard output")]
    Output { source: io::Error },
    #[error("{what}: {source}")]
    Failed {
        what: &'static str,
        source: Box<Error>,
    },
    #[error("exec failed: {source}")]
    Exec { source: Box<Error> },
}

impl Error {
    /// A failed access to a file, by what was tried.
    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    /// The whole chain on one line.
    pub(crate) fn line(&self) -> String {
        match self {
            // Their Display has the source already, with its own chain.
            Self::Failed { what, source } => format!("{what}: {}", source.line()),
            Self::Exec { source } => format!("exec failed: {}", source.line()),
            other => fault::chain(other),
        }
    }

    /// The exit code that callers of runc expect.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Exec { .. } => 255,
            _ => 1,
        }
    }
}
