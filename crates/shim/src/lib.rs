//! The spawner and the shim: hold a container's stdio and pid, report its exit.
//!
//! Three parties use this crate. The daemon's `main` calls [`spawner::start`] before it has threads; the binary's `main`
//! asks [`face`] whether it was executed as the spawner; the engine writes a [`protocol::Launch`], asks the spawner for a
//! shim, and talks to it by [`client`].
#![forbid(unsafe_code)]

pub mod client;
pub mod protocol;
pub mod spawner;

mod packet;
mod service;

use std::ffi::OsStr;
use std::process::ExitCode;

/// The `main` to run when the binary was executed under this name, if it is one of ours.
#[must_use]
pub fn face(argv0: &OsStr) -> Option<fn() -> ExitCode> {
    (argv0 == OsStr::new(spawner::NAME)).then_some(spawner::main as fn() -> ExitCode)
}
