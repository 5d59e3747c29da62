//! A folder to tar.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{self, Errno};

use crate::error::{Error, Name, Result};
use crate::extract::{OPAQUE, WHITEOUT, is_portable};
use crate::in_root;
use crate::listing::{self, MAX_DEPTH, is_whiteout};
use crate::tar::{Entry, Kind, Time, Writer, entry};

/// Files are read in pieces of this size, in bytes.
const PIECE: usize = 256 << 10;

/// One thing to pack, and the name it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Path below the packed folder; symlinks on the way are followed, inside the folder only. Empty: all of it.
    pub path: Vec<u8>,
    /// The name of the thing itself in the archive; what is below it goes below that name. Empty: a folder's
    /// contents are packed at the archive's top, without an entry for the folder. A dot: the same, as `./` and `./…`.
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
    /// What uids and gids on disk are above those in the archive: the root of a container with a user namespace.
    pub shift: (u32, u32),
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
/// Sockets are left out; a file that changes while it is read is cut or filled up to the size it had.
///
/// # Errors
/// The first file that cannot be read, or the writer's error.
pub fn pack(dir: BorrowedFd<'_>, options: &Options, to: impl Write) -> Result<Packed> {
    Packing::new(options, false, to).run(dir)
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
    Packing::new(options, true, to).run(upper)
}

struct Packing<'a, W> {
    options: &'a Options,
    is_overlay: bool,
    writer: Writer<W>,
    /// Where a file with several names was packed first, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
    packed: Packed,
}

/// Where a thing stands: a name in an open folder, or a path that is resolved in a root, its last link followed.
#[derive(Clone, Copy)]
enum Place<'a> {
    Name(BorrowedFd<'a>, &'a [u8]),
    Followed(BorrowedFd<'a>, &'a [u8]),
}

impl Place<'_> {
    fn stat(self) -> io::Result<Stat> {
        match self {
            Self::Name(dir, name) => rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW),
            Self::Followed(root, path) => in_root::stat(root, path, true),
        }
    }

    fn is_whiteout(self) -> bool {
        self.stat().is_ok_and(|stat| is_whiteout(&stat))
    }

    fn open(self, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
        match self {
            Self::Name(dir, name) => {
                rustix::fs::openat(dir, name, flags | OFlags::NOFOLLOW, Mode::empty())
            }
            Self::Followed(root, path) => in_root::open(root, path, flags, Mode::empty()),
        }
    }

    fn link(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Name(dir, name) => {
                rustix::fs::readlinkat(dir, name, Vec::new()).map(std::ffi::CString::into_bytes)
            }
            Self::Followed(..) => Err(Errno::INVAL),
        }
    }

    fn xattrs(self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        match self {
            Self::Name(dir, name) => listing::xattrs_at(dir, name),
            Self::Followed(..) => Ok(Vec::new()),
        }
    }
}

impl<'a, W: Write> Packing<'a, W> {
    fn new(options: &'a Options, is_overlay: bool, to: W) -> Self {
        Self {
            options,
            is_overlay,
            writer: Writer::new(to),
            links: HashMap::new(),
            buffer: vec![0; PIECE],
            packed: Packed::default(),
        }
    }

    fn run(mut self, dir: BorrowedFd<'_>) -> Result<Packed> {
        if self.options.include.is_empty() {
            self.contents(dir, b"", 0)?;
        }
        for include in &self.options.include {
            self.include(dir, include)?;
        }
        self.writer.finish()?;
        Ok(self.packed)
    }

