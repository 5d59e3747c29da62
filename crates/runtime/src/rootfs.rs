//! The root file system as a detached mount, made before the container exists.

mod mapped;

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use oci::Rootfs;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string,
    fsmount, fsopen, open_tree,
};
use sys::mount::{Change, Depth, Propagation, set_attributes};

use crate::errno::Refusal;
use crate::error::Error;
use crate::idmap::Idmaps;

fn failed(what: String) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::Rootfs {
        what,
        source: Refusal(errno),
    }
}

/// Makes the root as a mount that is attached nowhere yet; it vanishes when the descriptor is closed before it is.
pub(crate) fn prepare(rootfs: &Rootfs, idmaps: &mut Idmaps<'_>) -> Result<OwnedFd, Error> {
    match rootfs {
        Rootfs::Path { path } => bind(path),
        Rootfs::Overlay {
            lower,
            upper,
            work,
            idmap: None,
        } => overlay(lower, upper, work),
        Rootfs::Overlay {
            lower,
            upper,
            work,
            idmap: Some(map),
        } => mapped::overlay(lower, upper, work, idmaps.get(&map.uids, &map.gids)?),
    }
}

fn bind(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let root = open_tree(CWD, path, flags).map_err(failed(format!("open {}", path.display())))?;
    // A copy is a peer of what it was copied from: what is mounted in the container must not show up outside.
    let apart = Change {
        propagation: Some(Propagation::Slave),
        ..Change::default()
    };
    set_attributes(&root, Depth::Recursive, &apart)
        .map_err(|error| failed("separate the mounts".to_owned())(Refusal::from(error).0))?;
    Ok(root)
}

/// The longest string that fsconfig(2) takes, with its final zero.
const MOST_STRING_BYTES: usize = 256;

/// A path that fsconfig(2) takes; long ones go through a descriptor that must be held until the mount is made.
fn short(path: &Path, held: &mut Vec<OwnedFd>) -> Result<PathBuf, Error> {
    if path.as_os_str().len() < MOST_STRING_BYTES {
        return Ok(path.to_owned());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())
        .map_err(failed(format!("open {}", path.display())))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    held.push(fd);
    Ok(short)
}

fn overlay(lower: &[PathBuf], upper: &Path, work: &Path) -> Result<OwnedFd, Error> {
    let mut held = Vec::new();
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(failed("open an overlay".to_owned()))?;
    let set = |name: &str, value: &Path| {
        fsconfig_set_string(&fs, name, value)
            .map_err(failed(format!("overlay {name}={}", value.display())))
    };
    set("source", Path::new("overlay"))?;
    lower_layers(&fs, lower, &mut held)?;
    set("upperdir", &short(upper, &mut held)?)?;
    set("workdir", &short(work, &mut held)?)?;
    // An index binds the writable layer to this very set of layers, and makes a second mount of it fail.
    set("index", Path::new("off"))?;
    finish(&fs, upper)
}

fn finish(fs: &OwnedFd, upper: &Path) -> Result<OwnedFd, Error> {
    fsconfig_create(fs).map_err(failed(format!(
        "mount overlay upperdir={}: {}",
        upper.display(),
        log(fs)
    )))?;
    fsmount(fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .map_err(failed("mount the overlay".to_owned()))
}

/// Layer by layer where the kernel takes them so (`lowerdir+`, Linux 6.5), otherwise in one string.
fn lower_layers(fs: &OwnedFd, lower: &[PathBuf], held: &mut Vec<OwnedFd>) -> Result<(), Error> {
    if !takes_single_layers() {
        return joined(fs, lower, held);
    }
    for layer in lower {
        fsconfig_set_string(fs, "lowerdir+", &short(layer, held)?)
            .map_err(failed(format!("overlay layer {}", layer.display())))?;
    }
    Ok(())
}

/// Whether overlay knows `lowerdir+`. Older kernels take any option word here and refuse it only at the end, so trying
/// tells nothing.
fn takes_single_layers() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(5))
}

/// One string of at most 255 bytes: each layer by its descriptor, whose paths are short.
fn joined(fs: &OwnedFd, lower: &[PathBuf], held: &mut Vec<OwnedFd>) -> Result<(), Error> {
    let plain: usize = lower.iter().map(|each| each.as_os_str().len() + 1).sum();
    let needs_escape = lower.iter().any(|each| {
        each.as_os_str()
            .as_bytes()
            .iter()
            .any(|b| b":\\,".contains(b))
    });
    let mut text = Vec::new();
    for layer in lower {
        if !text.is_empty() {
            text.push(b':');
        }
        if plain < MOST_STRING_BYTES && !needs_escape {
            text.extend_from_slice(layer.as_os_str().as_bytes());
            continue;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(layer, flags, Mode::empty())
            .map_err(failed(format!("open {}", layer.display())))?;
        text.extend_from_slice(format!("/proc/self/fd/{}", fd.as_raw_fd()).as_bytes());
        held.push(fd);
    }
    fsconfig_set_string(fs, "lowerdir", text).map_err(failed("overlay lowerdir".to_owned()))
}

/// What the kernel has to say about a file system that it does not make.
pub(crate) fn log(fs: &OwnedFd) -> String {
    let mut line = [0u8; 512];
    match rustix::io::read(fs, &mut line) {
        Ok(len) => String::from_utf8_lossy(&line[..len]).trim().to_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_not_there_is_named() {
        let linux = oci::runtime::Linux::default();
        let root = Rootfs::Path {
            path: "/nowhere".into(),
        };
        let error = prepare(&root, &mut Idmaps::new(&linux)).expect_err("missing");
        assert_eq!(
            fault::chain(&error),
            "error preparing rootfs: open /nowhere: no such file or directory"
        );
    }
}
