//! What can go wrong with a control group, in words that name controller, file, value and reason.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

use crate::hierarchy::Controller;

/// The result of an operation on control groups.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed operation on control groups.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The list of mounts could not be read.
    #[error("read {}", path.display())]
    Mounts {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No cgroup file system is mounted.
    #[error("no cgroup file system is mounted (mount cgroup2 on /sys/fs/cgroup)")]
    NoHierarchy,
    /// The path is no path of a cgroup.
    #[error(
        "invalid cgroup path {path:?}: it must be absolute, without empty, \".\" and \"..\" components"
    )]
    Path {
        /// The path as given.
        path: String,
    },
    /// No hierarchy has a group of this path.
    #[error("no cgroup {path}")]
    NotFound {
        /// The group.
        path: String,
    },
    /// A folder of the group could not be made.
    #[error("create cgroup {path} in {hierarchy}")]
    Create {
        /// The group.
        path: String,
        /// The hierarchy, by its controllers or name.
        hierarchy: String,
        /// Why.
        source: io::Error,
    },
    /// A folder of the group could not be opened.
    #[error("open cgroup {path} in {hierarchy}")]
    Open {
        /// The group.
        path: String,
        /// The hierarchy, by its controllers or name.
        hierarchy: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused a value.
    #[error("{controller} controller of cgroup {group}: cannot set {file} to {value:?}")]
    Write {
        /// The group.
        group: String,
        /// The controller.
        controller: Controller,
        /// The file.
        file: String,
        /// The value.
        value: String,
        /// Why.
        source: Refusal,
    },
    /// A file of the group could not be read.
    #[error("{controller} controller of cgroup {group}: read {file}")]
    Read {
        /// The group.
        group: String,
        /// The controller.
        controller: Controller,
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel would not tell of the group's events.
    #[error("watch {file} of cgroup {group}")]
    Notify {
        /// The group.
        group: String,
        /// The file.
        file: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A limit was asked for whose controller this machine does not have.
    #[error(
        "cannot set {limit}: the {controller} controller is not available on this machine (see /proc/cgroups and the kernel's configuration)"
    )]
    NoController {
        /// What was asked for, by its name in the runtime spec.
        limit: &'static str,
        /// What is missing.
        controller: Controller,
    },
    /// A limit was asked for which this version of cgroups does not know.
    #[error("cannot set {limit}: {reason}")]
    Unsupported {
        /// What was asked for, by its name in the runtime spec.
        limit: &'static str,
        /// Why it cannot be.
        reason: &'static str,
    },
    /// A key of `unified` is not the name of a file of a cgroup.
    #[error("invalid file name {file:?} in linux.resources.unified")]
    UnifiedKey {
        /// The key.
        file: String,
    },
    /// Classes of caches or bandwidth are asked for, and there are none.
    #[error(
        "intelRdt is specified in config, but Intel RDT is not supported or enabled: no resctrl file system is mounted"
    )]
    NoResctrl,
    /// A class of caches and bandwidth is not as it is asked for.
    #[error("resctrl class {class:?}: {reason}")]
    Class {
        /// The class, or the line of its schemata.
        class: String,
        /// Why not.
        reason: String,
    },
    /// A file of the resctrl file system could not be used.
    #[error("{what} {}", path.display())]
    Resctrl {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Groups are to be systemd's, and it does not run this machine.
    #[error("systemd does not run this machine (no /run/systemd/system)")]
    NoSystemd,
    /// systemd did not do what it was asked.
    #[error("{what} {unit} by systemd")]
    Systemd {
        /// What was asked.
        what: &'static str,
        /// Of which unit.
        unit: String,
        /// Why not.
        source: crate::systemd::Trouble,
    },
    /// A path names no unit of systemd.
    #[error("invalid cgroup path {path:?}: {reason}")]
    Unit {
        /// The path.
        path: String,
        /// Why not.
        reason: &'static str,
    },
    /// An annotation is no property of a unit.
    #[error("invalid value {value:?} of the annotation org.systemd.property.{name}")]
    Property {
        /// The property.
        name: String,
        /// Its value.
        value: String,
    },
    /// A device rule cannot be understood.
    #[error("invalid device rule {rule:?}")]
    DeviceRule {
        /// The rule, in the form `allow c 1:3 rwm`.
        rule: String,
    },
    /// The device program was refused.
    #[error("{step} the device filter of cgroup {group}")]
    DeviceProgram {
        /// The group.
        group: String,
        /// `load`, `attach` or `replace`.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Not every process stopped in time.
    #[error("cgroup {group} did not freeze within {} ms", waited.as_millis())]
    NotFrozen {
        /// The group.
        group: String,
        /// How long we waited.
        waited: Duration,
    },
    /// A process could not be sent a signal.
    #[error("kill process {pid} of cgroup {group}")]
    Kill {
        /// The group.
        group: String,
        /// The process.
        pid: i32,
        /// Why.
        source: io::Error,
    },
    /// The group could not be removed.
    #[error("remove cgroup {group} from {hierarchy} (processes in it: {pids:?})")]
    Remove {
        /// The group.
        group: String,
        /// The hierarchy, by its controllers or name.
        hierarchy: String,
        /// Who is still in it.
        pids: Vec<i32>,
        /// Why.
        source: io::Error,
    },
    /// A file of /proc could not be read or understood.
    #[error("read {path}")]
    Proc {
        /// The file.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What this error means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Error::NotFound { .. } => fault::Kind::NotFound,
            Error::Path { .. }
            | Error::NoController { .. }
            | Error::Unsupported { .. }
            | Error::UnifiedKey { .. }
            | Error::NoResctrl
            | Error::Class { .. }
            | Error::Unit { .. }
            | Error::Property { .. }
            | Error::DeviceRule { .. } => fault::Kind::Invalid,
            Error::Write { source, .. } => match source.errno {
                Errno::INVAL | Errno::RANGE | Errno::NOENT | Errno::NODEV | Errno::NXIO => {
                    fault::Kind::Invalid
                }
                Errno::BUSY => fault::Kind::Conflict,
                Errno::PERM | Errno::ACCESS | Errno::ROFS => fault::Kind::Denied,
                _ => fault::Kind::Internal,
            },
            Error::NotFrozen { .. } | Error::NoHierarchy | Error::NoSystemd => {
                fault::Kind::Unavailable
            }
            _ => fault::Kind::Internal,
        }
    }
}

