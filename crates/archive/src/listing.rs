//! The names in a folder, sorted, and the attributes of what they name.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat};
use rustix::io::{self, Errno};

/// Folders nested deeper than this are refused: nobody means them, and each level costs an fd.
pub(crate) const MAX_DEPTH: usize = 1000;

/// The names in `dir` in the order of their bytes, without `.` and `..`.
pub(crate) fn names(dir: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens a folder that is no symlink.
pub(crate) fn open_folder(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Overlay's mark for "nothing here": a character device 0:0.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether overlay hides what the layers below have in this folder.
pub(crate) fn is_opaque(folder: BorrowedFd<'_>, userxattr: bool) -> io::Result<bool> {
    let name = if userxattr {
        c"user.overlay.opaque"
    } else {
        c"trusted.overlay.opaque"
    };
    let mut value = [0; 4];
    match rustix::fs::fgetxattr(folder, name, &mut value) {
        Ok(len) => Ok(value[..len] == *b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(other) => Err(other),
    }
}

/// All extended attributes of something open, sorted by name; none where there can be none.
pub(crate) fn xattrs(fd: BorrowedFd<'_>) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    collect(
        |list| rustix::fs::flistxattr(fd, list),
        |name, value| rustix::fs::fgetxattr(fd, name, value),
    )
}

/// The same for what cannot be opened, a symlink or device, by its name in an open folder.
pub(crate) fn xattrs_at(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // The folder is named by its fd: nothing on the way can be exchanged, and the last name is not followed.
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    collect(
        |list| rustix::fs::llistxattr(&path[..], list),
        |name, value| rustix::fs::lgetxattr(&path[..], name, value),
    )
}

fn collect(
    list: impl Fn(&mut [u8]) -> io::Result<usize>,
    get: impl Fn(&[u8], &mut [u8]) -> io::Result<usize>,
) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut small = [0; 256];
    let mut large = Vec::new();
    let names = match list(&mut small) {
        Ok(len) => &small[..len],
        Err(Errno::RANGE) => {
            large.resize(64 << 10, 0); // XATTR_LIST_MAX
            let len = list(&mut large)?;
            &large[..len]
        }
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(other) => return Err(other),
    };
    let mut found = Vec::new();
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 << 10]; // XATTR_SIZE_MAX
        match get(name, &mut value) {
            Ok(len) => value.truncate(len),
            Err(Errno::NODATA) => continue, // removed meanwhile
            Err(other) => return Err(other),
        }
        found.push((name.to_vec(), value));
    }
    found.sort_unstable();
    Ok(found)
}
