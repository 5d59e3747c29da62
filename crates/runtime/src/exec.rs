//! Making one more process in a running container.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use oci::runtime::{Process, Spec, State, Status};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use sys::namespace::Namespaces;
use sys::process::{Fork, fork};

use crate::channel::{self, ChildEnd, News, ParentEnd};
use crate::create::Born;
use crate::errno::Refusal;
use crate::error::Error;
use crate::init::{self, Birth, Joining};
use crate::listener::{self, Listener};
use crate::manner::Manner;
use crate::plan::namespaces::flag;
use crate::plan::{NamespacePlan, ProcessPlan};
use crate::stdio::Stdio;

/// What is executed in which container.
#[derive(Debug)]
pub struct Exec<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The container's first process.
    pub init: BorrowedFd<'a>,
    /// The container's spec: the kinds of namespaces that are joined, and what holds for every process.
    pub spec: &'a Spec,
    /// What is executed, as whom, with which rights.
    pub process: &'a Process,
    /// The container's bundle, for a seccomp agent.
    pub bundle: Option<&'a Path>,
    /// A system call filter, as for [`Create`](crate::Create).
    pub seccomp: Option<&'a [u8]>,
    /// The container's cgroup.
    pub cgroup: Option<&'a cgroup::Group>,
    /// Standard streams.
    pub stdio: Stdio,
    /// What is asked for beyond the spec.
    pub manner: Manner,
}

/// One more process of a container.
#[derive(Debug)]
pub struct ExecProcess {
    /// Its pid, a child of ours, in our pid namespace.
    pub pid: i32,
    /// The same as a descriptor.
    pub pidfd: OwnedFd,
    /// The terminal's master.
    pub console: Option<OwnedFd>,
}

/// Executes a program in a running container, with the container's namespaces and cgroup and the process's rights.
///
/// The process is the caller's child, and must be waited for also when the container ends: until all processes of its
/// pid namespace have been reaped, the container's first process does not end either.
///
/// # Errors
/// See [`Error`]; nothing is left behind.
pub fn exec(exec: Exec<'_>) -> Result<ExecProcess, Error> {
    let linux = exec
        .spec
        .linux
        .as_ref()
        .ok_or_else(|| Error::invalid("linux", "it is missing"))?;
    let namespaces = linux
        .namespaces
        .iter()
        .fold(Namespaces::empty(), |all, each| all | flag(each.kind));
    let user = namespaces.contains(Namespaces::USER);
    let listener = match listener::is_asked_by(exec.seccomp.unwrap_or_default()) {
        true => Listener::of(linux, state(&exec)?),
        false => None,
    };
    let (tasks, birth_group) = match exec.cgroup {
        Some(group) => {
            let entry = group.entry().map_err(|source| Error::Cgroup { source })?;
            (entry.tasks, entry.clone_into)
        }
        None => (Vec::new(), None),
    };
    let plan = Joining {
        id: exec.id,
        process: ProcessPlan::new(exec.process, linux, exec.seccomp, user)?,
        stdio: exec
            .stdio
            .above_standard()
            .map_err(Error::spawn("standard streams"))?,
        tasks,
        birth_group,
        init: exec.init,
        root: match NamespacePlan::owns_mounts_by(linux) {
            true => None,
            false => Some(root_of(exec.init)?),
        },
        namespaces,
        manner: exec.manner,
    };
    let (parent, child) = channel::pair().map_err(Error::spawn("make a channel"))?;
    let (pid, pidfd, parent) = bear(plan, child, parent)?;
    let mut born = Born {
        pid,
        pidfd,
        console: None,
        shared_root: None,
        channel: parent,
    };
    match born.advance_to_exec(listener) {
        Ok(()) => Ok(ExecProcess {
            pid: born.pid,
            pidfd: born.pidfd,
            console: born.console,
        }),
        Err(error) => Err(born.lose(error)),
    }
}

/// The root directory of a process. Only who shares its mounts with others needs it.
fn root_of(process: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let pid = pid_of(process)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{pid}/root"), flags, Mode::empty())
        .map_err(|_| Error::NotRunning)?;
    // It lives: so the number has been its own all the while.
    sys::process::send_signal(process, 0).map_err(|_| Error::NotRunning)?;
    Ok(root)
}

/// The container as a seccomp agent sees it.
fn state(exec: &Exec<'_>) -> Result<State, Error> {
    Ok(State {
        status: Status::Running,
        pid: Some(pid_of(exec.init)?),
        ..crate::hooks::state(exec.id, exec.spec, exec.bundle)
    })
}

/// The number of a process, as fdinfo tells it. See pidfd_open(2).
fn pid_of(process: BorrowedFd<'_>) -> Result<i32, Error> {
    let facts = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd()))
        .map_err(|error| Error::Spawn {
            what: "find the container's first process",
            source: Refusal::from(error),
        })?;
    facts
        .lines()
        .find_map(|line| line.strip_prefix("Pid:")?.trim().parse::<i32>().ok())
        .filter(|pid| *pid > 0)
        .ok_or(Error::NotRunning)
}

/// Has a helper enter the container and bear the process there, as our child.
fn bear(
    plan: Joining<'_>,
    mut child: ChildEnd,
    parent: ParentEnd,
) -> Result<(i32, OwnedFd, ParentEnd), Error> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::spawn("make a pipe"))?;
    let helper = match fork().map_err(|error| Error::Spawn {
        what: "fork",
        source: Refusal::from(error),
    })? {
        Fork::Child => {
            // With a copy of it we would never see that our parent has left.
            drop((parent, reader));
            init::enter_container(&plan, &mut child, &writer)
        }
        Fork::Parent { pidfd, .. } => pidfd,
    };
    // Only the new process holds its end of the channel now: should it die, we hear of it.
    drop((plan, child, writer));
    let mut bytes = [0; Birth::LEN];
    let len = rustix::io::retry_on_intr(|| rustix::io::read(&reader, &mut bytes))
        .map_err(Error::spawn("listen to the helper"))?;
    let _ =
        rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(helper.as_fd()), WaitIdOptions::EXITED));
    if len != bytes.len() {
        return Err(match parent.next() {
            Ok(News::Failed(report)) => report.into_error(),
            _ => Error::Lost,
        });
    }
    let pid = match Birth::from_bytes(bytes) {
        Birth::Born(pid) => pid,
        Birth::NotJoined(errno) => return Err(refused("join the container", errno, Errno::SRCH)),
        // A pid namespace whose first process has ended takes no more processes.
        Birth::NotCloned(errno) => return Err(refused("clone the process", errno, Errno::NOMEM)),
    };
    let known = Pid::from_raw(pid).ok_or(Error::Lost)?;
    // It is our child and nobody has waited for it: the pid is still its own.
    let pidfd =
        pidfd_open(known, PidfdFlags::empty()).map_err(Error::spawn("open the new process"))?;
    Ok((pid, pidfd, parent))
}

fn refused(what: &'static str, errno: i32, of_the_ended: Errno) -> Error {
    let errno = Errno::from_raw_os_error(errno);
    if errno == of_the_ended {
        return Error::NotRunning;
    }
    Error::Spawn {
        what,
        source: Refusal(errno),
    }
}
