//! Making one more process in a running container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci::runtime::{Process, Spec};
use sys::namespace::Namespaces;
use sys::process::{Clone, Fork, clone3};

use crate::channel;
use crate::create::{Born, in_pid_namespace};
use crate::errno::Refusal;
use crate::error::Error;
use crate::init::{self, Joining};
use crate::manner::Manner;
use crate::plan::ProcessPlan;
use crate::plan::namespaces::flag;
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
        init: exec.init,
        // The pid namespace is entered by being born in it.
        namespaces: namespaces - Namespaces::PID,
        manner: exec.manner,
    };
    let (parent, mut child) = channel::pair().map_err(Error::spawn("make a channel"))?;
    let mut parent = Some(parent);
    let how = Clone {
        cgroup: birth_group.as_ref().map(AsFd::as_fd),
        ..Clone::default()
    };
    let joins_pid = namespaces.contains(Namespaces::PID).then_some(exec.init);
    let (pid, pidfd) = in_pid_namespace(joins_pid, Namespaces::PID, || {
        match clone3(&how).map_err(clone_failed)? {
            Fork::Child => {
                drop(parent.take());
                init::join_container(&plan, &mut child)
            }
            Fork::Parent { pid, pidfd } => Ok((pid, pidfd)),
        }
    })?;
    drop((plan, child));
    let mut born = Born {
        pid,
        pidfd,
        console: None,
        channel: parent.ok_or(Error::Lost)?,
    };
    match born.advance_to_exec() {
        Ok(()) => Ok(ExecProcess {
            pid: born.pid,
            pidfd: born.pidfd,
            console: born.console,
        }),
        Err(error) => Err(born.lose(error)),
    }
}

/// A pid namespace whose first process has ended takes no more processes.
fn clone_failed(error: std::io::Error) -> Error {
    if error.raw_os_error() == Some(rustix::io::Errno::NOMEM.raw_os_error()) {
        return Error::NotRunning;
    }
    Error::Spawn {
        what: "clone the process",
        source: Refusal::from(error),
    }
}
