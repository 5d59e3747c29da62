//! What faces ask of containers: plain values, already parsed.

use std::os::fd::OwnedFd;

use api::container::{ContainerConfig, HostConfig};
use api::network::NetworkingConfig;

/// A container to create.
#[derive(Debug, Clone, Default)]
pub struct NewContainer {
    /// The wanted name, without a slash; `None` picks one.
    pub name: Option<String>,
    /// What to run.
    pub config: ContainerConfig,
    /// How the host shall hold it.
    pub host: HostConfig,
    /// Networks to join.
    pub networking: NetworkingConfig,
    /// `os/arch[/variant]`, when asked for.
    pub platform: Option<String>,
}

/// A created container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its full id.
    pub id: String,
    /// What was not done as asked, or will surprise.
    pub warnings: Vec<String>,
}

/// Outcome of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It runs now.
    Started,
    /// It ran already.
    AlreadyStarted,
}

/// Outcome of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It stands now.
    Stopped,
    /// It stood already.
    AlreadyStopped,
}

/// How to stop.
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    /// The signal to begin with, by name or number; `None` is the container's own.
    pub signal: Option<String>,
    /// Seconds until SIGKILL; negative waits for ever; `None` is the container's own.
    pub timeout_secs: Option<i64>,
}

/// How to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// Remove its anonymous volumes too.
    pub volumes: bool,
    /// Remove a link, not a container (refused: links come with networks).
    pub link: bool,
}

/// What a wait waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// The container does not run; at once if so.
    #[default]
    NotRunning,
    /// The next exit.
    NextExit,
    /// The container is removed.
    Removed,
}

/// What a wait brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitOutcome {
    /// The exit code.
    pub code: i64,
    /// Why it could not be started or removed, if so.
    pub error: Option<String>,
}

/// A client that joins a container's streams.
#[derive(Debug)]
pub struct Attach {
    /// The client's raw stream; the shim serves it, the daemon lets go of it.
    pub stream: OwnedFd,
    /// Input that came before the stream was handed over.
    pub early_input: Vec<u8>,
    /// Forward input.
    pub stdin: bool,
    /// Send stdout.
    pub stdout: bool,
    /// Send stderr.
    pub stderr: bool,
    /// First replay the log.
    pub logs: bool,
    /// Stay for what comes.
    pub follow: bool,
    /// As `--detach-keys`; `None` is `ctrl-p,ctrl-q`.
    pub detach_keys: Option<String>,
}

/// Which log lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogQuery {
    /// Lines of stdout.
    pub stdout: bool,
    /// Lines of stderr.
    pub stderr: bool,
    /// Not before, in nanoseconds since the epoch.
    pub since_unix_nanos: Option<i64>,
    /// Not after, in nanoseconds since the epoch.
    pub until_unix_nanos: Option<i64>,
    /// Only the last so many lines.
    pub tail: Option<u64>,
    /// Stay for what comes, until the container ends.
    pub follow: bool,
}

/// Limits and policy to change; `None` leaves as it is.
pub type Update = api::container::UpdateRequest;

/// Which containers a list shows.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Stopped ones too.
    pub all: bool,
    /// Only the newest so many (implies `all`).
    pub limit: Option<usize>,
    /// With sizes.
    pub size: bool,
    /// Docker's filters.
    pub filters: ids::Filters,
}
