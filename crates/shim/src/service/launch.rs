//! Starting processes: the container's own and execs; their sizes and signals.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use cgroup::Group;
use logs::Writer;
use oci::runtime::{Linux, LinuxSeccomp, NamespaceKind, Process as ProcessSpec, Spec};
use runtime::Stdio;
use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{Winsize, tcsetwinsize};

use super::Shim;
use super::oom::OomWatch;
use super::process::{Ends, INIT, Key};
use crate::protocol::{Event, ExecLaunch, Failure, Launch, Target};

const SIGKILL: i32 = 9;

/// The running container.
#[derive(Debug)]
pub(crate) struct Running {
    id: String,
    /// What holds for execs; the rest of the spec is dropped after the start.
    spec: Box<Spec>,
    group: Option<Group>,
    /// Its pid namespace is its own: with init all of its processes die.
    dies_whole: bool,
    pub(crate) started_unix_nanos: i64,
    pub(crate) ooms_before: u64,
}

impl Running {
    /// How often the kernel's OOM killer struck in the cgroup.
    pub(crate) fn ooms(&self) -> u64 {
        ooms(self.group.as_ref())
    }

    /// Kills what init left behind: with a pid namespace of its own nothing, else whatever is in the cgroup.
    pub(crate) fn kill_leftovers(&self) {
        if let Some(group) = self.group.as_ref().filter(|_| !self.dies_whole) {
            // A group that cannot be emptied is told of when it cannot be removed.
            let _ = group.kill_all();
        }
    }

    pub(crate) fn remove_group(&self) {
        if let Some(group) = &self.group {
            if group.remove_if_empty() {
                return;
            }
            if self.dies_whole {
                // Somebody was put there by hand.
                let _ = group.kill_all();
            }
            // The daemon removes by its path what stays here.
            let _ = group.remove();
        }
    }
}

fn ooms(group: Option<&Group>) -> u64 {
    group.and_then(|group| group.oom_kills().ok()).unwrap_or(0)
}

/// A step before the runtime's own that failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to create task for container")]
    Log {
        #[source]
        source: logs::Error,
    },
    #[error("failed to create task for container: failed to create shim task")]
    Cgroup {
        #[source]
        source: cgroup::Error,
    },
    #[error(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process"
    )]
    Runtime {
        #[source]
        source: runtime::Error,
    },
    #[error("OCI runtime exec failed: exec failed: unable to start container process")]
    Exec {
        #[source]
        source: runtime::Error,
    },
    #[error("open {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("understand {}", path.display())]
    Order {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("create the standard streams")]
    Streams {
        #[source]
        source: rustix::io::Errno,
    },
    #[error("cannot exec in a stopped container")]
    NotRunning,
}

impl Error {
    fn failure(&self) -> Failure {
        Failure {
            code: match self {
                Self::Runtime { source } | Self::Exec { source } => source.exit_code(),
                _ => 125,
            },
            message: fault::chain(self),
        }
    }
}

impl Shim {
    /// `Request::Start`.
    pub(super) fn start(&mut self) {
        let Some(mut launch) = self.launch.take() else {
            return; // a second Start has nothing to do: the first was or will be answered
        };
        if let Some(process) = launch.spec.process.as_mut() {
            self.proxy.keep_limit_from(process);
        }
        let outcome = self.try_start(&launch);
        drop(launch);
        match outcome {
            Ok(pid) => {
                self.daemon.send(&Event::Started { pid });
                self.join_waiting(INIT);
                sys::memory::trim_heap();
            }
            Err(error) => {
                self.daemon.send(&Event::Failed(error.failure()));
                for (_, mut client) in std::mem::take(&mut self.waiting) {
                    client.hang_up(&mut self.poller);
                }
                self.leave = true;
            }
        }
    }

