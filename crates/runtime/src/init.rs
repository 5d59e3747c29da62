//! The child's life until it becomes the program: a flat list of steps.
//!
//! No thread exists here, and nobody sees what we print: an error goes to the parent through the channel, then we end.

mod cgroups;
mod clock;
mod console;
mod copyup;
mod devices;
mod host;
mod kernel_parameters;
mod labels;
mod masks;
mod mounts;
mod namespaces;
mod oom;
mod program;
mod reaper;
mod rights;
mod root;
mod schedule;
mod session;
mod streams;

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use sys::namespace::Namespaces;
use sys::process::{Clone, Fork, clone3, exit_now};

use crate::channel::{ChildEnd, Word};
use crate::failure::{Failure, Report, Step, Tried};
use crate::inroot::Root;
use crate::manner::Manner;
use crate::plan::{Plan, ProcessPlan, StartAt};
use crate::stdio::Stdio;

/// The exit status of a child that could not become the program; nobody but our parent sees it.
const FAILED: i32 = 125;

/// Which step failed.
type Steps<T> = Result<T, Report>;

fn step<T>(name: &'static str, run: impl FnOnce() -> Step<T>) -> Steps<T> {
    run().map_err(|failure| Report::new(name, failure))
}

/// Runs the child's steps and never returns, not even by a panic: above us on the stack is a copy of our parent.
fn end(channel: &mut ChildEnd, steps: impl FnOnce(&mut ChildEnd) -> Steps<Infallible>) -> ! {
    match catch_unwind(AssertUnwindSafe(|| steps(channel))) {
        Ok(Ok(never)) => match never {},
        Ok(Err(report)) => channel.fail(report),
        Err(_) => channel.fail(Report::new("init", Failure::new("it panicked"))),
    }
    exit_now(FAILED)
}

/// Becomes the container's first process.
pub(crate) fn become_container(plan: Plan<'_>, channel: &mut ChildEnd) -> ! {
    end(channel, |channel| container(plan, channel))
}

/// Order is the contract: each step may rely on those above it.
fn container(mut plan: Plan<'_>, channel: &mut ChildEnd) -> Steps<Infallible> {
    step("session", session::begin)?;
    if plan.awaits_parent {
        step("parent's part", || channel.expect(Word::Given))?; // before anything that needs an id
    }
    step("oom score", || oom::set(plan.process.oom_score_adj))?; // while the host's /proc is there
    step("cgroups", || cgroups::enter(&plan.tasks))?; // before a cgroup namespace takes its root from them
    step("namespaces", || namespaces::join(&plan.namespaces))?;
    step("clocks", || clock::set(&plan.time_offsets))?;
    if plan.namespaces.has_user() {
        step("user namespace", rights::become_root)?; // what is made from here on belongs to the container's root
    }
    let labels = step("labels", || labels::open(&plan.process))?; // through the host's /proc
    step("host name", || host::name(plan.hostname, plan.domainname))?;
    if plan.namespaces.new.contains(Namespaces::NETWORK) {
        step("loopback", host::bring_loopback_up)?;
    }
    step("kernel parameters", || {
        kernel_parameters::write(&plan.sysctl)
    })?; // through the host's /proc, which nobody inside can bend

    step("mount namespace", || {
        namespaces::enter_mounts(&plan.namespaces)
    })?;
    let root = step("root", || root::attach(&plan.root))?;
    for mount in std::mem::take(&mut plan.mounts) {
        step("mount", || mounts::mount(&root, mount))?;
    }
    if !plan.devices.keeps_dev {
        step("devices", || devices::make_links(&root))?;
    }
    step("devices", || devices::make(&root, &plan.devices))?;
    if matches!(plan.stdio, Stdio::Terminal) {
        step("console", || {
            let terminal = console::open(&root, plan.process.console_size)?;
            console::bind(&root, &terminal)?;
            console::hand_over(terminal, channel)
        })?;
    }
    step("working folder", || {
        root::make_folder(&root, plan.process.cwd)
    })?;
    if plan.has_runtime_hooks {
        step("runtime hooks", || channel.ask_for_hooks())?; // spec: namespaces and mounts are there, before pivot
    }
    for (at, hook) in plan.create_container.iter().enumerate() {
        step("createContainer hooks", || {
            crate::hooks::run_inside("createContainer", at, hook, &plan.state)
        })?;
    }
    step("masked paths", || masks::hide(&root, plan.masked))?;
    step("read-only paths", || {
        masks::make_readonly(&root, plan.readonly)
    })?;
    step("read-only root", || root::seal(&root, &plan))?; // after the last thing that is made in it
    step("pivot root", || root::enter(&root, &plan.root, plan.manner))?;

    match &plan.start {
        StartAt::Once => {}
        StartAt::Word => step("start", || channel.await_start())?,
        StartAt::Gate(gate) => {
            step("program", || program::require(&plan.process))?; // callers expect to hear of it at create
            step("start", || {
                channel.say_ready()?;
                *channel = gate.await_start()?;
                Ok(())
            })?;
        }
    }
    for (at, hook) in plan.start_container.iter().enumerate() {
        step("startContainer hooks", || {
            crate::hooks::run_inside("startContainer", at, hook, &plan.state)
        })?;
    }
    if !plan.manner.keeps_keyring {
        step("keyring", || session::join_keyring(plan.id))?;
    }
    confine(
        &plan.process,
        &plan.stdio,
        labels,
        plan.init_reaper,
        plan.manner,
        channel,
    )
}

