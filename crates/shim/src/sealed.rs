//! Our own program as a file that nobody can write: a detached read-only mount, or a sealed copy in memory.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create, open};
use rustix::mount::{OpenTreeFlags, open_tree};
use sys::mount::{Attr, Change, Depth, set_attributes};

const SELF: &str = "/proc/self/exe";

/// The running binary, ready for [`sys::exec::fexecve`].
///
/// # Errors
/// When neither a mount nor a copy can be made; the copy's error is told.
pub(crate) fn program() -> io::Result<OwnedFd> {
    mounted().or_else(|_| copied())
}

/// A mount of the one file, in no mount namespace: nobody can find it there and make it writable again.
fn mounted() -> io::Result<OwnedFd> {
    let mount = open_tree(
        rustix::fs::CWD,
        SELF,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?;
    set_attributes(
        &mount,
        Depth::One,
        &Change {
            set: Attr::RDONLY | Attr::NOSUID | Attr::NODEV,
            clear: Attr::empty(),
            propagation: None,
            idmap: None,
        },
    )?;
    Ok(mount)
}

/// A copy in memory that the kernel refuses to change, for kernels before 5.12 and callers who may not mount.
fn copied() -> io::Result<OwnedFd> {
    let mut source = open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map(File::from)?;
    let mut copy = File::from(memfd_create(
        "estiva",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?);
    io::copy(&mut source, &mut copy)?;
    fcntl_add_seals(
        &copy,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(copy.into())
}

/// `/dev/null`, for reading and writing.
///
/// # Errors
/// When the machine has none.
pub(crate) fn null() -> io::Result<OwnedFd> {
    Ok(open(
        "/dev/null",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_copy_cannot_be_written() {
        let mut copy = File::from(copied().expect("memory for a copy"));
        let error = copy.write(b"x").expect_err("the copy is sealed");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn the_mount_cannot_be_written() {
        use std::os::fd::AsRawFd;
        let mount = mounted().expect("the right to mount");
        let through = format!("/proc/self/fd/{}", mount.as_raw_fd());
        let error = open(through, OFlags::WRONLY, Mode::empty()).expect_err("read-only");
        // Both refuse the write; which one the kernel checks first depends on whether the program runs.
        assert!(matches!(
            error,
            rustix::io::Errno::ROFS | rustix::io::Errno::TXTBSY
        ));
    }
}
