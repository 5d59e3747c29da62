//! Disk use of a writable layer.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::{self, Errno};

use crate::error::Result;
use crate::store::Store;

/// Folders nested deeper than this are not counted: each level costs an fd while it is looked at.
const MAX_DEPTH: u32 = 1000;

/// Disk use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of blocks on disk, folders counted, as du(1) says it; a file with several hard links counts once.
    pub bytes: u64,
    /// Bytes that the files would give when read, folders not counted: Docker's `SizeRw`.
    pub apparent_bytes: u64,
    /// Files and folders below the root.
    pub inodes: u64,
}

impl Store {
    /// Disk use of a writable layer. A container may change it meanwhile: then it is a good guess.
    ///
    /// # Errors
    /// No such writable layer, or the disk's.
    pub fn usage(&self, key: &str) -> Result<Usage> {
        let upper = self.open_upper(key)?;
        let mut count = Count::default();
        count
            .walk(upper.as_fd(), 0)
            .map_err(|e| self.place().failed("measure", "fs", e))?;
        Ok(count.usage)
    }
}

#[derive(Default)]
struct Count {
    usage: Usage,
    seen: HashSet<u64>,
}

impl Count {
    fn walk(&mut self, dir: BorrowedFd<'_>, depth: u32) -> io::Result<()> {
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(other) => return Err(other),
            };
            let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
            if !is_dir && stat.st_nlink > 1 && !self.seen.insert(stat.st_ino) {
                continue;
            }
            self.usage.inodes += 1;
            self.usage.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            if !is_dir {
                self.usage.apparent_bytes += u64::try_from(stat.st_size).unwrap_or(0);
            } else if depth < MAX_DEPTH {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match rustix::fs::openat(dir, name, flags, Mode::empty()) {
                    Ok(child) => self.walk(child.as_fd(), depth + 1)?,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(())
    }
}
