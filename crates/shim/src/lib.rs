//! The spawner and the shim: hold a container's stdio and pid, report its exit.
//!
//! Three parties use this crate. The daemon's `main` calls `spawner::start` before it has threads; the binary's `main`
//! asks `face` whether it was executed as the spawner; the engine writes a [`protocol::Launch`], asks the spawner for a
//! shim, and talks to it by [`client`].
#![forbid(unsafe_code)]

pub mod client;
pub mod protocol;

mod packet;
