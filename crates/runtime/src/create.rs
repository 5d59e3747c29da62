//! Making a container's first process.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci::Rootfs;
use oci::runtime::{Hook, Spec, State, Status};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit};
use sys::namespace::Namespaces;
use sys::process::{Clone, Fork, clone3};

use crate::channel::{self, ChildEnd, News, ParentEnd, Word};
use crate::errno::Refusal;
use crate::error::Error;
use crate::gate::Gate;
use crate::idmap::write_maps;
use crate::init;
use crate::listener::Listener;
use crate::manner::Manner;
use crate::net_devices::Device;
use crate::plan::{Plan, StartAt};
use crate::shared_root::SharedRoot;
use crate::stdio::Stdio;

/// What a container is made from.
#[derive(Debug)]
pub struct Create<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its spec. `root.path` is not read: `rootfs` counts.
    pub spec: &'a Spec,
    /// Its root file system.
    pub rootfs: &'a Rootfs,
    /// Its bundle, for hooks.
    pub bundle: Option<&'a Path>,
    /// Its system call filter as an array of `struct sock_filter`; without it none is installed, whatever the spec says.
    pub seccomp: Option<&'a [u8]>,
    /// Its cgroup, made by the caller; without it the container stays in the caller's.
    pub cgroup: Option<&'a cgroup::Group>,
    /// Its standard streams.
    pub stdio: Stdio,
    /// Run the program below a pid 1 of ours that reaps orphans and passes signals on.
    pub init_reaper: bool,
    /// What is asked for beyond the spec.
    pub manner: Manner,
}

/// A container whose program has not been executed yet. Dropping it ends the container.
#[derive(Debug)]
pub struct Created {
    /// Pid of its first process, a child of ours, in our pid namespace.
    pub pid: i32,
    /// The same as a descriptor.
    pub pidfd: OwnedFd,
    /// The terminal's master.
    pub console: Option<OwnedFd>,
    /// What must be detached once it has gone.
    pub shared_root: Option<SharedRoot>,
    channel: ParentEnd,
    after: After,
}

/// A container that waits at a gate, whatever becomes of us.
#[derive(Debug)]
pub struct Waiting {
    /// Pid of its first process, a child of ours, in our pid namespace.
    pub pid: i32,
    /// The same as a descriptor.
    pub pidfd: OwnedFd,
    /// The terminal's master.
    pub console: Option<OwnedFd>,
    /// What must be detached once it has gone.
    pub shared_root: Option<SharedRoot>,
}

/// A container whose program runs.
#[derive(Debug)]
pub struct Started {
    /// Pid of its first process, a child of ours, in our pid namespace.
    pub pid: i32,
    /// The same as a descriptor.
    pub pidfd: OwnedFd,
    /// The terminal's master.
    pub console: Option<OwnedFd>,
    /// What must be detached once it has gone.
    pub shared_root: Option<SharedRoot>,
}

/// What the parent does once the child has gone its way.
#[derive(Debug)]
struct After {
    prestart: Vec<Hook>,
    create_runtime: Vec<Hook>,
    poststart: Vec<Hook>,
    state: State,
    listener: Option<Listener>,
}

/// Makes a container that waits for its start.
///
/// # Errors
/// See [`Error`]; nothing is left behind but the caller's cgroup.
pub fn create(create: Create<'_>) -> Result<Created, Error> {
    let (mut born, after) = bear(create, StartAt::Word)?;
    match born.advance(&after) {
        Ok(News::Ready) => Ok(born.into_created(after)),
        Ok(_) => Err(born.lose(Error::Lost)),
        Err(error) => Err(born.lose(error)),
    }
}

/// Makes a container that waits at a gate, and that lives on when we end. Whoever opens the gate with
/// [`open_gate`](crate::open_gate) starts it; the hooks after the start are theirs to run. `meanwhile` is what the caller
/// has to do in the time that the container's first process takes to get there.
///
/// # Errors
/// See [`Error`]; nothing is left behind but the caller's cgroup and the gate's socket.
pub fn create_apart(
    create: Create<'_>,
    gate: Gate,
    meanwhile: impl FnOnce(),
) -> Result<Waiting, Error> {
    let (mut born, after) = bear(create, StartAt::Gate(gate))?;
    meanwhile();
    match born.advance(&after) {
        Ok(News::Ready) => Ok(Waiting {
            pid: born.pid,
            pidfd: born.pidfd,
            console: born.console,
            shared_root: born.shared_root,
        }),
        Ok(_) => Err(born.lose(Error::Lost)),
        Err(error) => Err(born.lose(error)),
    }
}