/// Joins namespaces that there is no way back from, bears the container's first process as a child of our parent, tells
/// its pid, and ends.
pub(crate) fn stand_in(
    mut plan: Plan<'_>,
    how: &Clone<'_>,
    channel: &mut ChildEnd,
    pid_to: &OwnedFd,
) -> ! {
    end(channel, |channel| {
        step("namespaces", || {
            namespaces::join_for_good(&mut plan.namespaces)
        })?;
        let sibling = Clone {
            namespaces: how.namespaces,
            cgroup: how.cgroup,
            sibling: true,
        };
        match step("clone", || clone3(&sibling).tried(|| "clone".to_owned()))? {
            Fork::Child => become_container(plan, channel),
            Fork::Parent { pid, .. } => {
                step("clone", || {
                    rustix::io::write(pid_to, &pid.to_ne_bytes())
                        .tried(|| "tell the pid".to_owned())
                })?;
                exit_now(0)
            }
        }
    })
}

/// What one more process of a container does.
#[derive(Debug)]
pub(crate) struct Joining<'a> {
    pub(crate) id: &'a str,
    pub(crate) process: ProcessPlan<'a>,
    pub(crate) stdio: Stdio,
    pub(crate) tasks: Vec<OwnedFd>,
    /// The cgroup v2 folder that it is born in.
    pub(crate) birth_group: Option<OwnedFd>,
    pub(crate) init: BorrowedFd<'a>,
    /// The container's root, when it is not that of a mount namespace.
    pub(crate) root: Option<OwnedFd>,
    pub(crate) namespaces: Namespaces,
    pub(crate) manner: Manner,
}

/// Why no process was born in the container, or its pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Birth {
    Born(i32),
    /// The errno of joining the namespaces.
    NotJoined(i32),
    /// The errno of the clone.
    NotCloned(i32),
}

impl Birth {
    pub(crate) const LEN: usize = 5;

    fn to_bytes(self) -> [u8; Self::LEN] {
        let (kind, number) = match self {
            Self::Born(pid) => (0, pid),
            Self::NotJoined(errno) => (1, errno),
            Self::NotCloned(errno) => (2, errno),
        };
        let [a, b, c, d] = number.to_ne_bytes();
        [kind, a, b, c, d]
    }

    pub(crate) fn from_bytes([kind, a, b, c, d]: [u8; Self::LEN]) -> Self {
        let number = i32::from_ne_bytes([a, b, c, d]);
        match kind {
            0 => Self::Born(number),
            1 => Self::NotJoined(number),
            _ => Self::NotCloned(number),
        }
    }
}

