//! Networks of containers: addresses, links, firewall, names. The engine decides; this crate acts on the kernel.
#![forbid(unsafe_code)]

pub mod dns;
pub mod firewall;
pub mod ipam;
pub mod link;
pub mod namespace;
pub mod ports;
pub mod subnet;
