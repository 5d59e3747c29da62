//! Tar archives to and from directories: safe paths, whiteouts, every kind of file, compression.
//!
//! | module | does |
//! |---|---|
//! | [`compression`] | tells gzip, zstd, xz and plain apart, reads them under a cap, writes gzip |
//! | [`tar`] | reads and writes tar streams; refuses what two readers could read differently |
//! | [`mod@extract`] | tar to a folder, by folder fds only, whiteouts to overlay's form |
//! | [`mod@pack`] | a folder, or an overlay upper folder, to tar |
//! | [`mod@changes`] | what an overlay upper folder changed, as `docker diff` says it |
//! | [`in_root`] | opens paths that cannot leave a folder |
#![forbid(unsafe_code)]

pub mod changes;
pub mod compression;
pub mod error;
pub mod extract;
pub mod in_root;
mod listing;
pub mod pack;
mod read_ahead;
pub mod tar;

pub use changes::{Change, ChangeKind, changes};
pub use compression::{Compression, Decompressor, decompress, gzip};
pub use error::{Error, Result};
pub use extract::{Options as ExtractOptions, Summary, extract};
pub use pack::{Options as PackOptions, pack, pack_overlay_diff};
