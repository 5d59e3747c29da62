//! A folder to tar.

use std::io::Write;
use std::os::fd::BorrowedFd;

use crate::error::Result;

/// One thing to pack, and the name it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Path below the packed folder; symlinks on the way are followed, inside the folder only. Empty: all of it.
    pub path: Vec<u8>,
    /// The name of the thing itself in the archive; what is below it goes below that name. Empty: a folder's
    /// contents are packed at the archive's top, without an entry for the folder.
    pub name: Vec<u8>,
    /// Follow the last component too if it is a symlink.
    pub follow: bool,
}

/// How to pack.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What to pack; empty means everything, named by its path below the folder.
    pub include: Vec<Include>,
    /// Everything is said to belong to this uid and gid.
    pub owner: Option<(u32, u32)>,
    /// Keep the nanoseconds of modification times, at 1 KiB per entry. Docker cuts them off.
    pub nanoseconds: bool,
    /// The upper folder's marks are `user.overlay.*` instead of `trusted.overlay.*` (mounts with `userxattr`).
    pub userxattr: bool,
}

/// What was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packed {
    /// Bytes of file contents.
    pub bytes: u64,
    /// Entries written.
    pub entries: u64,
}

/// Packs what is below `dir`, in the order of names, equal input giving equal bytes, and ends the archive.
///
/// # Errors
/// The first file that cannot be read, or the writer's error.
pub fn pack(dir: BorrowedFd<'_>, options: &Options, to: impl Write) -> Result<Packed> {
    let _ = (dir, options, to);
    unimplemented!()
}

/// Packs an overlay upper folder as an image layer: whiteouts and opaque marks become `.wh.` files.
///
/// # Errors
/// As [`pack`].
pub fn pack_overlay_diff(
    upper: BorrowedFd<'_>,
    options: &Options,
    to: impl Write,
) -> Result<Packed> {
    let _ = (upper, options, to);
    unimplemented!()
}
