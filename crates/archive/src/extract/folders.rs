//! Opens the folder an entry goes into, one component at a time, and remembers the folders on the way.
//!
//! Archives list a folder's files together, so most entries find their parent still open: no lookup at all.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{self, Errno};

use crate::in_root;

/// Folders kept open at most; deeper paths let go of the topmost.
const MAX_OPEN: usize = 48;

const FOLDER: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The folders from the root to where the last entry went.
pub(super) struct Folders<'a> {
    root: BorrowedFd<'a>,
    path: Vec<u8>,
    /// Each folder with the length of its path within `path`, outermost first.
    open: Vec<(usize, OwnedFd)>,
}

/// Why a folder could not be opened, and which.
pub(super) struct Stuck {
    /// Length of the path of the component that failed.
    pub(super) len: usize,
    pub(super) errno: Errno,
}

impl<'a> Folders<'a> {
    pub(super) fn new(root: BorrowedFd<'a>) -> Self {
        Self {
            root,
            path: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The folder `path` (normal: no empty, `.` or `..` component). A component that is a symlink is resolved as
    /// in a root of its own, so it cannot lead out. `missing` is called with the parent, the name and the path of
    /// each folder that is not there; it makes it or fails.
    pub(super) fn open(
        &mut self,
        path: &[u8],
        mut missing: impl FnMut(BorrowedFd<'_>, &[u8], &[u8]) -> io::Result<()>,
    ) -> Result<BorrowedFd<'_>, Stuck> {
        self.leave_all_but(path);
        let mut at = self.open.last().map_or(0, |(len, _)| *len);
        self.path.clear();
        self.path.extend_from_slice(path);
        while at < path.len() {
            let begin = if at == 0 { 0 } else { at + 1 };
            let len = path[begin..]
                .iter()
                .position(|b| *b == b'/')
                .map_or(path.len(), |slash| begin + slash);
            let parent = self
                .open
                .last()
                .map_or(self.root, |(_, folder)| folder.as_fd());
            let folder = step(self.root, parent, path, begin..len, &mut missing);
            let folder = folder.map_err(|errno| Stuck { len, errno })?;
            if self.open.len() == MAX_OPEN {
                self.open.remove(0);
            }
            self.open.push((len, folder));
            at = len;
        }
        Ok(self
            .open
            .last()
            .map_or(self.root, |(_, folder)| folder.as_fd()))
    }

    /// Forgets all: something on the way may have been replaced.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    fn leave_all_but(&mut self, path: &[u8]) {
        let shared = self
            .path
            .iter()
            .zip(path)
            .take_while(|(a, b)| a == b)
            .count();
        while let Some((len, _)) = self.open.last() {
            let is_whole = *len <= shared && path.get(*len).is_none_or(|b| *b == b'/');
            if is_whole {
                break;
            }
            self.open.pop();
        }
    }
}

fn step(
    root: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    path: &[u8],
    name: std::ops::Range<usize>,
    missing: &mut impl FnMut(BorrowedFd<'_>, &[u8], &[u8]) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let so_far = &path[..name.end];
    let name = &path[name];
    match rustix::fs::openat(parent, name, FOLDER, Mode::empty()) {
        Err(Errno::NOENT) => {
            missing(parent, name, so_far)?;
            rustix::fs::openat(parent, name, FOLDER, Mode::empty())
        }
        Err(Errno::LOOP | Errno::NOTDIR) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            in_root::open(root, so_far, flags, Mode::empty())
        }
        other => other,
    }
}