    fn try_start(&mut self, launch: &Launch) -> Result<i32, Error> {
        self.log = Some(Writer::open(&launch.log).map_err(|source| Error::Log { source })?)
            .filter(Writer::keeps);
        let group = create_group(launch)?;
        let ooms_before = match &group {
            Some(group) if !group.is_new() => ooms(Some(group)),
            _ => 0,
        };
        let made = self.run_init(launch, group.as_ref());
        match made {
            Ok(ends) => {
                let pid = ends.pid;
                if let Some(group) = group.as_ref().filter(|_| has_memory_limit(&launch.spec)) {
                    // Without the kernel's notices it is told at the end.
                    let notifier = group.oom_notifier().ok().flatten();
                    let poller = &mut self.poller;
                    self.oom = notifier.map(|fd| OomWatch::new(fd, ooms_before, poller));
                }
                self.container = Some(Running {
                    id: launch.id.clone(),
                    spec: Box::new(for_execs(&launch.spec)),
                    dies_whole: has_own_pids(&launch.spec),
                    ooms_before,
                    group,
                    started_unix_nanos: logs::unix_nanos_now(),
                });
                self.keep(Target::Init, ends, launch.stdin_once);
                Ok(pid)
            }
            Err(error) => {
                if let Some(group) = group {
                    let _ = group.kill_all();
                    let _ = group.remove();
                }
                Err(error)
            }
        }
    }

    fn run_init(&self, launch: &Launch, group: Option<&Group>) -> Result<Ends, Error> {
        let seccomp = launch.seccomp_file.as_deref().map(read).transpose()?;
        let process = launch.spec.process.as_ref();
        let (stdio, ours) = streams(process, launch.open_stdin)?;
        let started = runtime::run(runtime::Create {
            id: &launch.id,
            bundle: None,
            spec: &launch.spec,
            rootfs: &launch.rootfs,
            cgroup: group,
            stdio,
            seccomp: seccomp.as_deref(),
            init_reaper: launch.init,
            manner: runtime::Manner::default(),
        })
        .map_err(|source| Error::Runtime { source })?;
        ours.join(started.pid, started.pidfd, started.console)
    }

    /// `Request::Exec`.
    pub(super) fn exec(&mut self, id: String, file: &Path) {
        let target = Target::Exec(id.clone());
        let path = self.facts.run_dir.join(file);
        let outcome = self.try_exec(&path);
        let _ = rustix::fs::unlink(&path);
        match outcome {
            Ok(ends) => {
                let pid = ends.pid;
                let key = self.keep(target, ends, true);
                self.daemon.send(&Event::ExecStarted { id, pid });
                self.join_waiting(key);
            }
            Err(error) => {
                self.daemon.send(&Event::ExecFailed {
                    id,
                    failure: error.failure(),
                });
                self.dismiss_waiting(&target);
            }
        }
    }

    fn try_exec(&mut self, path: &Path) -> Result<Ends, Error> {
        let text = read(path)?;
        let mut order: ExecLaunch =
            serde_json::from_slice(&text).map_err(|source| Error::Order {
                path: path.to_owned(),
                source,
            })?;
        self.proxy.keep_limit_from(&mut order.process);
        let init = self
            .processes
            .get(&INIT)
            .filter(|init| init.ended.is_none())
            .ok_or(Error::NotRunning)?;
        let container = self.container.as_ref().ok_or(Error::NotRunning)?;
        let seccomp = order.seccomp_file.as_deref().map(read).transpose()?;
        let (stdio, ours) = streams(Some(&order.process), order.open_stdin)?;
        let started = runtime::exec(runtime::Exec {
            id: &container.id,
            init: init.pidfd.as_fd(),
            spec: &container.spec,
            process: &order.process,
            cgroup: container.group.as_ref(),
            stdio,
            seccomp: seccomp.as_deref(),
            manner: runtime::Manner::default(),
        })
        .map_err(|source| Error::Exec { source })?;
        ours.join(started.pid, started.pidfd, started.console)
    }

    fn keep(&mut self, target: Target, ends: Ends, ends_with_client: bool) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.processes
            .insert(key, ends.into_process(target, key, ends_with_client));
        key
    }

    // --- running processes ------------------------------------------------------------------

    /// `Request::Resize`. A process without a terminal, or one that has ended, has no size.
    pub(super) fn resize(&mut self, target: &Target, height: u16, width: u16) {
        let console = self
            .processes
            .values()
            .find(|process| process.target == *target)
            .and_then(|process| process.console());
        if let Some(console) = console {
            let _ = tcsetwinsize(
                console,
                Winsize {
                    ws_row: height,
                    ws_col: width,
                    ws_xpixel: 0,
                    ws_ypixel: 0,
                },
            );
        }
    }

    /// `Request::Signal`. A process that has ended meanwhile needs none.
    pub(super) fn signal(&mut self, target: &Target, signal: i32, all: bool) {
        let group = self.container.as_ref().and_then(|c| c.group.as_ref());
        if all
            && *target == Target::Init
            && let Some(group) = group
        {
            if signal == SIGKILL {
                let _ = group.kill_all();
            } else {
                for pid in group.pids().unwrap_or_default() {
                    let _ = sys::process::kill(pid, signal);
                }
            }
            return;
        }
        let process = self
            .processes
            .values()
            .find(|process| process.target == *target && process.ended.is_none());
        if let Some(process) = process {
            let _ = sys::process::send_signal(process.pidfd.as_fd(), signal);
        }
    }
}