    fn include(&mut self, root: BorrowedFd<'_>, include: &Include) -> Result<()> {
        let refused = |errno| refused(&include.path, "open", errno);
        let (folder, last) = in_root::split(&include.path);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let folder = in_root::open(root, folder, flags, Mode::empty()).map_err(refused)?;
        let needs_root = include.follow || matches!(last, b"" | b"." | b"..");
        let place = if needs_root {
            Place::Followed(root, &include.path)
        } else {
            Place::Name(folder.as_fd(), last)
        };
        let stat = place.stat().map_err(refused)?;
        let name = match include.name.as_slice() {
            b"." => b".".to_vec(),
            name => entry::normal(name),
        };
        if !name.is_empty() {
            return self.thing(place, &name, 0);
        }
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            let dir = place.open(OFlags::DIRECTORY).map_err(refused)?;
            self.contents(dir.as_fd(), b"", 0)
        } else {
            self.thing(place, last, 0)
        }
    }

    fn contents(&mut self, dir: BorrowedFd<'_>, path: &[u8], depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(refused(path, "nested too deep", Errno::NAMETOOLONG));
        }
        let mut names = listing::names(dir).map_err(|e| refused(path, "list", e))?;
        if self.is_overlay {
            // Spec: OCI image layer, "Whiteouts": they stand before their siblings.
            names.sort_by_cached_key(|name| !Place::Name(dir, name).is_whiteout());
        }
        for name in names {
            let mut below = path.to_vec();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(&name);
            self.thing(Place::Name(dir, &name), &below, depth)?;
        }
        Ok(())
    }

    fn thing(&mut self, place: Place<'_>, path: &[u8], depth: usize) -> Result<()> {
        let stat = match place.stat() {
            Ok(stat) => stat,
            Err(Errno::NOENT) if depth > 0 => return Ok(()), // went away since it was listed
            Err(errno) => return Err(refused(path, "stat", errno)),
        };
        if self.is_overlay && is_whiteout(&stat) {
            return self.whiteout(path, &stat);
        }
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => return self.folder(place, path, depth),
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Fifo => Kind::Fifo,
            _ => return Ok(()), // sockets mean nothing without their process
        };
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                let mut entry = self.entry(path, Kind::HardLink, &stat);
                entry.link.clone_from(first);
                return self.put(&entry);
            }
            self.links.insert((stat.st_dev, stat.st_ino), path.to_vec());
        }
        if kind == Kind::File {
            return self.file(place, path);
        }
        let mut entry = self.entry(path, kind, &stat);
        if kind == Kind::Symlink {
            entry.link = place.link().map_err(|e| refused(path, "read link", e))?;
        }
        let xattrs = place
            .xattrs()
            .map_err(|e| refused(path, "read attributes", e))?;
        entry.xattrs = portable(xattrs);
        self.put(&entry)
    }

    fn folder(&mut self, place: Place<'_>, path: &[u8], depth: usize) -> Result<()> {
        let dir = place
            .open(OFlags::DIRECTORY)
            .map_err(|e| refused(path, "open", e))?;
        let dir = dir.as_fd();
        let stat = rustix::fs::fstat(dir).map_err(|e| refused(path, "stat", e))?;
        let mut entry = self.entry(path, Kind::Directory, &stat);
        let xattrs = listing::xattrs(dir).map_err(|e| refused(path, "read attributes", e))?;
        entry.xattrs = portable(xattrs);
        self.put(&entry)?;
        if self.is_overlay {
            let is_opaque = listing::is_opaque(dir, self.options.userxattr);
            if is_opaque.map_err(|e| refused(path, "read attributes", e))? {
                let mut mark = self.entry(&[path, b"/", OPAQUE].concat(), Kind::File, &stat);
                mark.mode = 0o600;
                self.put(&mark)?;
            }
        }
        self.contents(dir, path, depth + 1)
    }

    fn whiteout(&mut self, path: &[u8], stat: &Stat) -> Result<()> {
        let (folder, name) = in_root::split(path);
        let mut marked = folder.to_vec();
        if !marked.is_empty() {
            marked.push(b'/');
        }
        marked.extend_from_slice(WHITEOUT);
        marked.extend_from_slice(name);
        let mut mark = self.entry(&marked, Kind::File, stat);
        mark.mode = 0o600;
        self.put(&mark)
    }

    fn file(&mut self, place: Place<'_>, path: &[u8]) -> Result<()> {
        // Looked at before it is opened: it may have become a device meanwhile, and to open one can be an act.
        let handle = place
            .open(OFlags::PATH)
            .map_err(|e| refused(path, "open", e))?;
        let stat = rustix::fs::fstat(&handle).map_err(|e| refused(path, "stat", e))?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(refused(path, "changed while it was packed", Errno::STALE));
        }
        let opened = reopen(&handle).map_err(|e| refused(path, "open", e))?;
        let file = File::from(opened);
        let mut entry = self.entry(path, Kind::File, &stat);
        entry.size = u64::try_from(stat.st_size).unwrap_or(0);
        let xattrs =
            listing::xattrs(file.as_fd()).map_err(|e| refused(path, "read attributes", e))?;
        entry.xattrs = portable(xattrs);
        self.put(&entry)?;
        self.packed.bytes += entry.size;
        self.copy(&file, entry.size, path)
    }

    fn copy(&mut self, mut file: &File, size: u64, path: &[u8]) -> Result<()> {
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let got = match file.read(&mut self.buffer[..most]) {
                Ok(0) => {
                    self.buffer[..most].fill(0); // it became shorter
                    most
                }
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(Error::Pack {
                        path: Name::new(path),
                        action: "read",
                        source,
                    });
                }
            };
            self.writer.write_data(&self.buffer[..got])?;
            left -= got as u64;
        }
        Ok(())
    }

    fn entry(&self, path: &[u8], kind: Kind, stat: &Stat) -> Entry {
        let mut entry = Entry::new(path, kind, stat.st_mode & 0o7777);
        let (uid, gid) = self.options.shift;
        let own = (below(stat.st_uid, uid), below(stat.st_gid, gid));
        (entry.uid, entry.gid) = self.options.owner.unwrap_or(own);
        entry.mtime = Time {
            secs: stat.st_mtime,
            nanos: if self.options.nanoseconds {
                stat.st_mtime_nsec as u32
            } else {
                0
            },
        };
        if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
            entry.device = (
                rustix::fs::major(stat.st_rdev),
                rustix::fs::minor(stat.st_rdev),
            );
        }
        entry
    }

    fn put(&mut self, entry: &Entry) -> Result<()> {
        self.packed.entries += 1;
        self.writer.begin(entry)
    }
}

/// Opens for reading what a path-only descriptor stands for.
fn reopen(handle: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn portable(mut xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    xattrs.retain(|(name, _)| is_portable(name));
    xattrs
}

fn refused(path: &[u8], action: &'static str, errno: Errno) -> Error {
    Error::Pack {
        path: Name::new(path),
        action,
        source: errno.into(),
    }
}

/// An id of the disk as the archive says it; what has no place there is the kernel's nobody.
fn below(id: u32, shift: u32) -> u32 {
    id.checked_sub(shift).unwrap_or(65_534)
}
