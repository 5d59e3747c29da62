//! Who answers for the system calls that a filter asks about: a socket of somebody else's, the seccomp agent.
//!
//! ```text
//! child                                   parent                                     agent
//! installs the filter, which gives a
//! descriptor; writes its number    ──►    takes the descriptor out of the child,
//!                                         connects, sends it with the state    ──►   answers from now on
//! executes the program             ◄──    Listening
//! ```
//! Between the filter and the word that somebody listens the child writes and reads, no more: a filter that asks about
//! `write` is refused, and a `read` is asked about when the agent is there.
//!
//! Spec: OCI runtime config-linux, "Seccomp" (`listenerPath`) and "The Container Process State".

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci::runtime::{ContainerProcessState, Linux, State};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with,
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::errno::Refusal;
use crate::error::Error;

/// The name of the descriptor in the state's list.
const DESCRIPTOR: &str = "seccompFd";

/// `BPF_RET | BPF_K` as the kernel numbers it.
const RETURN: [u8; 2] = 6u16.to_ne_bytes();

/// Where a container's notifications go.
#[derive(Debug, Clone)]
pub struct Listener {
    path: PathBuf,
    metadata: String,
    state: State,
}

impl Listener {
    /// The listener of a spec, for a container in this state; `None` when the spec has none.
    #[must_use]
    pub fn of(linux: &Linux, state: State) -> Option<Self> {
        let profile = linux.seccomp.as_ref()?;
        (!profile.listener_path.is_empty()).then(|| Self {
            path: profile.listener_path.clone().into(),
            metadata: profile.listener_metadata.clone(),
            state,
        })
    }

    /// Takes descriptor `number` out of a process of the container and sends it, with the state, to who listens. The
    /// container's first process is the one meant when its state has no pid yet.
    pub(crate) fn send(mut self, pid: i32, number: i32) -> Result<(), Error> {
        self.state.pid.get_or_insert(pid);
        let notifications =
            take(pid, number).map_err(Error::spawn("take the filter's listener"))?;
        let message = serde_json::to_vec(&ContainerProcessState {
            oci_version: oci::runtime::VERSION.to_owned(),
            fds: vec![DESCRIPTOR.to_owned()],
            pid,
            metadata: self.metadata,
            state: self.state,
        });
        message
            .map_err(|_| Errno::INVAL)
            .and_then(|message| send(&self.path, &message, &notifications))
            .map_err(|errno| Error::Listener {
                path: self.path,
                source: Refusal(errno),
            })
    }

    /// The container's first process, if it is known.
    pub(crate) fn init(&self) -> Option<i32> {
        self.state.pid
    }
}

/// Whether a compiled filter asks somebody: one of its instructions returns that verdict. See seccomp_unotify(2).
pub(crate) fn is_asked_by(filter: &[u8]) -> bool {
    let verdict = crate::seccomp::RET_USER_NOTIF.to_ne_bytes();
    filter
        .chunks_exact(sys::seccomp::INSTRUCTION_BYTES)
        .any(|instruction| instruction[..2] == RETURN && instruction[4..] == verdict)
}

fn take(pid: i32, number: i32) -> Result<OwnedFd, Errno> {
    let process = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    let process = pidfd_open(process, PidfdFlags::empty())?;
    pidfd_getfd(&process, number, PidfdGetfdFlags::empty())
}

fn send(path: &Path, message: &[u8], notifications: &OwnedFd) -> Result<(), Errno> {
    let socket = connected(path)?;
    let fds = [notifications.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let first = [IoSlice::new(message)];
    let mut sent = sendmsg(&socket, &first, &mut control, SendFlags::NOSIGNAL)?;
    while sent < message.len() {
        sent += rustix::net::send(&socket, &message[sent..], SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Connects through a descriptor of the folder: an address holds 108 bytes, a path more.
fn connected(path: &Path) -> Result<OwnedFd, Errno> {
    let (folder, name) = path.parent().zip(path.file_name()).ok_or(Errno::NOENT)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let short = Path::new("/proc/self/fd")
        .join(folder.as_raw_fd().to_string())
        .join(name);
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    connect(&socket, &SocketAddrUnix::new(short)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use oci::runtime::{LinuxSeccomp, SeccompAction, SeccompSyscall};

    use super::*;

    #[test]
    fn a_filter_that_asks_is_told_from_one_that_does_not() {
        let asks = |action| {
            let profile = LinuxSeccomp {
                default_action: SeccompAction::Allow,
                syscalls: vec![SeccompSyscall {
                    names: vec!["mkdir".to_owned()],
                    action,
                    ..SeccompSyscall::default()
                }],
                ..LinuxSeccomp::default()
            };
            let program = crate::seccomp::compile(&profile).expect("a plain profile");
            assert_eq!(is_asked_by(&program.filter), program.wants_listener());
            program.wants_listener()
        };
        assert!(asks(SeccompAction::Notify));
        assert!(!asks(SeccompAction::Errno));
    }
}