/// Enters the container from outside its pid namespace, and bears the new process there as a child of our parent. So
/// nobody in the container ever sees a process that still has the host's root or a descriptor of our parent's, not even
/// with the right to trace (CVE-2016-9962).
pub(crate) fn enter_container(plan: &Joining<'_>, channel: &mut ChildEnd, pid_to: &OwnedFd) -> ! {
    end(channel, |channel| {
        step("session", session::hide)?;
        step("oom score", || oom::set(plan.process.oom_score_adj))?; // through the host's /proc; the child inherits it
        step("scheduling", || {
            schedule::set_affinity(plan.process.schedule.affinity.0.as_ref())
        })?;
        // Descriptors that the caller wants to pass on are told apart from others only at the end.
        if plan.manner.preserve_fds == 0 {
            step("descriptors", || {
                close_all_but_needed(plan, channel, pid_to)
            })?;
        }
        // The cgroup namespace comes last: out of it no process can be born in a group of cgroup v2.
        let early = plan.namespaces - Namespaces::CGROUP;
        let joined_all = match early.is_empty() {
            true => Ok(()),
            false => sys::namespace::join(plan.init, early),
        };
        let entered = joined_all.and_then(|()| match &plan.root {
            Some(root) => root::change_to(root).map_err(Into::into),
            None => Ok(()),
        });
        let birth = match entered {
            Err(error) => Birth::NotJoined(error.raw_os_error().unwrap_or(0)),
            Ok(()) => {
                let how = Clone {
                    cgroup: plan.birth_group.as_ref().map(AsFd::as_fd),
                    sibling: true,
                    ..Clone::default()
                };
                match clone3(&how) {
                    Err(error) => Birth::NotCloned(error.raw_os_error().unwrap_or(0)),
                    Ok(Fork::Child) => return joined(plan, channel),
                    Ok(Fork::Parent { pid, .. }) => Birth::Born(pid),
                }
            }
        };
        step("clone", || {
            rustix::io::write(pid_to, &birth.to_bytes()).tried(|| "tell the pid".to_owned())
        })?;
        exit_now(0)
    })
}

fn close_all_but_needed(plan: &Joining<'_>, channel: &ChildEnd, pid_to: &OwnedFd) -> Step {
    let mut kept = vec![channel.as_fd(), pid_to.as_fd(), plan.init];
    kept.extend(plan.tasks.iter().map(AsFd::as_fd));
    kept.extend(plan.birth_group.as_ref().map(AsFd::as_fd));
    kept.extend(plan.root.as_ref().map(AsFd::as_fd));
    if let Stdio::Pipes {
        stdin,
        stdout,
        stderr,
    } = &plan.stdio
    {
        kept.extend([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]);
    }
    sys::fds::close_all_but(&kept).tried(|| "close descriptors".to_owned())
}

/// Order is the contract, as above. We are in the container: not dumpable, and with nothing of the host that is not
/// needed.
fn joined(plan: &Joining<'_>, channel: &ChildEnd) -> Steps<Infallible> {
    step("session", session::begin)?;
    step("cgroups", || cgroups::enter(&plan.tasks))?;
    step("scheduling", || {
        schedule::set_affinity(plan.process.schedule.affinity.1.as_ref())
    })?;
    step("namespaces", || {
        namespaces::join_process(plan.init, plan.namespaces & Namespaces::CGROUP)
    })?;
    if plan.namespaces.contains(Namespaces::USER) {
        step("user namespace", rights::become_root)?;
    }
    let labels = step("labels", || labels::open_inside(&plan.process))?;
    if matches!(plan.stdio, Stdio::Terminal) {
        step("console", || {
            let root = Root::new(root::current()?);
            let terminal = console::open(&root, plan.process.console_size)?;
            console::hand_over(terminal, channel)
        })?;
    }
    if !plan.manner.keeps_keyring {
        step("keyring", || session::join_keyring(plan.id))?;
    }
    confine(
        &plan.process,
        &plan.stdio,
        labels,
        false,
        plan.manner,
        channel,
    )
}

/// Gives up every right that the program is not to have, and becomes it.
fn confine(
    process: &ProcessPlan<'_>,
    stdio: &Stdio,
    labels: labels::Labels,
    reaper: bool,
    manner: Manner,
    channel: &ChildEnd,
) -> Steps<Infallible> {
    step("standard streams", || streams::lay_out(stdio, process.uid))?;
    step("limits", || rights::set_limits(&process.rlimits))?; // while we may raise them
    step("scheduling", || schedule::set(&process.schedule))?;
    step("personality", || {
        rights::set_personality(process.personality)
    })?;
    step("labels", || labels::set(labels, process))?;
    let program = step("program", || program::lay_out(process))?; // reads /etc/passwd, as root
    step("user", || rights::become_user(process))?;
    step("working folder", || program::enter_folder(process.cwd))?; // as the user; never through a descriptor of the host
    step("descriptors", || program::close_all(manner.preserve_fds))?; // before the filter, which may not know close_range
    step("rights", || rights::drop(process, channel))?; // with it the filter: what follows must be in the commonest filters
    if reaper {
        step("init", reaper::split)?;
    }
    step("exec", || Err(program::execute(process, &program)))
}
