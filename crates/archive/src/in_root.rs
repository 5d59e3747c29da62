//! Opens paths below a folder that can never lead out of it: absolute paths, `..` and symlinks end at the folder.
//!
//! See openat2(2), `RESOLVE_IN_ROOT`, Linux 5.6.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};
use rustix::io::{self, Errno};

/// Opens `path` as it is seen by a process whose root is `root`; the last component is followed unless `flags`
/// hold `NOFOLLOW`. `CLOEXEC` is added.
///
/// # Errors
/// openat2(2)'s.
pub fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    sys::open::openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve)
}

/// A handle on `path` that can be asked and passed on, but not read: works for every kind of file.
///
/// # Errors
/// openat2(2)'s.
pub fn handle(root: BorrowedFd<'_>, path: &[u8], follow: bool) -> io::Result<OwnedFd> {
    let nofollow = if follow {
        OFlags::empty()
    } else {
        OFlags::NOFOLLOW
    };
    open(root, path, OFlags::PATH | nofollow, Mode::empty())
}

/// What stat(2) says of `path`.
///
/// # Errors
/// openat2(2)'s.
pub fn stat(root: BorrowedFd<'_>, path: &[u8], follow: bool) -> io::Result<Stat> {
    rustix::fs::fstat(handle(root, path, follow)?)
}

/// Where the symlink `path` points to.
///
/// # Errors
/// openat2(2)'s, and `EINVAL` if it is no symlink.
pub fn read_link(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<Vec<u8>> {
    let link = handle(root, path, false)?;
    let target = rustix::fs::readlinkat(link, c"", Vec::new()).map_err(|e| match e {
        Errno::NOENT => Errno::INVAL, // readlinkat(2) with an empty path says ENOENT for all but symlinks
        other => other,
    })?;
    Ok(target.into_bytes())
}

/// The folder and the last name of a path; an empty name when the path is the root itself.
#[must_use]
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let path = match path.iter().rposition(|b| *b != b'/') {
        Some(last) => &path[..=last],
        None => return (b"", b""),
    };
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), "inside").unwrap();
        symlink("/etc/passwd", dir.path().join("absolute")).unwrap();
        symlink("../../../../etc/passwd", dir.path().join("up")).unwrap();
        let root = std::fs::File::open(dir.path()).unwrap();
        for path in ["absolute", "/up", "../../absolute", "etc/../../up"] {
            let stat = stat(root.as_fd(), path.as_bytes(), true).unwrap();
            assert_eq!(stat.st_size, 6, "{path}");
        }
        assert_eq!(
            read_link(root.as_fd(), b"absolute").unwrap(),
            b"/etc/passwd"
        );
        assert_eq!(read_link(root.as_fd(), b"etc"), Err(Errno::INVAL));
    }

    #[test]
    fn paths_split_at_the_last_name() {
        assert_eq!(split(b"/a/b/"), (&b"/a"[..], &b"b"[..]));
        assert_eq!(split(b"b"), (&b""[..], &b"b"[..]));
        assert_eq!(split(b"//"), (&b""[..], &b""[..]));
    }
}
