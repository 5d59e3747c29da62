//! Removes whole trees by folder fds: no symlink is followed, and no depth of nesting exhausts stack or fds.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::{self, Errno};
use rustix::path::Arg;

/// Folders deeper than this are moved up to the top before they are emptied: they cost no stack and no fds.
const MAX_DEPTH: u32 = 64;
/// How often a folder that others fill meanwhile is emptied again.
const TRIES: u32 = 64;

/// Removes `name` in `parent` and all below it; that it is not there is no error.
///
/// # Errors
/// unlinkat(2)'s and openat(2)'s; what stood before the failure is gone.
pub fn remove(parent: BorrowedFd<'_>, name: impl Arg) -> io::Result<()> {
    let name = name.into_c_str()?;
    match rustix::fs::unlinkat(parent, &*name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(other) => return Err(other),
    }
    let top = open(parent, &name)?;
    let mut moved = 0;
    for _ in 0..TRIES {
        empty(top.as_fd(), top.as_fd(), 0, &mut moved)?;
        match rustix::fs::unlinkat(parent, &*name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(other) => return Err(other),
        }
    }
    Err(Errno::NOTEMPTY)
}

fn open(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<rustix::fd::OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Removes what `dir` holds; folders too deep are moved into `top`, where a later pass finds them.
fn empty(dir: BorrowedFd<'_>, top: BorrowedFd<'_>, depth: u32, moved: &mut u64) -> io::Result<()> {
    let mut entries = Dir::read_from(dir)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() != FileType::Directory {
            match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::ISDIR) => {} // a file system that tells no kinds
                Err(other) => return Err(other),
            }
        }
        if depth == MAX_DEPTH {
            move_up(dir, name, top, moved)?;
            continue;
        }
        let child = match open(dir, name) {
            Ok(child) => child,
            Err(Errno::NOENT) => continue,
            Err(other) => return Err(other),
        };
        empty(child.as_fd(), top, depth + 1, moved)?;
        match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

fn move_up(
    dir: BorrowedFd<'_>,
    name: &CStr,
    top: BorrowedFd<'_>,
    moved: &mut u64,
) -> io::Result<()> {
    loop {
        *moved += 1;
        let free = format!(".deep-{moved}");
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(dir, name, top, free.as_str(), flags) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("estiva-tree-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_tree_of_any_depth_goes_and_links_are_not_followed() {
        let dir = scratch("deep");
        std::fs::write(dir.join("kept"), "x").unwrap();
        std::fs::create_dir(dir.join("tree")).unwrap();
        std::os::unix::fs::symlink("../kept", dir.join("tree/file-link")).unwrap();
        std::os::unix::fs::symlink("..", dir.join("tree/folder-link")).unwrap();
        let parent = std::fs::File::open(&dir).unwrap();
        let mut at = std::fs::File::open(dir.join("tree")).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            rustix::fs::mkdirat(&at, "e", Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, "d", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .unwrap()
                .into();
        }
        remove(parent.as_fd(), "tree").unwrap();
        assert!(!dir.join("tree").exists());
        assert!(dir.join("kept").exists());
        remove(parent.as_fd(), "kept").unwrap();
        remove(parent.as_fd(), "never-there").unwrap();
        std::fs::remove_dir(&dir).unwrap();
    }
}
