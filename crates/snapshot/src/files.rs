//! Small file operations below the store's folder, with errors that name the whole path.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// The store's folder: open, and by name for errors and mounts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) dir: BorrowedFd<'a>,
    pub(crate) path: &'a Path,
}

impl Place<'_> {
    pub(crate) fn failed(&self, action: &'static str, name: &str, errno: Errno) -> Error {
        Error::Io {
            action,
            path: self.path.join(name),
            source: errno.into(),
        }
    }

    pub(crate) fn make_dir(&self, name: &str, mode: u32) -> Result<()> {
        rustix::fs::mkdirat(self.dir, name, Mode::from_raw_mode(mode))
            .map_err(|e| self.failed("create", name, e))
    }

    pub(crate) fn open_dir(&self, name: &str) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self.dir, name, flags, Mode::empty())
            .map_err(|e| self.failed("open", name, e))
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat(self.dir, from, self.dir, to)
            .map_err(|e| self.failed("rename", from, e))
    }

    pub(crate) fn remove_tree(&self, name: &str) -> Result<()> {
        sys::tree::remove(self.dir, name).map_err(|e| self.failed("remove", name, e))
    }

    pub(crate) fn sync_dir(&self, name: &str) -> Result<()> {
        rustix::fs::fsync(self.open_dir(name)?).map_err(|e| self.failed("sync", name, e))
    }

    /// The names in the folder itself.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let failed = |e| self.failed("list", ".", e);
        for entry in rustix::fs::Dir::read_from(self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?;
            names.push(name.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }
}

/// A small file's contents; none if it is not there or longer than `max`.
pub(crate) fn read(root: &Place<'_>, name: &str, max: u64) -> Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(root.dir, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(root.failed("open", name, errno)),
    };
    let mut text = Vec::new();
    file.take(max + 1)
        .read_to_end(&mut text)
        .map_err(|source| Error::Io {
            action: "read",
            path: root.path.join(name),
            source,
        })?;
    Ok((text.len() as u64 <= max).then_some(text))
}

/// Writes a small file that is not there yet.
pub(crate) fn write(root: &Place<'_>, name: &str, text: &[u8], durable: bool) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root.dir, name, flags, Mode::from_raw_mode(0o600))
        .map_err(|e| root.failed("create", name, e))?;
    let mut file = File::from(file);
    let written = file.write_all(text).and_then(|()| match durable {
        true => file.sync_all(),
        false => Ok(()),
    });
    written.map_err(|source| Error::Io {
        action: "write",
        path: root.path.join(name),
        source,
    })
}
