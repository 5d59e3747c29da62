//! The spawner and the shim: hold a container's stdio and pid, report its exit.
#![forbid(unsafe_code)]

pub mod protocol;
