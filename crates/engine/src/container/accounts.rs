//! A container's `/etc/passwd` and `/etc/group`, read without trusting the container: inside its root, regular files only,
//! and no more than a megabyte of each.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat};

use super::record::Record;
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::spec::user::Accounts;

const CAP: u64 = 1 << 20;

/// Of a container that does not run.
///
/// An image's files are read once: its layers never change. A container that has run may have changed them.
pub(crate) fn of_stopped(shared: &Shared, record: &Record) -> Result<Accounts> {
    let fresh = record.started_unix_nanos == 0;
    if fresh && let Some(chain) = &record.chain {
        if let Some(known) = shared.accounts.get(chain) {
            return Ok(known);
        }
        let read = of_view(shared, &record.id)?;
        shared.accounts.put(chain, &read);
        return Ok(read);
    }
    of_view(shared, &record.id)
}

fn of_view(shared: &Shared, id: &str) -> Result<Accounts> {
    let root = shared
        .snapshots
        .mount_view(snapshot::View::WritableReadOnly(id))?;
    read(root.as_fd())
}

/// Of a running container.
pub(crate) fn of_running(pid: i32) -> Result<Accounts> {
    let root = root_of(pid)?;
    read(root.as_fd())
}

/// The root folder of a process, to resolve paths in.
pub(crate) fn root_of(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/root");
    rustix::fs::openat(
        CWD,
        &path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|e| Error::file("open", path, e.into()))
}

fn read(root: BorrowedFd<'_>) -> Result<Accounts> {
    let text = |path: &'static str| match read_file(root, path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(String::new())
        }
        Err(e) => Err(Error::file("read the container's", path, e)),
    };
    Ok(Accounts {
        passwd: text("etc/passwd")?,
        group: text("etc/group")?,
    })
}

fn read_file(root: BorrowedFd<'_>, path: &str) -> io::Result<Vec<u8>> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let place = sys::open::openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )?;
    // Looked at before it is opened: a FIFO would hold us up, and to open a device, which the container's root can make
    // a node of but not open, can be an act on the host.
    let meta = rustix::fs::fstat(&place)?;
    if FileType::from_raw_mode(meta.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not a regular file",
        ));
    }
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let fd = openat(CWD, again, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    File::from(fd).take(CAP + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > CAP {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "larger than 1 MiB",
        ));
    }
    Ok(bytes)
}

/// The files of images by chain id, a few at a time.
#[derive(Debug, Default)]
pub(crate) struct Cache(std::sync::Mutex<std::collections::HashMap<String, Accounts>>);

/// More images than these are seldom started from at one time.
const CACHED: usize = 64;

impl Cache {
    fn get(&self, chain: &str) -> Option<Accounts> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(chain)
            .cloned()
    }

    fn put(&self, chain: &str, accounts: &Accounts) {
        let mut map = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if map.len() >= CACHED {
            map.clear();
        }
        map.insert(chain.to_owned(), accounts.clone());
    }
}
