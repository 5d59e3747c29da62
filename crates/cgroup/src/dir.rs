//! One folder of a cgroup file system; every file is reached by its path below the hierarchy's open root.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, Mode, OFlags, RawDir, accessat, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use crate::error::{Error, Refusal, Result};
use crate::hierarchy::Controller;

/// More than any cgroup file holds on real machines; a bound against endless reads.
const MAX_FILE_BYTES: usize = 4 << 20;

/// What a single read leaves free of its buffer when it has met the end: no record of a list (a pid) is that long.
const SURELY_THE_END: usize = 2048;

/// A group's folder in one hierarchy. It holds no descriptor of its own, so a group costs nothing while nobody uses it;
/// cgroup file systems have no symbolic links, so the path leads nowhere else.
#[derive(Debug)]
pub(crate) struct Dir {
    root: Arc<OwnedFd>,
    /// From the root to the folder; empty for the root itself.
    inside: String,
    /// The group's path, for messages.
    group: String,
}

impl Dir {
    /// The root of a hierarchy.
    pub(crate) fn root(fd: OwnedFd) -> Self {
        Dir {
            root: Arc::new(fd),
            inside: String::new(),
            group: "/".to_owned(),
        }
    }

    /// The folder at `path` below this one, whether it exists or not.
    pub(crate) fn at(&self, path: &str, group: &str) -> Self {
        Dir {
            root: Arc::clone(&self.root),
            inside: self.path_of(path),
            group: group.to_owned(),
        }
    }

    /// Whether the folder exists.
    pub(crate) fn exists(&self) -> rustix::io::Result<bool> {
        match accessat(
            &self.root,
            self.path_of("."),
            Access::EXISTS,
            AtFlags::empty(),
        ) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Makes the folder; its parent must exist.
    pub(crate) fn make(&self) -> rustix::io::Result<()> {
        mkdirat(&self.root, &self.inside, Mode::from_raw_mode(0o755))
    }

    /// Removes the folder, which must be empty of processes and groups.
    pub(crate) fn remove(&self) -> rustix::io::Result<()> {
        unlinkat(&self.root, &self.inside, AtFlags::REMOVEDIR)
    }

    /// Opens the folder itself.
    pub(crate) fn open(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.root, self.path_of("."), flags, Mode::empty())
    }

    fn path_of(&self, name: &str) -> String {
        match (self.inside.as_str(), name) {
            ("", name) => name.to_owned(),
            (inside, ".") => inside.to_owned(),
            (inside, name) => format!("{inside}/{name}"),
        }
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Opens a file of this folder for reading.
    pub(crate) fn open_read(&self, file: &str) -> rustix::io::Result<OwnedFd> {
        openat(
            &self.root,
            self.path_of(file),
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
        )
    }

    /// Opens a file of this folder for writing.
    pub(crate) fn open_write(&self, file: &str) -> rustix::io::Result<OwnedFd> {
        openat(
            &self.root,
            self.path_of(file),
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

    /// Writes several values, each with one write(2), to a file opened once.
    pub(crate) fn set_each<'a>(
        &self,
        controller: Controller,
        file: &str,
        values: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let mut values = values.peekable();
        let Some(first) = values.peek() else {
            return Ok(());
        };
        let fd = self
            .open_write(file)
            .map_err(|errno| self.refused(controller, file, (*first).to_owned(), errno))?;
        for value in values {
            rustix::io::retry_on_intr(|| rustix::io::write(&fd, value.as_bytes()))
                .map_err(|errno| self.refused(controller, file, value.to_owned(), errno))?;
        }
        Ok(())
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
        let fd = self.open_read(file)?;
        let mut bytes = Vec::new();
        let mut chunk = [0u8; 4096];
        loop {
            match rustix::io::read(&fd, &mut chunk) {
                Ok(0) => break,
                Ok(read) => {
                    bytes.extend_from_slice(&chunk[..read]);
                    if chunk.len() - read >= SURELY_THE_END {
                        break;
                    }
                }
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
        let listing = self.open(OFlags::RDONLY)?;
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
            self.at(&name, &self.group).pids(into)?;
        }
        Ok(())
    }
}
