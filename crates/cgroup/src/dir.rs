//! One open folder of a cgroup file system; every file is reached relative to it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

use crate::error::{Error, Refusal, Result};
use crate::hierarchy::Controller;

/// More than any cgroup file holds on real machines; a bound against endless reads.
const MAX_FILE_BYTES: usize = 4 << 20;

/// A group's folder in one hierarchy.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    /// The group's path, for messages.
    group: String,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    pub(crate) fn new(fd: OwnedFd, group: &str) -> Self {
        Dir {
            fd,
            group: group.to_owned(),
        }
    }

    /// Opens a folder below `base`.
    pub(crate) fn open(base: impl AsFd, path: &str, group: &str) -> rustix::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(Dir::new(openat(base, path, flags, Mode::empty())?, group))
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Opens a file of this folder for writing.
    pub(crate) fn open_write(&self, file: &str) -> rustix::io::Result<OwnedFd> {
        openat(
            &self.fd,
            file,
            OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
        )
    }

    /// Writes a value with one write(2), as the kernel wants it.
    pub(crate) fn try_set(&self, file: &str, value: &str) -> rustix::io::Result<()> {
        let fd = self.open_write(file)?;
        rustix::io::retry_on_intr(|| rustix::io::write(&fd, value.as_bytes())).map(drop)
    }

    /// Writes a value; a refusal says what was tried.
    pub(crate) fn set(
        &self,
        controller: Controller,
        file: &str,
        value: impl std::fmt::Display,
    ) -> Result<()> {
        let value = value.to_string();
        self.try_set(file, &value)
            .map_err(|errno| self.refused(controller, file, value, errno))
    }

    pub(crate) fn refused(
        &self,
        controller: Controller,
        file: &str,
        value: String,
        errno: Errno,
    ) -> Error {
        Error::Write {
            group: self.group.clone(),
            controller,
            file: file.to_owned(),
            value,
            source: Refusal::new(file, errno),
        }
    }

    /// Reads a whole file.
    pub(crate) fn try_get(&self, file: &str) -> rustix::io::Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = openat(&self.fd, file, flags, Mode::empty())?;
        let mut bytes = Vec::new();
        let mut chunk = [0u8; 4096];
        loop {
            match rustix::io::read(&fd, &mut chunk) {
                Ok(0) => break,
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            if bytes.len() > MAX_FILE_BYTES {
                return Err(Errno::FBIG);
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads a whole file; a failure says which.
    pub(crate) fn get(&self, controller: Controller, file: &str) -> Result<String> {
        self.try_get(file)
            .map_err(|errno| self.unreadable(controller, file, errno))
    }

    /// Reads a file that some kernels do not have.
    pub(crate) fn get_if_there(
        &self,
        controller: Controller,
        file: &str,
    ) -> Result<Option<String>> {
        match self.try_get(file) {
            Ok(text) => Ok(Some(text)),
            Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(self.unreadable(controller, file, errno)),
        }
    }

    pub(crate) fn unreadable(&self, controller: Controller, file: &str, errno: Errno) -> Error {
        Error::Read {
            group: self.group.clone(),
            controller,
            file: file.to_owned(),
            source: errno.into(),
        }
    }

    /// The names of the groups made inside this one.
    pub(crate) fn children(&self) -> rustix::io::Result<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listing = openat(&self.fd, ".", flags, Mode::empty())?;
        let mut buffer = Vec::with_capacity(8192);
        let mut entries = RawDir::new(&listing, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if entry.file_type() == rustix::fs::FileType::Directory && name != b"." && name != b".."
            {
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        Ok(names)
    }

    /// The processes in this group and in all groups inside it; a group that vanishes meanwhile has none.
    pub(crate) fn pids(&self, into: &mut Vec<i32>) -> rustix::io::Result<()> {
        match self.try_get("cgroup.procs") {
            // Pid 0 stands for a process outside our pid namespace.
            Ok(text) => into.extend(
                text.lines()
                    .filter_map(|line| line.parse::<i32>().ok())
                    .filter(|pid| *pid > 0),
            ),
            Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
            // A v2 threaded group lists its processes only in its domain above.
            Err(Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
        let children = match self.children() {
            Err(Errno::NOENT) => return Ok(()),
            children => children?,
        };
        for name in children {
            match Dir::open(&self.fd, &name, &self.group) {
                Ok(child) => child.pids(into)?,
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}
