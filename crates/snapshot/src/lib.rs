//! Layers and writable layers on the overlay file system.
//!
//! ```text
//! ROOT (0700)
//!   lock              held by the one store that is open
//!   empty/            the lower layer of containers whose image has none
//!   <n>/              a snapshot; n only grows while the store is open
//!     fs/             a layer's contents in overlay's form, or a container's upper folder
//!     work/           overlay's work folder (writable layers only)
//!     record.json     what it is; a snapshot without a whole record never was
//!   draft-<n>/        a layer being extracted
//!   trash-<n>/        something removed, whose deletion is not finished
//! ```
//!
//! Crash rule: a layer appears by one rename of its draft, a writable layer by its record, and each goes by one rename
//! to `trash-`. What is neither whole nor live is deleted when the store is opened. Layer contents are not synced one
//! by one: a layer that was not [`Store::flush`]ed before the machine (not the daemon) went down is dropped at the next
//! open, to be extracted again; writable layers that stand on it wait for it.
//!
//! Each snapshot has its own small record and all of them are known in memory, so the thousandth container costs what
//! the first did.
#![forbid(unsafe_code)]

pub mod error;
mod files;
mod layer;
mod mountpoints;
mod record;
mod repair;
mod store;
mod usage;
mod view;
mod writable;

pub use error::{Error, Result};
pub use layer::{Committed, Layer, LayerDraft};
pub use mountpoints::Mountpoint;
pub use store::Store;
pub use usage::Usage;
pub use view::View;
