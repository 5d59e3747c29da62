//! The options of run and create become the body of the create request.

mod body;
mod devices;
mod environment;
mod flags;
mod mounts;
mod network;
pub(crate) mod ports;
mod security;

pub(crate) use body::{Prepared, prepare};
pub(crate) use environment::read_all as environment;
pub(crate) use flags::{CONTAINER, EXTRA, env_is_valid, restart_policy};
pub(crate) use mounts::clean;
