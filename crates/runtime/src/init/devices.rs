//! `/dev`: nodes and links.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::fs::{Mode, chownat, mknodat, symlinkat};
use rustix::io::Errno;
use rustix::thread::{Gid, Uid};

use super::mounts::attach;
use crate::failure::{Step, Tried};
use crate::inroot::{Root, Want};
use crate::plan::{DevicePlan, Node};

/// Spec: OCI runtime, runtime-linux, "Dev symbolic links"; and the terminal multiplexer of the container's own devpts.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes the links in `/dev`; what the image has by these names stays.
pub(super) fn make_links(root: &Root) -> Step {
    let dev = root
        .make(Path::new("/dev"), Want::Folder)
        .tried(|| "open /dev".to_owned())?;
    for (name, target) in LINKS {
        match symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).tried(|| format!("symlink /dev/{name}")),
        }
    }
    Ok(())
}

/// Makes the nodes.
pub(super) fn make(root: &Root, plan: &DevicePlan) -> Step {
    // Nearly all of them are in one folder.
    let mut last: Option<(&Path, OwnedFd)> = None;
    for node in &plan.nodes {
        let what = || format!("make device {}", node.path.display());
        if let Some(host) = &node.bound {
            let target = root.make(&node.path, Want::File).tried(what)?;
            attach(host, target)?;
            continue;
        }
        let (parent, name) = split(&node.path).tried(what)?;
        let folder = match last.take() {
            Some((known, folder)) if known == parent => folder,
            _ => root.make(parent, Want::Folder).tried(what)?,
        };
        one(&folder, &name, node)?;
        last = Some((parent, folder));
    }
    Ok(())
}

/// The folder of a path, and its last part.
fn split(path: &Path) -> Result<(&Path, CString), Errno> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    Ok((path.parent().unwrap_or(Path::new("/")), name))
}

fn one(folder: &OwnedFd, name: &CStr, node: &Node) -> Step {
    let what = || format!("make device {}", node.path.display());
    let mode = Mode::from_raw_mode(node.mode);
    match mknodat(folder, name, node.kind, mode, node.device) {
        Ok(()) => {}
        // Without a tmpfs on /dev the image's own node would be used, whatever it is: only the very device will do.
        Err(Errno::EXIST) => return replace(folder, name, node),
        Err(errno) => return Err(errno).tried(what),
    }
    own(folder, name, node)
}

fn replace(folder: &OwnedFd, name: &CStr, node: &Node) -> Step {
    let what = || format!("replace device {}", node.path.display());
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).tried(what)?;
    let same = rustix::fs::FileType::from_raw_mode(stat.st_mode) == node.kind
        && stat.st_rdev == node.device;
    if !same {
        rustix::fs::unlinkat(folder, name, AtFlags::empty()).tried(what)?;
        mknodat(
            folder,
            name,
            node.kind,
            Mode::from_raw_mode(node.mode),
            node.device,
        )
        .tried(what)?;
    }
    own(folder, name, node)
}

fn own(folder: &OwnedFd, name: &CStr, node: &Node) -> Step {
    if node.owner == (Uid::ROOT, Gid::ROOT) {
        return Ok(());
    }
    chownat(
        folder,
        name,
        Some(node.owner.0),
        Some(node.owner.1),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .tried(|| format!("chown device {}", node.path.display()))
}
