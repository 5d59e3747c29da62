//! The rules of the product: containers, images, volumes, execs, events, restart, prune.
//!
//! Faces call the async methods of [`Engine`]; each noun's methods stand in the file of that noun. A container is owned by one
//! task (`container::actor`); everyone else sends it commands and reads its last published [`container::View`].
#![forbid(unsafe_code)]

pub mod blocking;
pub mod container;
pub mod error;
pub mod events;
pub mod exec;
pub mod folders;
pub mod host;
pub mod image;
pub mod network;
pub mod options;
pub mod stream;
pub mod system;
pub mod volume;

mod engine;
mod flusher;
mod prune;
mod spec;

pub use engine::Engine;
pub use error::{Error, Result};
pub use options::Options;
pub use spec::userns::{Ids, Remap, parse_remap};