/// Makes a container and starts it, without a stop between.
///
/// # Errors
/// See [`Error`]; nothing is left behind but the caller's cgroup.
pub fn run(create: Create<'_>) -> Result<Started, Error> {
    let (mut born, after) = bear(create, StartAt::Once)?;
    match born.advance(&after) {
        Ok(_) => finish(born, &after),
        Err(error) => Err(born.lose(error)),
    }
}

impl Created {
    /// Executes the program.
    ///
    /// # Errors
    /// See [`Error`]; the container is gone then.
    pub fn start(self) -> Result<Started, Error> {
        let mut born = Born {
            pid: self.pid,
            pidfd: self.pidfd,
            console: self.console,
            shared_root: self.shared_root,
            channel: self.channel,
        };
        if let Err(errno) = born.channel.say(Word::Start) {
            return Err(born.lose(Error::spawn("start")(errno)));
        }
        match born.advance(&self.after) {
            Ok(_) => finish(born, &self.after),
            Err(error) => Err(born.lose(error)),
        }
    }
}

/// The program runs: the last hooks.
fn finish(born: Born, after: &After) -> Result<Started, Error> {
    if !after.poststart.is_empty() {
        let mut state = after.state.clone();
        state.status = Status::Running;
        state.pid = Some(born.pid);
        if let Err(error) = crate::hooks::run_hooks("poststart", &after.poststart, &state) {
            return Err(born.lose(error));
        }
    }
    Ok(Started {
        pid: born.pid,
        pidfd: born.pidfd,
        console: born.console,
        shared_root: born.shared_root,
    })
}

/// A process that is on its way to its program.
#[derive(Debug)]
pub(crate) struct Born {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) console: Option<OwnedFd>,
    pub(crate) shared_root: Option<SharedRoot>,
    pub(crate) channel: ParentEnd,
}

impl Born {
    /// Serves the child until it waits for its start or has executed the program.
    fn advance(&mut self, after: &After) -> Result<News, Error> {
        loop {
            match self
                .channel
                .next()
                .map_err(Error::spawn("listen to the new process"))?
            {
                News::Console(master) => self.console = Some(master),
                News::Failed(report) => return Err(report.into_error()),
                News::Hooks => self.run_hooks(after)?,
                News::Listener(number) => self.serve_listener(number, after.listener.clone())?,
                news @ (News::Ready | News::Closed) => return Ok(news),
            }
        }
    }

    /// The same for a process that has no hooks and does not wait.
    pub(crate) fn advance_to_exec(&mut self, listener: Option<Listener>) -> Result<(), Error> {
        loop {
            match self
                .channel
                .next()
                .map_err(Error::spawn("listen to the new process"))?
            {
                News::Console(master) => self.console = Some(master),
                News::Failed(report) => return Err(report.into_error()),
                News::Listener(number) => self.serve_listener(number, listener.clone())?,
                News::Hooks | News::Ready => return Err(Error::Lost),
                News::Closed => return Ok(()),
            }
        }
    }

    fn serve_listener(&self, number: i32, listener: Option<Listener>) -> Result<(), Error> {
        listener.ok_or(Error::Lost)?.send(self.pid, number)?;
        self.channel
            .say(Word::Listening)
            .map_err(Error::spawn("go on once somebody listens"))
    }

    fn run_hooks(&self, after: &After) -> Result<(), Error> {
        let mut state = after.state.clone();
        state.pid = Some(self.pid);
        crate::hooks::run_hooks("prestart", &after.prestart, &state)?;
        crate::hooks::run_hooks("createRuntime", &after.create_runtime, &state)?;
        self.channel
            .say(Word::HooksDone)
            .map_err(Error::spawn("go on after hooks"))
    }

    /// Ends what could not become the program, and takes its status, so that nothing is left.
    pub(crate) fn lose(self, error: Error) -> Error {
        end(&self.pidfd);
        if let Some(root) = &self.shared_root {
            // What failed first is what is told.
            let _ = root.detach();
        }
        error
    }

