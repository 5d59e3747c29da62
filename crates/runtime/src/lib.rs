//! The OCI runtime: from a runtime spec to a confined process.
//!
//! ```text
//! caller (single-threaded) ── create / run ──► plan ──clone3──► init: a flat list of steps ──► the program
//!                          ── exec ──────────► plan ──clone3──► join: the same, for a running container
//! ```
//! The parent prepares all it can: it reads the spec once into a plan, assembles the root and the bind mounts as detached
//! mounts, opens cgroups and namespaces. The child, born into its namespaces, only acts on what the plan holds, and tells
//! its parent over a socket what went wrong ([`channel`](crate) is drawn in `channel.rs`).
//!
//! Everything here must be called from a single-threaded process, because the child goes on as a copy of the caller.
#![forbid(unsafe_code)]

mod channel;
mod create;
mod errno;
mod error;
mod exec;
mod failure;
mod features;
mod gate;
mod hooks;
mod idmap;
mod init;
mod inroot;
mod listener;
mod manner;
mod net_devices;
mod plan;
mod rootfs;
pub mod sealed;
pub mod seccomp;
mod shared_root;
mod stdio;
mod warnings;

pub use create::{Create, Created, Started, Waiting, create, create_apart, run};
pub use errno::Refusal;
pub use error::Error;
pub use exec::{Exec, ExecProcess, exec};
pub use features::features;
pub use gate::{Gate, open_gate};
pub use hooks::{run_hooks, state};
pub use idmap::private_network;
pub use listener::Listener;
pub use manner::Manner;
pub use shared_root::SharedRoot;
pub use stdio::Stdio;
pub use warnings::warnings;
