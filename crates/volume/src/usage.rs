//! How much disk a volume takes, as du(1) counts it.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, StatxFlags, openat, statx,
};
use rustix::io::Errno;

use crate::error::{Result, at};
use crate::store::Store;

impl Store {
    /// The bytes on disk of a volume's content: blocks, each hard-linked file once, no other file system below. What vanishes
    /// meanwhile is not counted.
    ///
    /// # Errors
    /// `NotFound`; when the content cannot be read.
    pub fn usage(&self, name: &str) -> Result<u64> {
        let path = self.entry(name)?.volume.mountpoint.clone();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, &path, flags, Mode::empty())
            .map_err(|errno| at("open", &path)(errno.into()))?;
        measure(root).map_err(|errno| at("read", &path)(errno.into()))
    }
}

/// Walks with a stack of open folders instead of recursion, so that deep trees cost descriptors only as wide as they branch.
fn measure(root: OwnedFd) -> rustix::io::Result<u64> {
    let wanted = StatxFlags::BLOCKS | StatxFlags::NLINK | StatxFlags::INO | StatxFlags::TYPE;
    let own = statx(&root, "", AtFlags::EMPTY_PATH, wanted)?;
    let device = (own.stx_dev_major, own.stx_dev_minor);
    let mut bytes = own.stx_blocks * 512;
    let mut seen = HashSet::new();
    let mut names: Vec<(usize, std::ffi::CString)> = Vec::new();
    let mut folders: Vec<OwnedFd> = vec![root];
    list(&folders[0], 0, &mut names)?;
    while let Some((depth, name)) = names.pop() {
        folders.truncate(depth + 1);
        let parent = folders[depth].as_fd();
        let stat = match statx(parent, &name, AtFlags::SYMLINK_NOFOLLOW, wanted) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        if (stat.stx_dev_major, stat.stx_dev_minor) != device {
            continue;
        }
        let is_folder = FileType::from_raw_mode(u32::from(stat.stx_mode)) == FileType::Directory;
        if is_folder || stat.stx_nlink < 2 || seen.insert(stat.stx_ino) {
            bytes += stat.stx_blocks * 512;
        }
        if is_folder {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            match sys::open::openat2(parent, &name, flags, Mode::empty(), resolve) {
                Ok(folder) => {
                    folders.push(folder);
                    list(&folders[depth + 1], depth + 1, &mut names)?;
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(bytes)
}

fn list(
    folder: &OwnedFd,
    depth: usize,
    names: &mut Vec<(usize, std::ffi::CString)>,
) -> rustix::io::Result<()> {
    let mut buffer = Vec::with_capacity(32 << 10);
    let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push((depth, entry.file_name().to_owned()));
        }
    }
    Ok(())
}
