//! The spawner: a tiny single-threaded process that forks shims on request.
//!
//! ```text
//! daemon main() ── start(): fork ──► child: seal our own program, exec it as `estiva-spawner` ──► main()
//! daemon ── {run_dir} + control socket ──► spawner ── fork ──► shim (own session)
//! daemon ◄── {"Ok": pid} or {"Err": why} ─ spawner
//! daemon ── maps ──► spawner ── clone3 ──► a process for a moment, in new user and network namespaces
//! daemon ◄── {"Ok": 0} + the network namespace ── spawner
//! ```
//! It exists before the daemon has threads, because only a process with one thread may fork and go on in safe Rust. It runs
//! from a detached read-only mount of the binary (or a sealed copy in memory), and so do the shims and the first steps of every
//! container: `/proc/<pid>/exe` never leads a container to a writable host binary (CVE-2019-5736).
//! When the daemon's end of the socket closes the spawner leaves; its shims live on.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use oci::runtime::IdMapping;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitOptions, waitpid};
use serde::{Deserialize, Serialize};
use sys::exec::Strings;
use sys::fds::{CloseRange, close_from};
use sys::process::Fork;

use crate::{packet, service};

/// The name (`argv[0]`) under which the binary is the spawner.
pub const NAME: &str = "estiva-spawner";

/// A failed request to the spawner.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spawner could not be started.
    #[error("start the spawner")]
    Start {
        /// Why.
        source: io::Error,
    },
    /// The exchange failed; the spawner has probably died.
    #[error("ask the spawner for a shim for {}", run_dir.display())]
    Exchange {
        /// For which run folder.
        run_dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No namespaces for a container with a user namespace.
    #[error("make a user namespace with a network namespace")]
    Network {
        /// Why.
        source: io::Error,
    },
    /// The spawner could not fork.
    #[error("fork a shim for {}: {reason}", run_dir.display())]
    Refused {
        /// For which run folder.
        run_dir: PathBuf,
        /// The spawner's words.
        reason: String,
    },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::Start { .. } | Self::Network { .. } => fault::Kind::Internal,
            Self::Exchange { .. } | Self::Refused { .. } => fault::Kind::Unavailable,
        }
    }
}

// See signal(7); the same numbers on every architecture we run on.
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;

/// What the daemon asks for.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// A shim; its control socket comes with the order.
    Shim { run_dir: PathBuf },
    /// A network namespace that belongs to a new user namespace; it comes with the answer.
    Network {
        uids: Vec<IdMapping>,
        gids: Vec<IdMapping>,
    },
}

/// The daemon's end. Dropping it ends the spawner, but no shim.
#[derive(Debug)]
pub struct SpawnerHandle {
    socket: OwnedFd,
    pid: Pid,
}

impl SpawnerHandle {
    /// Forks a shim for the run folder, which holds `launch.json`; `control` becomes the shim's control socket.
    ///
    /// Answers with the shim's pid. Waits for the fork only (well under a millisecond). Calls must not overlap: keep the
    /// handle behind a mutex.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the spawner is gone, [`Error::Refused`] when it cannot fork.
    pub fn spawn(&self, run_dir: &Path, control: OwnedFd) -> Result<i32, Error> {
        let exchange = || -> io::Result<Result<i32, String>> {
            let order = serde_json::to_vec(&Order::Shim {
                run_dir: run_dir.to_owned(),
            })?;
            packet::send(self.socket.as_fd(), &order, Some(control.as_fd()))?;
            let (answer, _) =
                packet::receive(self.socket.as_fd())?.ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(serde_json::from_slice(&answer)?)
        };
        match exchange() {
            Ok(Ok(pid)) => Ok(pid),
            Ok(Err(reason)) => Err(Error::Refused {
                run_dir: run_dir.to_owned(),
                reason,
            }),
            Err(source) => Err(Error::Exchange {
                run_dir: run_dir.to_owned(),
                source,
            }),
        }
    }

    /// Makes a network namespace that belongs to a new user namespace with these maps: only a process with one thread can.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn network(&self, uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd, Error> {
        let exchange = || -> io::Result<OwnedFd> {
            let order = serde_json::to_vec(&Order::Network {
                uids: uids.to_vec(),
                gids: gids.to_vec(),
            })?;
            packet::send(self.socket.as_fd(), &order, None)?;
            let (answer, made) =
                packet::receive(self.socket.as_fd())?.ok_or(io::ErrorKind::BrokenPipe)?;
            let answer: Result<i32, String> = serde_json::from_slice(&answer)?;
            answer.map_err(io::Error::other)?;
            made.ok_or_else(|| io::ErrorKind::InvalidData.into())
        };
        exchange().map_err(|source| Error::Network { source })
    }

    /// The spawner's pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Ends the spawner and waits for it.
    pub fn stop(self) {
        let pid = self.pid;
        drop(self.socket);
        while let Err(rustix::io::Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
    }
}

/// Starts the spawner. To be called by the daemon before it has a second thread.
///
/// # Errors
/// [`Error::Start`]; its source has kind `ResourceBusy` when there are threads already.
pub fn start() -> Result<SpawnerHandle, Error> {
    try_start().map_err(|source| Error::Start { source })
}