    fn into_created(self, after: After) -> Created {
        Created {
            pid: self.pid,
            pidfd: self.pidfd,
            console: self.console,
            shared_root: self.shared_root,
            channel: self.channel,
            after,
        }
    }
}

/// Kills a child of ours and takes its status.
fn end(pidfd: &OwnedFd) {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    // It may have ended by itself; that its status is taken is what counts.
    let _ = sys::process::send_signal(pidfd.as_fd(), 9);
    let _ =
        rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED));
}

/// Plans, clones, and does the parent's part up to where the child goes on by itself.
fn bear(create: Create<'_>, start: StartAt) -> Result<(Born, After), Error> {
    let group = create.cgroup;
    let spec = create.spec;
    let hooks = spec.hooks.clone().unwrap_or_default();
    let mut plan = Plan::new(create, start)?;
    let after = After {
        prestart: hooks.prestart,
        create_runtime: hooks.create_runtime,
        poststart: hooks.poststart,
        state: plan.state.clone(),
        listener: spec
            .linux
            .as_ref()
            .and_then(|linux| Listener::of(linux, plan.state.clone())),
    };
    let shared_root = plan.shared_root()?;
    let mut birth_group = None;
    if let Some(group) = group {
        let entry = group.entry().map_err(|source| Error::Cgroup { source })?;
        plan.tasks = entry.tasks;
        birth_group = entry.clone_into;
    }
    let (parent, mut child) = channel::pair().map_err(Error::spawn("make a channel"))?;
    let mut parent = Some(parent);
    let part = ParentPart::take(&mut plan)?;
    let how = Clone {
        namespaces: plan.namespaces.at_clone(),
        cgroup: birth_group.as_ref().map(AsFd::as_fd),
        sibling: false,
    };
    let (pid, pidfd) = if plan.namespaces.needs_stand_in() {
        stand_in(plan, &how, child, &mut parent)?
    } else {
        let joined = plan.namespaces.join_pid.take();
        in_pid_namespace(
            joined.as_ref().map(AsFd::as_fd),
            Namespaces::PID,
            || match clone3(&how).map_err(|error| Error::Spawn {
                what: "clone the container's first process",
                source: Refusal::from(error),
            })? {
                Fork::Child => {
                    // With a copy of it we would never see that our parent has left.
                    drop(parent.take());
                    init::become_container(plan, &mut child)
                }
                Fork::Parent { pid, pidfd } => {
                    drop((plan, child));
                    Ok((pid, pidfd))
                }
            },
        )?
    };
    let born = Born {
        pid,
        pidfd,
        console: None,
        shared_root,
        channel: parent.ok_or(Error::Lost)?,
    };
    match part.map(|part| part.give(&born)).transpose() {
        Ok(_) => Ok((born, after)),
        Err(error) => Err(born.lose(error)),
    }
}

/// What only the parent can do; the child waits for it.
#[derive(Debug)]
struct ParentPart {
    user: Option<UserPart>,
    devices: Vec<Device>,
    /// The network namespace that is joined by path.
    network: Option<OwnedFd>,
}

impl ParentPart {
    fn take(plan: &mut Plan<'_>) -> Result<Option<Self>, Error> {
        if !plan.awaits_parent {
            return Ok(None);
        }
        let mut joined = plan.namespaces.join.iter();
        let network = joined
            .find(|(kind, _)| *kind == Namespaces::NETWORK)
            .map(|(_, fd)| fd.try_clone())
            .transpose()
            .map_err(|error| Error::Spawn {
                what: "keep the network namespace",
                source: Refusal::from(error),
            })?;
        Ok(Some(Self {
            user: UserPart::take(plan),
            devices: std::mem::take(&mut plan.net_devices),
            network,
        }))
    }

    fn give(self, born: &Born) -> Result<(), Error> {
        if let Some(user) = self.user {
            user.give(born)?;
        }
        if !self.devices.is_empty() {
            let network = match self.network {
                Some(joined) => joined,
                None => {
                    let path = format!("/proc/{}/ns/net", born.pid);
                    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                    rustix::fs::open(path, flags, Mode::empty())
                        .map_err(Error::spawn("open the container's network namespace"))?
                }
            };
            crate::net_devices::give(&self.devices, &network)?;
        }
        born.channel
            .say(Word::Given)
            .map_err(Error::spawn("go on after the parent's part"))
    }
}

