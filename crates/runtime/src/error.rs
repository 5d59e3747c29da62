//! Everything that can keep a process from being made.

use std::path::PathBuf;

use crate::errno::Refusal;

/// Why a container or an exec could not be made or started. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The spec asks for something that does not make sense.
    #[error("invalid {member}: {reason}")]
    Invalid {
        /// Which member of the spec.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The spec asks for something that is not built.
    #[error("{member} is not supported")]
    Unsupported {
        /// Which member of the spec.
        member: &'static str,
    },
    /// The root file system could not be put together.
    #[error("error preparing rootfs: {what}")]
    Rootfs {
        /// Which step, on what.
        what: String,
        /// The kernel's answer.
        source: Refusal,
    },
    /// A mount could not be prepared.
    #[error("error mounting \"{from}\" to rootfs at \"{to}\": {what}")]
    Mount {
        /// The mount's source.
        from: String,
        /// Its destination, in the container.
        to: PathBuf,
        /// Which step, on what.
        what: String,
        /// The kernel's answer.
        source: Refusal,
    },
    /// A network device of the host could not be made the container's.
    #[error("move network device {name:?} into the container: {what}")]
    NetDevice {
        /// Its name on the host.
        name: String,
        /// Which step.
        what: &'static str,
        /// The kernel's answer.
        source: Refusal,
    },
    /// A namespace to be joined could not be opened.
    #[error("open namespace {}", path.display())]
    Namespace {
        /// Where it should be.
        path: PathBuf,
        /// The kernel's answer.
        source: Refusal,
    },
    /// The cgroup could not be opened for the new process.
    #[error("enter cgroup")]
    Cgroup {
        /// Why.
        #[source]
        source: cgroup::Error,
    },
    /// The process could not be made, or its parent's part of the work failed.
    #[error("{what}")]
    Spawn {
        /// Which step.
        what: &'static str,
        /// The kernel's answer.
        source: Refusal,
    },
    /// A step inside the new process failed.
    #[error("error during container init: {step}: {what}")]
    Init {
        /// The step's name.
        step: String,
        /// What it did, on what, and the kernel's answer.
        what: String,
    },
    /// The program could not be executed, or its working folder entered.
    #[error("{message}")]
    Exec {
        /// As Docker's users know it: `exec: "x": executable file not found in $PATH`.
        message: String,
        /// 127 not found, 126 not executable.
        code: i32,
    },
    /// A hook failed.
    #[error("error running {point} hook #{index}: {reason}")]
    Hook {
        /// `prestart`, `createRuntime` and so on.
        point: &'static str,
        /// Its place in the list, from 0.
        index: usize,
        /// What happened.
        reason: String,
    },
    /// The process ended before it could say why, most likely killed for want of memory.
    #[error("container init ended before the program was executed (memory limit too low?)")]
    Lost,
    /// The seccomp agent could not be told.
    #[error("send the seccomp state to the listener {}", path.display())]
    Listener {
        /// Its socket.
        path: PathBuf,
        /// The kernel's answer.
        source: Refusal,
    },
    /// Nobody waits for a start: the container has been started, or has ended.
    #[error("the container does not wait for its start")]
    NotWaiting,
    /// The container to join does not run.
    #[error("cannot exec in a stopped container")]
    NotRunning,
}

impl Error {
    /// What this error means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::Invalid { .. } | Self::Exec { .. } => fault::Kind::Invalid,
            Self::Unsupported { .. } => fault::Kind::Unimplemented,
            Self::Cgroup { source } => source.kind(),
            Self::Mount { source, .. } if source.0 == rustix::io::Errno::NOENT => {
                fault::Kind::Invalid
            }
            Self::NotRunning | Self::NotWaiting => fault::Kind::Conflict,
            _ => fault::Kind::Internal,
        }
    }

    /// The exit code by which command lines tell of it: 127 not found, 126 not executable, 125 anything else.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Exec { code, .. } => *code,
            _ => 125,
        }
    }

    pub(crate) fn invalid(member: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            member: member.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn spawn(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| Self::Spawn {
            what,
            source: Refusal(errno),
        }
    }
}
