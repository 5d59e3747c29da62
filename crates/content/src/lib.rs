//! Blobs by digest: verified on the way in, immutable after.
//!
//! ```text
//! DATA-ROOT/blobs/
//!   sha256/ab/abcd…   one blob, named by its digest, mode 0400
//!   sha512/…
//!   drafts/<pid>-<n>  being written; all removed when a store is opened
//! ```
//! Root: `DATA-ROOT/blobs`. Lock: none here, one daemon holds the data root. Crash rule: a draft is written, synced, then
//! renamed to its digest, so a name in `sha256/` always means all bytes, verified. Rooms (`ab/`) that become empty go too.
#![forbid(unsafe_code)]

mod error;
mod store;
mod writer;

pub use error::Error;
pub use store::{Blob, Store};
pub use writer::Writer;
