//! What daemon and shim say to each other.
//!
//! ```text
//! daemon ──Launch (file) ; SCM_RIGHTS: control socket──► spawner ──fork──► shim
//! daemon ──Request (+ at most one fd) ─────────────────────────────────► shim      control socket,
//! daemon ◄─────────────────────────────────────────────────────── Event ── shim    SEQPACKET, one JSON each
//! ```
//! The first control socket is one end of a socket pair that the daemon passes through the spawner; a later daemon connects
//! to `<run_dir>/shim.sock` (SEQPACKET too) and is greeted by [`Event::Hello`]. A newer connection replaces an older one.
//! Requests are answered in order. Large things (process specs) travel as files in `run_dir`, never in messages.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci::Rootfs;
use serde::{Deserialize, Serialize};

/// Everything one shim needs; the engine writes it as JSON to `<run_dir>/launch.json` before it asks the spawner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Launch {
    /// The container's full id.
    pub id: String,
    /// `EXEC-ROOT/containers/<id>`: launch.json, shim.sock, exec files, exit record of this run.
    pub run_dir: PathBuf,
    /// Where the exit record is written before anyone is told (write, fsync when `durable`, rename).
    pub exit_file: PathBuf,
    /// Whether the exit record must survive a power cut; false for `--rm`.
    pub durable: bool,
    /// The runtime spec without seccomp when `seccomp_file` is set. `linux.cgroupsPath` names the cgroup.
    pub spec: oci::runtime::Spec,
    /// What to mount as the container's root.
    pub rootfs: Rootfs,
    /// A compiled seccomp program (array of `struct sock_filter`), cached by the engine by profile hash.
    pub seccomp_file: Option<PathBuf>,
    /// Keep stdin open (`-i`); otherwise stdin is /dev/null.
    pub open_stdin: bool,
    /// Close stdin when the first attached client leaves or ends its input.
    pub stdin_once: bool,
    /// Run the program under our own pid 1 that reaps orphans and forwards signals (`--init`).
    pub init: bool,
    /// Where the output goes besides attached clients.
    pub log: LogTarget,
}

/// The log of one container; shared with the readers.
pub use logs::Target as LogTarget;

/// Which process of the container is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The container's own process.
    Init,
    /// An exec by its id.
    Exec(String),
}

/// Daemon to shim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// Create and start the container; answered by `Started` or `Failed`. Attaches sent before it miss no byte.
    Start,
    /// Create and start one more process; the file holds an [`ExecLaunch`] as JSON. Attaches for its id may come before.
    Exec {
        /// The exec's id.
        id: String,
        /// The file, in `run_dir`; the shim removes it.
        file: PathBuf,
    },
    /// Join a client's stream (passed as the message's one fd: a unix or TCP stream socket). Output goes out raw for a
    /// terminal, otherwise in Docker's stdcopy frames (8-byte header); input comes in raw. The shim shuts the stream down
    /// when the process has ended and its output is drained.
    Attach {
        /// Whose streams.
        target: Target,
        /// Forward the client's bytes to stdin.
        stdin: bool,
        /// Send stdout.
        stdout: bool,
        /// Send stderr.
        stderr: bool,
        /// Bytes of input that arrived before the stream was handed over.
        early_input: Vec<u8>,
        /// Leave on this byte sequence (terminals only; empty: never). Answered by `Detached`.
        detach_keys: Vec<u8>,
    },
    /// Set a terminal's size.
    Resize {
        /// Whose terminal.
        target: Target,
        /// Rows.
        height: u16,
        /// Columns.
        width: u16,
    },
    /// Send a signal; for `Init` with `all`, to every process of the container's cgroup.
    Signal {
        /// To whom.
        target: Target,
        /// The signal's number.
        signal: i32,
        /// Every process in the container.
        all: bool,
    },
    /// Serve a port of the host, whose socket is the message's one fd: TCP listening, UDP bound. Connections and datagrams
    /// are passed on to the container until it has ended, the port is unpublished, or the shim goes. Not answered: what
    /// cannot be served is closed.
    Publish {
        /// What the socket is.
        transport: Transport,
        /// The container's side.
        target: SocketAddr,
    },
    /// Lead a published port elsewhere, without a moment in which it is free: another network carries it now. What was
    /// passed on to the former target ends.
    Redirect {
        /// What the socket is.
        transport: Transport,
        /// What it is bound to.
        host: SocketAddr,
        /// The container's side from now on.
        target: SocketAddr,
    },
    /// Serve a published port no more, and end what was passed on through it.
    Unpublish {
        /// What the socket is.
        transport: Transport,
        /// What it is bound to.
        host: SocketAddr,
    },
    /// The daemon has taken note of the exit: the shim may go.
    Forget,
}

/// What can be passed on. (SCTP is not: its ports are reached through the host's packet filter only.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams; a client's are a flow of their own, with a time-out.
    Udp,
}

/// What a shim needs for one exec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExecLaunch {
    /// The process, with the capabilities and user already decided.
    pub process: oci::runtime::Process,
    /// Keep stdin open.
    pub open_stdin: bool,
    /// A compiled seccomp program, as in [`Launch`].
    pub seccomp_file: Option<PathBuf>,
}

/// Shim to daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// First message on a connection to `shim.sock`.
    Hello {
        /// Pid of the running init in the daemon's pid namespace, if it runs.
        pid: Option<i32>,
        /// Execs that still run, with their pids.
        execs: Vec<(String, i32)>,
        /// The exit record, if the container has ended.
        exit: Option<Exit>,
    },
    /// The container's process runs.
    Started {
        /// Its pid in the daemon's pid namespace.
        pid: i32,
    },
    /// The container could not be made or started; nothing is left behind. The shim ends.
    Failed(Failure),
    /// The exec's process runs.
    ExecStarted {
        /// The exec.
        id: String,
        /// Its pid in the daemon's pid namespace.
        pid: i32,
    },
    /// The exec could not be started.
    ExecFailed {
        /// The exec.
        id: String,
        /// Why.
        failure: Failure,
    },
    /// An exec has ended and its output is drained.
    ExecExited {
        /// The exec.
        id: String,
        /// 0-255; 128+n after signal n.
        code: i32,
    },
    /// A client left by its detach keys or hung up.
    Detached {
        /// Whose client.
        target: Target,
        /// Left by the keys (rather than by hanging up).
        by_keys: bool,
    },
    /// The log could not be written (a full disk); told once, output goes on to clients and later lines are tried again.
    LogFailed {
        /// The chain of causes.
        message: String,
    },
    /// The kernel's OOM killer struck in the container, which has a memory limit. Told while it runs, and before `Exited`
    /// when it ends by it.
    Oom,
    /// The container has ended, its output is in the log, its exit record is on disk, its cgroup is gone.
    Exited(Exit),
}

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// 127 command not found, 126 not executable, 125 anything else.
    pub code: i32,
    /// The chain of causes, as Docker's users know it: `exec: "x": executable file not found in $PATH`.
    pub message: String,
}

/// How a container ended; also the content of `Launch::exit_file`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0-255; 128+n after signal n.
    pub code: i32,
    /// The kernel's OOM killer struck in the container's cgroup.
    pub oom_killed: bool,
    /// When, in nanoseconds since the epoch.
    pub at_unix_nanos: i64,
    /// When the process had started, in nanoseconds since the epoch.
    pub started_unix_nanos: i64,
}

/// A request with its descriptor.
#[derive(Debug)]
pub struct Packet {
    /// The request.
    pub request: Request,
    /// The stream of an `Attach`, the socket of a `Publish`.
    pub fd: Option<OwnedFd>,
}
