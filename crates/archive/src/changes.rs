//! What an overlay upper folder changed, as `docker diff` says it.

use std::os::fd::BorrowedFd;

use crate::error::Result;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// `C`: there before, and other now; also a directory with a change below it. Docker's API says 0.
    Modified,
    /// `A`: new. Docker's API says 1.
    Added,
    /// `D`: gone. Docker's API says 2.
    Deleted,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Absolute path inside the root.
    pub path: Vec<u8>,
}

/// Compares the upper folder of an overlay with the view of all layers below it (`None`: nothing below).
///
/// Parents come before what is in them, names in order.
///
/// # Errors
/// The first folder or file that cannot be looked at.
pub fn changes(upper: BorrowedFd<'_>, lower: Option<BorrowedFd<'_>>) -> Result<Vec<Change>> {
    let _ = (upper, lower);
    unimplemented!()
}
