//! Running from a copy of our own program that nobody can write.
//!
//! A container's program may be `/proc/self/exe`, which is us until the exec: a process inside could then write to the
//! binary on the host (CVE-2019-5736). What runs from a read-only mount outside of every mount namespace, or from
//! sealed memory, cannot be written through `/proc`.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags, fcntl_add_seals, fcntl_get_seals,
    fstatvfs, memfd_create, open,
};
use rustix::mount::{OpenTreeFlags, open_tree};
use sys::exec::{Strings, fexecve};
use sys::mount::{Attr, Change, Depth, set_attributes};

const SELF: &str = "/proc/self/exe";

/// Goes on in a process whose program cannot be written: at once when it is so already, by exchanging the file that it runs
/// from where the kernel lets us, otherwise by executing ourselves again with these arguments and this environment.
///
/// # Errors
/// When neither a mount nor a copy can be made or executed.
pub fn ensure(again: impl FnOnce() -> (Vec<CString>, Vec<CString>)) -> io::Result<()> {
    let own = open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    if is_sealed(&own) {
        return Ok(());
    }
    drop(own);
    if exchange().is_ok_and(|sealed| sealed) {
        return Ok(());
    }
    let (args, env) = again();
    Err(fexecve(
        program()?.as_fd(),
        &Strings::new(args),
        &Strings::new(env),
    ))
}

/// Runs from the read-only mount from here on, and looks whether it is so.
fn exchange() -> io::Result<bool> {
    use std::os::fd::AsRawFd;
    let mount = mounted()?;
    let through = format!("/proc/self/fd/{}", mount.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = open(through, flags, Mode::empty())?;
    sys::image::run_from(file.as_fd())?;
    Ok(is_sealed(&open(SELF, flags, Mode::empty())?))
}

/// The running binary as a file that nobody can write, ready to be executed by its descriptor.
///
/// # Errors
/// When neither a mount nor a copy can be made; the copy's error is told.
pub fn program() -> io::Result<OwnedFd> {
    mounted().or_else(|_| copied())
}

fn is_sealed(own: &OwnedFd) -> bool {
    let readonly = fstatvfs(own).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    readonly || fcntl_get_seals(own).is_ok_and(|seals| seals.contains(SealFlags::WRITE))
}

/// A mount of the one file, in no mount namespace: nobody can find it there and make it writable again.
fn mounted() -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, SELF, flags)?;
    let change = Change {
        set: Attr::RDONLY | Attr::NOSUID | Attr::NODEV,
        ..Change::default()
    };
    set_attributes(&mount, Depth::One, &change)?;
    Ok(mount)
}

/// A copy in memory that the kernel refuses to change, for callers who may not mount.
fn copied() -> io::Result<OwnedFd> {
    let own = open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut copy = File::from(memfd_create("estiva", flags)?);
    io::copy(&mut File::from(own), &mut copy)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_known_as_sealed_and_the_file_itself_is_not() {
        let own = || open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).expect("we run");
        let copy = copied().expect("memory for a copy");
        assert!(is_sealed(&copy));
        assert!(is_sealed(&mounted().expect("the right to mount")));
        assert!(!is_sealed(&own()), "the test binary is on a writable mount");
    }

    #[test]
    fn neither_can_be_written() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let mut copy = File::from(copied().expect("memory for a copy"));
        let error = copy.write(b"x").expect_err("the copy is sealed");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let mount = mounted().expect("the right to mount");
        let through = format!("/proc/self/fd/{}", mount.as_raw_fd());
        let errno = open(through, OFlags::WRONLY, Mode::empty()).expect_err("read-only");
        // Which of the two the kernel checks first depends on whether the program runs.
        assert!(matches!(
            errno,
            rustix::io::Errno::ROFS | rustix::io::Errno::TXTBSY
        ));
    }
}