/// Its part for a child in a new user namespace.
#[derive(Debug)]
struct UserPart {
    uids: Vec<oci::runtime::IdMapping>,
    gids: Vec<oci::runtime::IdMapping>,
    oom_score_adj: Option<i32>,
    rlimits: Vec<(Resource, Rlimit)>,
}

impl UserPart {
    fn take(plan: &mut Plan<'_>) -> Option<Self> {
        if !plan.namespaces.new.contains(Namespaces::USER) {
            return None;
        }
        Some(Self {
            uids: std::mem::take(&mut plan.namespaces.uid_mappings),
            gids: std::mem::take(&mut plan.namespaces.gid_mappings),
            oom_score_adj: plan.process.oom_score_adj.take(),
            rlimits: std::mem::take(&mut plan.process.rlimits)
                .into_iter()
                .map(|(resource, limit, _)| (resource, limit))
                .collect(),
        })
    }

    fn give(self, born: &Born) -> Result<(), Error> {
        write_maps(born.pid, &self.uids, &self.gids)?;
        if let Some(score) = self.oom_score_adj {
            std::fs::write(
                format!("/proc/{}/oom_score_adj", born.pid),
                score.to_string(),
            )
            .map_err(|error| Error::Spawn {
                what: "set oom_score_adj",
                source: Refusal::from(error),
            })?;
        }
        let pid = rustix::process::Pid::from_raw(born.pid);
        for (resource, limit) in self.rlimits {
            rustix::process::prlimit(pid, resource, limit)
                .map_err(Error::spawn("error setting rlimit"))?;
        }
        Ok(())
    }
}

/// Does something whose children are born in a pid namespace of others, and comes back. `target` is that namespace, or
/// a pidfd of a process in it. See `setns(2)`: for pid namespaces it is about children only.
pub(crate) fn in_pid_namespace<T>(
    target: Option<std::os::fd::BorrowedFd<'_>>,
    kinds: Namespaces,
    bear: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(target) = target else {
        return bear();
    };
    let own = rustix::fs::open(
        "/proc/self/ns/pid",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(Error::spawn("open our own pid namespace"))?;
    sys::namespace::join(target, kinds).map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::SRCH.raw_os_error() => Error::NotRunning,
        _ => Error::Spawn {
            what: "join the pid namespace",
            source: Refusal::from(error),
        },
    })?;
    let result = bear();
    sys::namespace::join(&own, Namespaces::PID).map_err(|error| Error::Spawn {
        what: "return to our own pid namespace",
        source: Refusal::from(error),
    })?;
    result
}

/// Joins namespaces by a child that cannot come back from them, and that bears the container's first process as our
/// child, not its own. Needed when a user namespace is joined, or when other namespaces are joined by a container with a
/// new one: who is in a user namespace has no rights over what belongs to the one outside.
fn stand_in(
    plan: Plan<'_>,
    how: &Clone<'_>,
    mut child: ChildEnd,
    channel: &mut Option<ParentEnd>,
) -> Result<(i32, OwnedFd), Error> {
    use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(Error::spawn("make a pipe"))?;
    let made = sys::process::fork().map_err(|error| Error::Spawn {
        what: "fork",
        source: Refusal::from(error),
    })?;
    let helper = match made {
        Fork::Child => {
            drop(channel.take());
            init::stand_in(plan, how, &mut child, &writer)
        }
        Fork::Parent { pidfd, .. } => pidfd,
    };
    drop((plan, child, writer));
    let mut bytes = [0u8; 4];
    let len = rustix::io::retry_on_intr(|| rustix::io::read(&reader, &mut bytes))
        .map_err(Error::spawn("listen to the helper"))?;
    let _ = waitid(WaitId::PidFd(helper.as_fd()), WaitIdOptions::EXITED);
    let pid = i32::from_ne_bytes(bytes);
    let valid = (len == bytes.len()).then(|| Pid::from_raw(pid)).flatten();
    let Some(known) = valid else {
        return Err(match channel.as_ref().map(ParentEnd::next) {
            Some(Ok(News::Failed(report))) => report.into_error(),
            _ => Error::Lost,
        });
    };
    // It is our child and nobody has waited for it: the pid is still its own.
    let pidfd =
        pidfd_open(known, PidfdFlags::empty()).map_err(Error::spawn("open the new process"))?;
    Ok((pid, pidfd))
}