fn try_start() -> io::Result<SpawnerHandle> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    if !is_single_threaded()? {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    match sys::process::fork()? {
        Fork::Child => {
            drop(ours);
            let error = become_spawner(&theirs);
            let text = format!("{error}");
            let _ = packet::send(theirs.as_fd(), text.as_bytes(), None);
            sys::process::exit_now(1)
        }
        Fork::Parent { pid, .. } => {
            drop(theirs);
            // The first message says that the program runs from its sealed copy, or why it does not.
            let (greeting, _) =
                packet::receive(ours.as_fd())?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
            if greeting != b"ready" {
                let _ = waitpid(Some(pid), WaitOptions::empty());
                return Err(io::Error::other(
                    String::from_utf8_lossy(&greeting).into_owned(),
                ));
            }
            Ok(SpawnerHandle { socket: ours, pid })
        }
    }
}

/// Whether this process may fork and go on in the child.
fn is_single_threaded() -> io::Result<bool> {
    Ok(std::fs::read_dir("/proc/self/task")?.count() == 1)
}

/// In the forked child: leaves the daemon's session and becomes the spawner. Returns only on failure.
fn become_spawner(socket: &OwnedFd) -> io::Error {
    let prepare = || -> io::Result<OwnedFd> {
        rustix::process::setsid()?;
        rustix::process::chdir("/")?;
        let program = runtime::sealed::program()?;
        let null = null()?;
        rustix::stdio::dup2_stdin(socket)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        // The daemon opens everything close-on-exec; what it inherited itself may not be.
        close_from(3, CloseRange::OnExec)?;
        Ok(program)
    };
    let name = std::ffi::CString::new(NAME).expect("the name has no NUL");
    match prepare() {
        Ok(program) => sys::exec::fexecve(
            program.as_fd(),
            &Strings::new(vec![name]),
            &Strings::new(Vec::new()),
        ),
        Err(error) => error,
    }
}

/// The spawner's whole life.
#[must_use]
pub fn main() -> ExitCode {
    sys::memory::map_large_blocks(64 * 1024);
    let _ = rustix::thread::set_name(c"estiva-spawner");
    let Ok(socket) = take_socket() else {
        return ExitCode::FAILURE;
    };
    if packet::send(socket.as_fd(), b"ready", None).is_err() {
        return ExitCode::FAILURE;
    }
    settle_signals();
    // Shims that end are buried by the kernel.
    sys::signal::ignore(SIGCHLD);
    // Looked at once: every shim inherits the answer.
    let _ = cgroup::host();
    // What only the start has needed; a fork does not inherit the view of code anyway.
    sys::memory::forget_code();
    loop {
        match packet::receive(socket.as_fd()) {
            Ok(Some((bytes, control))) => {
                let Some(run_dir) = serve(&socket, &bytes, control.as_ref()) else {
                    continue;
                };
                // Only the new shim comes here.
                drop(socket);
                sys::signal::reset(SIGCHLD);
                return service::main(&run_dir, control);
            }
            Ok(None) | Err(_) => return ExitCode::SUCCESS,
        }
    }
}

/// What spawner and shims do with signals, whatever the daemon was started with: a closed pipe is an error, and nobody ends
/// because somebody ends the daemon's group or closes its terminal, since a shim owes the container's exit status. The
/// runtime resets all this for programs.
fn settle_signals() {
    sys::signal::reset_all();
    for signal in [SIGHUP, SIGINT, SIGPIPE, SIGTERM] {
        sys::signal::ignore(signal);
    }
}

/// `/dev/null`, for reading and writing.
fn null() -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    Ok(open("/dev/null", flags, Mode::empty())?)
}

/// The socket that stands in for stdin; stdin becomes /dev/null.
fn take_socket() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(null()?)?;
    Ok(socket)
}

/// Carries out one order; in the forked child, answers the run folder.
fn serve(socket: &OwnedFd, bytes: &[u8], control: Option<&OwnedFd>) -> Option<PathBuf> {
    let mut made = None;
    let answer: Result<i32, String> = match serde_json::from_slice::<Order>(bytes) {
        Err(error) => Err(error.to_string()),
        Ok(Order::Network { uids, gids }) => match runtime::private_network(&uids, &gids) {
            Ok(network) => {
                made = Some(network);
                Ok(0)
            }
            Err(error) => Err(fault::chain(&error)),
        },
        Ok(Order::Shim { .. }) if control.is_none() => {
            Err("the order came without a control socket".to_owned())
        }
        Ok(Order::Shim { run_dir }) => match sys::process::fork() {
            Ok(Fork::Child) => return Some(run_dir),
            Ok(Fork::Parent { pid, .. }) => Ok(pid),
            Err(error) => Err(error.to_string()),
        },
    };
    if let Ok(answer) = serde_json::to_vec(&answer) {
        // A daemon that died meanwhile is noticed by the next receive.
        let _ = packet::send(socket.as_fd(), &answer, made.as_ref().map(AsFd::as_fd));
    }
    None
}
