//! A new volume takes over what the image has at its place.
//!
//! Everything goes by open folders: the source is hostile and the target may be in use, so no path of more than one component
//! is resolved but beneath a folder that we hold, and no link is followed.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, SeekFrom, Stat,
    Timespec, Timestamps, Uid, XattrFlags, chmod, chownat, copy_file_range, fchmod, fchown,
    fgetxattr, flistxattr, fsetxattr, fstat, ftruncate, futimens, ioctl_ficlone, lgetxattr, linkat,
    llistxattr, lsetxattr, mkdirat, mknodat, openat, readlinkat, renameat_with, seek, statat,
    symlinkat, utimensat,
};
use rustix::io::Errno;

use crate::error::{Error, Result, at};
use crate::name::random_hex;
use crate::store::{DATA, Store, discard};

/// Each level of folders holds two descriptors open.
const MAX_DEPTH: usize = 200;

impl Store {
    /// Fills an empty volume with the content of `source`, an open folder of the image: ownership, modes, times, extended
    /// attributes, links, devices, holes. A volume with content stays as it is. Gives whether something was copied.
    ///
    /// To be called after `acquire` and before anything is mounted from the volume: when only one holds it, the content comes
    /// into place by one rename, so that a crash leaves an empty volume rather than half of one.
    ///
    /// # Errors
    /// `NotFound`; when something cannot be copied. The volume is empty then, unless it was in use by several.
    pub fn copy_up(&self, name: &str, source: impl AsFd) -> Result<bool> {
        let entry = self.entry(name)?;
        let holders = entry.lock();
        let target = &entry.volume.mountpoint;
        let open = |path: &Path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(CWD, path, flags, Mode::empty()).map_err(|errno| at("open", path)(errno.into()))
        };
        let data = open(target)?;
        let failed = |errno: Errno| at("read", target)(errno.into());
        if !names(&data).map_err(failed)?.is_empty() {
            return Ok(false);
        }
        let alone = holders.by.len() < 2 && !entry.volume.has_device();
        if !alone {
            copy_tree(name, source.as_fd(), &data)?;
            return Ok(true);
        }
        let folder = target.with_file_name(format!(".copy-{}", random_hex::<8>()));
        mkdirat(CWD, &folder, Mode::from_raw_mode(0o700))
            .map_err(|errno| at("create", &folder)(errno.into()))?;
        let copied = open(&folder)
            .and_then(|staging| copy_tree(name, source.as_fd(), &staging))
            .and_then(|()| {
                // The empty folder that was there goes with the rename.
                renameat_with(CWD, &folder, CWD, target, RenameFlags::empty())
                    .map_err(|errno| at("rename", target)(errno.into()))
            });
        if copied.is_err() {
            // The first error is the one to tell; the next start tries again.
            let _ = discard(&folder);
        }
        debug_assert_eq!(target.file_name(), Some(DATA.as_ref()));
        copied.map(|()| true)
    }
}

fn copy_tree(name: &str, source: BorrowedFd<'_>, target: &OwnedFd) -> Result<()> {
    // The caller may hold the source as O_PATH, which cannot be listed.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut copy = Copy {
        name,
        root: target.as_fd(),
        path: Vec::new(),
        links: HashMap::new(),
    };
    let source = openat(source, ".", flags, Mode::empty()).map_err(copy.failed("open"))?;
    copy.folder(&source, target)
}

/// One copy on its way.
struct Copy<'a> {
    name: &'a str,
    root: BorrowedFd<'a>,
    /// The components from the root to where we are.
    path: Vec<CString>,
    /// Where the first name of each file with several names went.
    links: HashMap<(u64, u64), CString>,
}

