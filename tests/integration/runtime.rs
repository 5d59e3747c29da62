//! The OCI runtime's command line, as engines drive it.

mod checkpoint;
mod confinement;
mod crun;
mod devices;
mod engines;
mod exec;
mod life;
mod limits;
pub(crate) mod listener;
mod members;
mod namespaces;
mod systemd;
mod terminal;
mod uncommon;
