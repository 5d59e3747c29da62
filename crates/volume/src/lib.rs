//! Named volumes and what they are made of.
//!
//! ```text
//! DATA-ROOT/volumes/            0701: a container's user namespace must pass through it
//!   <name>/_data/               what containers see; a device of the volume's options is mounted here
//!   <name>/volume.json          driver, options, labels, time of creation
//!   <name>/.copy-<n>/           content of an image on its way into an empty volume
//!   .new-<n>/                   a volume being made      } no volume's name begins with a dot;
//!   .gone-<n>/                  a volume being removed   } the next start takes these away
//! ```
//! A volume comes and goes by one rename, so at every moment it is there wholly or not at all. The store of a root is
//! opened once; its methods may be called from several threads. Which containers use a volume is for the engine to know:
//! the store counts only who holds a mounted device.
#![forbid(unsafe_code)]

pub mod error;
pub mod name;
pub mod record;
pub mod store;

mod copy;
mod data;
mod device;
mod usage;

pub use error::{Error, Result};
pub use name::VolumeName;
pub use record::{Request, Volume};
pub use store::{Creation, Store};