impl Copy<'_> {
    /// Copies what is in a folder, and then its own attributes: its times would change with its content.
    fn folder(&mut self, source: &OwnedFd, target: &OwnedFd) -> Result<()> {
        for name in names(source).map_err(self.failed("list"))? {
            if self.path.len() >= MAX_DEPTH {
                return Err(Error::TooDeep {
                    name: self.name.to_owned(),
                    path: self.shown(),
                });
            }
            self.path.push(name);
            self.entry(source, target)?;
            self.path.pop();
        }
        let stat = fstat(source).map_err(self.failed("stat"))?;
        self.attributes(source, target, &stat)
    }

    fn entry(&mut self, source: &OwnedFd, target: &OwnedFd) -> Result<()> {
        let name = self.path.last().expect("pushed by the caller").clone();
        let name = name.as_c_str();
        let stat = match statat(source, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Gone meanwhile.
            Err(Errno::NOENT) => return Ok(()),
            stat => stat.map_err(self.failed("stat"))?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::Directory && stat.st_nlink > 1 && self.link(target, name, &stat)? {
            return Ok(());
        }
        match kind {
            FileType::Directory => {
                let inner =
                    open_beneath(source, name, OFlags::DIRECTORY).map_err(self.failed("open"))?;
                mkdirat(target, name, Mode::from_raw_mode(0o700)).map_err(self.failed("create"))?;
                let made =
                    open_beneath(target, name, OFlags::DIRECTORY).map_err(self.failed("open"))?;
                self.folder(&inner, &made)
            }
            FileType::RegularFile => self.file(source, target, name),
            FileType::Symlink => {
                let to = readlinkat(source, name, Vec::new()).map_err(self.failed("read"))?;
                symlinkat(&to, target, name).map_err(self.failed("create"))?;
                self.name_attributes(source, target, name, &stat)
            }
            // A whiteout of an overlay layer is no file of the image.
            FileType::CharacterDevice if stat.st_rdev == 0 => Ok(()),
            FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Fifo
            | FileType::Socket => {
                let mode = Mode::from_raw_mode(0o600);
                mknodat(target, name, kind, mode, stat.st_rdev).map_err(self.failed("create"))?;
                self.name_attributes(source, target, name, &stat)
            }
            FileType::Unknown => Ok(()),
        }
    }

    /// Makes a further name of a file that is copied already; remembers where the first one goes.
    fn link(&mut self, target: &OwnedFd, name: &CStr, stat: &Stat) -> Result<bool> {
        let key = (stat.st_dev, stat.st_ino);
        let Some(first) = self.links.get(&key) else {
            let path: Vec<_> = self.path.iter().map(|part| part.to_bytes()).collect();
            let path = CString::new(path.join(&b'/')).expect("components have no zero byte");
            self.links.insert(key, path);
            return Ok(false);
        };
        // In a volume that is in use, somebody may have put a symlink on the way.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let first = sys::open::openat2(self.root, first, flags, Mode::empty(), RESOLVE)
            .map_err(self.failed("open"))?;
        linkat(&first, "", target, name, AtFlags::EMPTY_PATH).map_err(self.failed("link"))?;
        Ok(true)
    }

    fn file(&self, source: &OwnedFd, target: &OwnedFd, name: &CStr) -> Result<()> {
        // Should it have become a FIFO or device meanwhile, the open must not wait or act.
        let from = open_beneath(source, name, OFlags::NONBLOCK).map_err(self.failed("open"))?;
        let stat = fstat(&from).map_err(self.failed("stat"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.failed("open")(Errno::STALE));
        }
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let to = openat(target, name, flags, Mode::from_raw_mode(0o600))
            .map_err(self.failed("create"))?;
        content(&from, &to, &stat).map_err(self.failed("copy"))?;
        self.attributes(&from, &to, &stat)
    }

    /// Attributes of what we hold open. The owner first: a change of it takes setuid bits and capabilities away.
    fn attributes(&self, source: &OwnedFd, target: &OwnedFd, stat: &Stat) -> Result<()> {
        fchown(
            target,
            Some(Uid::from_raw(stat.st_uid)),
            Some(Gid::from_raw(stat.st_gid)),
        )
        .map_err(self.failed("chown"))?;
        copy_open_xattrs(source, target).map_err(self.failed("set attributes"))?;
        fchmod(target, Mode::from_raw_mode(stat.st_mode)).map_err(self.failed("chmod"))?;
        futimens(target, &times(stat)).map_err(self.failed("set times"))
    }

    /// Attributes of what cannot be opened without effect: symlinks, devices, FIFOs, sockets.
    fn name_attributes(
        &self,
        source: &OwnedFd,
        target: &OwnedFd,
        name: &CStr,
        stat: &Stat,
    ) -> Result<()> {
        chownat(
            target,
            name,
            Some(Uid::from_raw(stat.st_uid)),
            Some(Gid::from_raw(stat.st_gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(self.failed("chown"))?;
        // The calls with `l` take paths only. The folder is ours by descriptor, and the last component is not followed.
        let path = |fd: &OwnedFd| {
            let mut path = format!("/proc/self/fd/{}/", fd.as_raw_fd()).into_bytes();
            path.extend_from_slice(name.to_bytes());
            CString::new(path).expect("a name has no zero byte")
        };
        copy_xattrs(&path(source), &path(target)).map_err(self.failed("set attributes"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let node = sys::open::openat2(target, name, flags, Mode::empty(), RESOLVE)
                .map_err(self.failed("open"))?;
            let link = format!("/proc/self/fd/{}", node.as_raw_fd());
            chmod(link, Mode::from_raw_mode(stat.st_mode)).map_err(self.failed("chmod"))?;
        }
        utimensat(target, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(self.failed("set times"))
    }

    fn shown(&self) -> String {
        let parts: Vec<_> = self
            .path
            .iter()
            .map(|part| part.to_string_lossy())
            .collect();
        parts.join("/")
    }

    fn failed(&self, step: &'static str) -> impl Fn(Errno) -> Error {
        let (name, path) = (self.name.to_owned(), self.shown());
        move |errno| Error::Copy {
            name: name.clone(),
            path: path.clone(),
            step,
            source: io::Error::from(errno),
        }
    }
}

// --- Files ---

const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

fn open_beneath(folder: &OwnedFd, name: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    sys::open::openat2(folder, name, flags, Mode::empty(), RESOLVE)
}

/// The names in a folder, all read before anything is done with them.
fn names(folder: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    // A listing of its own: the position in the folder belongs to the open description.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listing = openat(folder, ".", flags, Mode::empty())?;
    let mut buffer = Vec::with_capacity(32 << 10);
    let mut entries = RawDir::new(&listing, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanos: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanos).unwrap_or(0),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// The bytes of a file: shared where the file system can, else copied inside the kernel, holes kept.
fn content(from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> rustix::io::Result<()> {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size == 0 || ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    ftruncate(to, size)?;
    let mut at = 0;
    while at < size {
        let start = match seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno),
        };
        let end = seek(from, SeekFrom::Hole(start))?.min(size);
        range(from, to, start, end)?;
        at = end.max(start + 1);
    }
    Ok(())
}

fn range(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> rustix::io::Result<()> {
    let (mut read_at, mut write_at) = (start, start);
    while read_at < end {
        let len = usize::try_from(end - read_at)
            .unwrap_or(usize::MAX)
            .min(1 << 30);
        match copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), len) {
            // Cut short meanwhile.
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return by_hand(from, to, read_at, end);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn by_hand(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> rustix::io::Result<()> {
    let mut buffer = vec![0u8; 256 << 10];
    let mut at = start;
    while at < end {
        let want = usize::try_from(end - at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let got = rustix::io::pread(from, &mut buffer[..want], at)?;
        if got == 0 {
            return Ok(());
        }
        let mut written = 0;
        while written < got {
            written += rustix::io::pwrite(to, &buffer[written..got], at + written as u64)?;
        }
        at += got as u64;
    }
    Ok(())
}

// --- Extended attributes ---

/// The kernel's limit of a list and of a value. See xattr(7).
const MAX_XATTR_BYTES: usize = 64 << 10;

/// Those of overlayfs tell how its layers lie together, and nothing of the file.
fn is_copied(name: &CStr) -> bool {
    let name = name.to_bytes();
    !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.")
}

fn each_name(list: &[u8]) -> impl Iterator<Item = &CStr> {
    list.split_inclusive(|byte| *byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .filter(|name| is_copied(name))
}

/// A file system without attributes has none to copy; one that cannot keep them loses what no program there could use.
fn ignore_unsupported(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::NODATA) => Ok(()),
        result => result,
    }
}

/// The list of a file's attributes. Most files have none, so the first try is a small one.
fn list(
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Option<Vec<u8>>> {
    let mut small = [0u8; 512];
    match read(&mut small) {
        Ok(0) | Err(Errno::OPNOTSUPP) => Ok(None),
        Ok(len) => Ok(Some(small[..len].to_vec())),
        Err(Errno::RANGE) => {
            let mut large = vec![0u8; MAX_XATTR_BYTES];
            let len = read(&mut large)?;
            large.truncate(len);
            Ok(Some(large))
        }
        Err(errno) => Err(errno),
    }
}

fn copy_xattrs(from: &CStr, to: &CStr) -> rustix::io::Result<()> {
    let Some(list) = list(|buffer| llistxattr(from, buffer))? else {
        return Ok(());
    };
    for name in each_name(&list) {
        let mut value = vec![0u8; MAX_XATTR_BYTES];
        let copied = lgetxattr(from, name, &mut value[..])
            .and_then(|len| lsetxattr(to, name, &value[..len], XattrFlags::empty()));
        ignore_unsupported(copied)?;
    }
    Ok(())
}

fn copy_open_xattrs(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    let Some(list) = list(|buffer| flistxattr(from, buffer))? else {
        return Ok(());
    };
    for name in each_name(&list) {
        let mut value = vec![0u8; MAX_XATTR_BYTES];
        let copied = fgetxattr(from, name, &mut value[..])
            .and_then(|len| fsetxattr(to, name, &value[..len], XattrFlags::empty()));
        ignore_unsupported(copied)?;
    }
    Ok(())
}
