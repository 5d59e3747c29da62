//! Overlay mounts that are attached nowhere: a folder fd through which a layer or a container's files are reached.
//!
//! See fsopen(2), fsconfig(2), fsmount(2), Linux 5.2; `lowerdir+`, Linux 6.5.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use crate::error::{Error, Result};
use crate::store::{EMPTY, Store};

/// What to look at through a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View<'a> {
    /// A chain of layers up to this chain id, read-only.
    Layer(&'a str),
    /// A writable layer on its chain, by key. Read and write; only while no container runs on it.
    Writable(&'a str),
    /// The same, read-only.
    WritableReadOnly(&'a str),
}

impl View<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Layer(name) | Self::Writable(name) | Self::WritableReadOnly(name) => name,
        }
    }
}

impl Store {
    /// A detached overlay mount, reached through the folder that is returned and attached nowhere; it ends with the
    /// last fd into it. Programs on it cannot be run, its devices not opened, its setuid bits mean nothing.
    ///
    /// # Errors
    /// Nothing by that name, or the mount's.
    pub fn mount_view(&self, view: View<'_>) -> Result<OwnedFd> {
        let (lower, writable) = {
            let state = self.state();
            match view {
                View::Layer(chain) => (state.chain(Some(chain))?, None),
                View::Writable(key) | View::WritableReadOnly(key) => {
                    let node = state.require_writable(key)?;
                    (state.chain(node.parent.as_deref())?, Some(node.n))
                }
            }
        };
        let place = self.place();
        let mut layers = Vec::new();
        if let (View::WritableReadOnly(_), Some(n)) = (view, writable) {
            layers.push(place.open_dir(&format!("{n}/fs"))?);
        }
        for n in &lower {
            layers.push(place.open_dir(&format!("{n}/fs"))?);
        }
        // Without an upper folder overlay wants two layers, with one at least one.
        if layers.len() < 2 {
            layers.push(place.open_dir(EMPTY)?);
        }
        let upper = match (view, writable) {
            (View::Writable(_), Some(n)) => Some((
                place.open_dir(&format!("{n}/fs"))?,
                place.open_dir(&format!("{n}/work"))?,
            )),
            _ => None,
        };
        mount(&layers, upper.as_ref()).map_err(|(step, errno)| Error::Mount {
            name: view.name().to_owned(),
            step,
            source: errno.into(),
        })
    }
}

type Failed = (&'static str, Errno);

fn mount(layers: &[OwnedFd], upper: Option<&(OwnedFd, OwnedFd)>) -> Result<OwnedFd, Failed> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| ("fsopen", e))?;
    let context = context.as_fd();
    set_lower(context, layers).map_err(|e| ("lower layers", e))?;
    if let Some((upper, work)) = upper {
        fsconfig_set_string(context, "upperdir", name(upper)).map_err(|e| ("upperdir", e))?;
        fsconfig_set_string(context, "workdir", name(work)).map_err(|e| ("workdir", e))?;
    }
    if !rustix::process::geteuid().is_root() {
        fsconfig_set_flag(context, "userxattr").map_err(|e| ("userxattr", e))?;
    }
    // Attributes in a layer shall not make one file pose as another, whatever this kernel's defaults are; a kernel
    // built without the feature refuses its option.
    for (key, value) in [
        ("redirect_dir", "nofollow"),
        ("metacopy", "off"),
        ("index", "off"),
    ] {
        let _ = fsconfig_set_string(context, key, value);
    }
    fsconfig_create(context).map_err(|e| ("create", e))?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    if upper.is_none() {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(|e| ("fsmount", e))
}

/// One option per layer where the kernel knows it; else all in one, which holds 14 layers (256 bytes).
fn set_lower(context: BorrowedFd<'_>, layers: &[OwnedFd]) -> rustix::io::Result<()> {
    if !takes_single_layers() {
        let all: Vec<_> = layers.iter().map(name).collect();
        return fsconfig_set_string(context, "lowerdir", all.join(":"));
    }
    for layer in layers {
        fsconfig_set_string(context, "lowerdir+", name(layer))?;
    }
    Ok(())
}

/// Whether overlay knows `lowerdir+`, Linux 6.5. Older kernels take any option word here and refuse it only at the end,
/// so trying tells nothing.
fn takes_single_layers() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(5))
}

/// A name for an open folder that is short and holds nothing to escape, however the data root is called.
fn name(folder: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", folder.as_raw_fd())
}
