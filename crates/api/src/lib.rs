//! Wire types of the Docker Engine API, 1.24 to 1.51: one file per noun, field names and absences as Docker writes them.
//!
//! The structs are also the engine's vocabulary: plain public fields, `Default`, `Clone`, `PartialEq`. Reading is as
//! tolerant as Docker's own: unknown fields are ignored, `null` and absent fields are the zero value. Writing chooses
//! between `null`, an empty value and absence per field, as Docker does.
#![forbid(unsafe_code)]

#[macro_use]
mod wire;

pub mod container;
pub mod error;
pub mod events;
pub mod exec;
pub mod image;
pub mod network;
pub mod system;
pub mod version;
pub mod volume;

pub use wire::{Argv, Empty};
