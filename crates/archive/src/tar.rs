//! The tar format: ustar, PAX and GNU headers, read strictly and written in one deterministic way.
//!
//! Spec: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Basic Tar
//! Format" and "Storing Sparse Files".

pub mod entry;
mod header;
mod pax;
pub mod reader;
mod sparse;
pub mod writer;

pub use entry::{Entry, Extent, Kind, Time};
pub use reader::{Contents, Reader};
pub use writer::Writer;

/// The size of a header and the unit of all padding.
pub(crate) const BLOCK: usize = 512;
/// The most one extended header (PAX, GNU long name) may hold; Go's reader, and so Docker, has the same cap.
pub(crate) const MAX_EXTENSION: u64 = 1 << 20;
/// The longest path a Linux kernel takes, without its closing NUL.
pub(crate) const MAX_PATH: usize = 4095;
