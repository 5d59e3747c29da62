//! Tar to a folder.

use std::io::Read;
use std::os::fd::BorrowedFd;

use crate::error::Result;

/// What the archive is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Entries as they stand: `docker cp`, `ADD`, volumes.
    #[default]
    Plain,
    /// An image layer: whiteouts become what overlay takes for them.
    Layer {
        /// Mark opaque folders with `user.overlay.opaque` (mounts with `userxattr`) instead of `trusted.overlay.opaque`.
        userxattr: bool,
    },
}

/// How to extract.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// What the archive is read as.
    pub mode: Mode,
    /// Everything is given to this uid and gid, whatever the archive says.
    pub owner: Option<(u32, u32)>,
    /// Refuse to put a directory where something else is, or something else where a directory is.
    pub no_overwrite_dir_non_dir: bool,
    /// Compute the SHA-256 of the (uncompressed) stream on the reading thread: a layer's diff id.
    pub digest: bool,
    /// The most bytes of file contents.
    pub max_bytes: u64,
    /// The most entries.
    pub max_entries: u64,
    /// Folders of the layers below, topmost first: a parent that the archive does not name takes its mode,
    /// owner and time from there, as it would if the layer were extracted on top of them.
    pub lower: &'a [BorrowedFd<'a>],
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            mode: Mode::Plain,
            owner: None,
            no_overwrite_dir_non_dir: false,
            digest: false,
            max_bytes: u64::MAX,
            max_entries: u64::MAX,
            lower: &[],
        }
    }
}

/// What was extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Bytes of file contents, holes counted; a hard link adds nothing.
    pub bytes: u64,
    /// Entries, whiteouts counted.
    pub entries: u64,
    /// SHA-256 of the whole uncompressed stream, when [`Options::digest`] asked for it.
    pub digest: Option<[u8; 32]>,
}

/// Extracts an uncompressed tar stream below the folder `dest`, and reads the stream to its end.
///
/// Nothing is made outside `dest`. What was made before an error stays: extract into a draft and drop that.
///
/// # Errors
/// The first entry that is broken, ambiguous, unsafe, or that the kernel refuses.
pub fn extract(
    reader: impl Read + Send,
    dest: BorrowedFd<'_>,
    options: &Options<'_>,
) -> Result<Summary> {
    let _ = (reader, dest, options);
    unimplemented!()
}
