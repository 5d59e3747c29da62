//! Paths inside the container's root: always walked from a descriptor, never joined to a path of ours.
//!
//! The image decides what is a symbolic link, and another container that shares a volume may change it at any moment.
//! So a path is resolved by the kernel with the root as its limit (openat2(2), `RESOLVE_IN_ROOT`); where something must
//! be made on the way, we walk it ourselves, a descriptor for each folder, and `..` goes back along those descriptors.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat};
use rustix::io::Errno;

/// The limit of symbolic links in one path, as the kernel has it.
const MOST_LINKS: usize = 40;

/// A root, held open.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

/// What a path must end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// A folder, made when missing.
    Folder,
    /// Anything but a folder; an empty file is made when missing.
    File,
}

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl Root {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Opens what is there, links followed inside the root only.
    pub(crate) fn open(&self, path: impl AsRef<Path>, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        sys::open::openat2(
            &self.0,
            path.as_ref(),
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )
    }

    /// A descriptor of what is there, whatever it is, made when missing. New folders are 0755, new files 0644.
    pub(crate) fn make(&self, path: &Path, want: Want) -> Result<OwnedFd, Errno> {
        match self.open(path, OFlags::PATH) {
            Ok(fd) => Ok(fd),
            Err(Errno::NOENT) => Walk::new(&self.0, path)?.walk(want),
            Err(errno) => Err(errno),
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Our own walk.
struct Walk<'a> {
    root: &'a OwnedFd,
    /// The folders from the root (not in it) to where we are.
    folders: Vec<OwnedFd>,
    left: VecDeque<Vec<u8>>,
    links: usize,
}

fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
}

impl<'a> Walk<'a> {
    fn new(root: &'a OwnedFd, path: &Path) -> Result<Self, Errno> {
        Ok(Self {
            root,
            folders: Vec::new(),
            left: parts(path.as_os_str().as_bytes()).collect(),
            links: 0,
        })
    }

    fn here(&self) -> &OwnedFd {
        self.folders.last().unwrap_or(self.root)
    }

    fn walk(mut self, want: Want) -> Result<OwnedFd, Errno> {
        while let Some(part) = self.left.pop_front() {
            if part == b".." {
                self.folders.pop();
                continue;
            }
            let fd = self.enter(&part, want)?;
            match kind(&fd)? {
                FileType::Directory => self.folders.push(fd),
                FileType::Symlink => self.follow(&fd)?,
                _ if self.left.is_empty() => return Ok(fd),
                _ => return Err(Errno::NOTDIR),
            }
        }
        match self.folders.pop() {
            Some(folder) => Ok(folder),
            None => openat(self.root, c".", PATH, Mode::empty()),
        }
    }

    /// Opens one part, not following it; makes it when it is not there.
    fn enter(&self, part: &[u8], want: Want) -> Result<OwnedFd, Errno> {
        let name = OsStr::from_bytes(part);
        let flags = PATH | OFlags::NOFOLLOW;
        match openat(self.here(), name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let made = if self.left.is_empty() && want == Want::File {
            let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(self.here(), name, create, Mode::from_raw_mode(0o644)).map(drop)
        } else {
            rustix::fs::mkdirat(self.here(), name, Mode::from_raw_mode(0o755))
        };
        match made {
            // Somebody was faster; what they made is looked at like anything else.
            Ok(()) | Err(Errno::EXIST) => openat(self.here(), name, flags, Mode::empty()),
            Err(errno) => Err(errno),
        }
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<(), Errno> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        let target = rustix::fs::readlinkat(link, c"", Vec::new())?;
        if target.as_bytes().starts_with(b"/") {
            self.folders.clear();
        }
        for part in parts(target.as_bytes()).rev() {
            self.left.push_front(part);
        }
        Ok(())
    }
}

/// What kind of file a descriptor is.
pub(crate) fn kind(fd: impl AsFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    struct Temp(PathBuf);
    impl Temp {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!(
                "estiva-inroot-{}-{name}",
                rustix::process::getpid().as_raw_nonzero()
            ));
            std::fs::create_dir_all(path.join("root")).expect("a temporary folder");
            Self(path)
        }
        fn root(&self) -> Root {
            let root = self.0.join("root");
            Root::new(rustix::fs::open(&root, PATH, Mode::empty()).expect("it was just made"))
        }
    }
    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn missing_folders_are_made_below_the_root_whatever_links_say() {
        let temp = Temp::new("links");
        let inside = temp.0.join("root");
        symlink("/run", inside.join("abs")).expect("symlink");
        symlink("../../../../up", inside.join("rel")).expect("symlink");
        let root = temp.root();
        root.make(Path::new("/abs/lock/x"), Want::Folder)
            .expect("abs");
        root.make(Path::new("rel/y"), Want::File).expect("rel");
        root.make(Path::new("/../../z"), Want::Folder)
            .expect("dots");
        assert!(inside.join("run/lock/x").is_dir());
        assert!(inside.join("up/y").is_file());
        assert!(inside.join("z").is_dir());
        assert!(!temp.0.join("up").exists() && !temp.0.join("z").exists());
    }

    #[test]
    fn what_is_there_is_kept() {
        let temp = Temp::new("kept");
        std::fs::write(temp.0.join("root/f"), "x").expect("write");
        let fd = temp
            .root()
            .make(Path::new("/f"), Want::File)
            .expect("it is there");
        assert_eq!(rustix::fs::fstat(&fd).expect("stat").st_size, 1);
    }

    #[test]
    fn a_file_in_the_way_and_a_loop_are_errors() {
        let temp = Temp::new("way");
        std::fs::write(temp.0.join("root/f"), "x").expect("write");
        symlink("b", temp.0.join("root/a")).expect("symlink");
        symlink("a", temp.0.join("root/b")).expect("symlink");
        let root = temp.root();
        assert_eq!(
            root.make(Path::new("/f/x"), Want::Folder)
                .expect_err("a file"),
            Errno::NOTDIR
        );
        assert_eq!(
            root.make(Path::new("/a/x"), Want::Folder)
                .expect_err("a loop"),
            Errno::LOOP
        );
    }
}