/// The kernel's answer to a value, with what it means for this file.
#[derive(Debug)]
pub struct Refusal {
    /// The answer.
    pub errno: Errno,
    /// What it means here, if we know better than `strerror`.
    pub meaning: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(file: &str, errno: Errno) -> Self {
        Refusal {
            errno,
            meaning: meaning(file, errno),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.meaning {
            Some(meaning) => write!(f, "{meaning}: {}", io::Error::from(self.errno)),
            None => write!(f, "{}", io::Error::from(self.errno)),
        }
    }
}

impl std::error::Error for Refusal {}

/// What an errno means when it comes from this file.
fn meaning(file: &str, errno: Errno) -> Option<&'static str> {
    let memory = file.starts_with("memory.");
    Some(match errno {
        Errno::BUSY if memory => {
            "the processes in it use more memory than that, and no more can be reclaimed"
        }
        Errno::INVAL if file.starts_with("memory.memsw.") => {
            "memory plus swap may not be less than memory"
        }
        Errno::INVAL if file == "memory.limit_in_bytes" => {
            "memory may not be more than memory plus swap"
        }
        Errno::INVAL if file.starts_with("cpuset.") => {
            "the machine or the parent cgroup has no such CPUs or memory nodes"
        }
        Errno::ACCESS if file.starts_with("cpuset.") => {
            "the parent cgroup does not have these CPUs or memory nodes"
        }
        Errno::NOSPC if file.starts_with("cpuset.") => {
            "the set would become empty for processes in it"
        }
        Errno::INVAL if file.starts_with("cpu.rt_") => {
            "the parent cgroup has no such real-time budget"
        }
        Errno::INVAL if file.starts_with("cpu.") => "the value is out of the kernel's range",
        Errno::NODEV | Errno::NXIO => "there is no such block device",
        Errno::NOENT => "this kernel does not have the file",
        Errno::PERM | Errno::ACCESS => "the kernel does not allow it",
        Errno::ROFS => "the cgroup file system is mounted read-only",
        Errno::OPNOTSUPP => "this kernel does not support it",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_controller_file_value_and_reason() {
        let error = Error::Write {
            group: "/estiva/x".into(),
            controller: Controller::Memory,
            file: "memory.limit_in_bytes".into(),
            value: "4096".into(),
            source: Refusal::new("memory.limit_in_bytes", Errno::BUSY),
        };
        assert_eq!(
            fault::chain(&error),
            "memory controller of cgroup /estiva/x: cannot set memory.limit_in_bytes to \"4096\": the processes in it \
             use more memory than that, and no more can be reclaimed: Device or resource busy (os error 16)"
        );
        assert_eq!(error.kind(), fault::Kind::Conflict);
    }
}