/// The part of a spec that processes joining later need.
fn for_execs(spec: &Spec) -> Spec {
    let linux = spec.linux.as_ref().map(|linux| Linux {
        namespaces: linux.namespaces.clone(),
        uid_mappings: linux.uid_mappings.clone(),
        gid_mappings: linux.gid_mappings.clone(),
        personality: linux.personality.clone(),
        seccomp: linux.seccomp.as_ref().map(|profile| LinuxSeccomp {
            flags: profile.flags.clone(),
            ..LinuxSeccomp::default()
        }),
        ..Linux::default()
    });
    Spec {
        linux,
        ..Spec::default()
    }
}

fn has_own_pids(spec: &Spec) -> bool {
    let pids = |linux: &Linux| {
        linux
            .namespace(NamespaceKind::Pid)
            .is_some_and(|namespace| namespace.path.is_none())
    };
    spec.linux.as_ref().is_some_and(pids)
}

fn has_memory_limit(spec: &Spec) -> bool {
    let limit = |linux: &Linux| linux.resources.as_ref()?.memory.as_ref()?.limit;
    spec.linux
        .as_ref()
        .and_then(limit)
        .is_some_and(|limit| limit > 0)
}

fn create_group(launch: &Launch) -> Result<Option<Group>, Error> {
    let Some(linux) = &launch.spec.linux else {
        return Ok(None);
    };
    if linux.cgroups_path.is_empty() {
        return Ok(None);
    }
    let resources = linux.resources.clone().unwrap_or_default();
    Group::create(&linux.cgroups_path, &resources)
        .map(Some)
        .map_err(|source| Error::Cgroup { source })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// Our ends of a process's streams; none for a terminal, whose master the runtime hands back.
struct Ours {
    stdin: Option<OwnedFd>,
    outputs: Option<(OwnedFd, OwnedFd)>,
    keeps_stdin: bool,
}

impl Ours {
    fn join(self, pid: i32, pidfd: OwnedFd, console: Option<OwnedFd>) -> Result<Ends, Error> {
        match (self.outputs, console) {
            (Some((stdout, stderr)), _) => Ok(Ends {
                pid,
                pidfd,
                stdin: self.stdin,
                stdout,
                stderr: Some(stderr),
            }),
            (None, Some(console)) => {
                // A number of its own for input: what epoll is asked for differs.
                let stdin = self
                    .keeps_stdin
                    .then(|| rustix::io::fcntl_dupfd_cloexec(&console, 3))
                    .transpose()
                    .map_err(|source| Error::Streams { source })?;
                Ok(Ends {
                    pid,
                    pidfd,
                    stdin,
                    stdout: console,
                    stderr: None,
                })
            }
            (None, None) => Err(Error::Streams {
                source: rustix::io::Errno::NOTTY,
            }),
        }
    }
}

fn streams(process: Option<&ProcessSpec>, open_stdin: bool) -> Result<(Stdio, Ours), Error> {
    if process.is_some_and(|process| process.terminal) {
        let ours = Ours {
            stdin: None,
            outputs: None,
            keeps_stdin: open_stdin,
        };
        return Ok((Stdio::Terminal, ours));
    }
    let pair = || pipe_with(PipeFlags::CLOEXEC).map_err(|source| Error::Streams { source });
    let (stdin, our_stdin) = if open_stdin {
        let (read, write) = pair()?;
        (read, Some(write))
    } else {
        let null = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|source| Error::Streams { source })?;
        (null, None)
    };
    let ((our_stdout, stdout), (our_stderr, stderr)) = (pair()?, pair()?);
    let stdio = Stdio::Pipes {
        stdin,
        stdout,
        stderr,
    };
    let ours = Ours {
        stdin: our_stdin,
        outputs: Some((our_stdout, our_stderr)),
        keeps_stdin: open_stdin,
    };
    Ok((stdio, ours))
}
