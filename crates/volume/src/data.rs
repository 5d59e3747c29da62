//! Paths inside a volume, resolved so that no link leads out of it.

use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use rustix::io::Errno;

use crate::error::{Error, Result, at};
use crate::store::Store;

impl Store {
    /// Opens a file or folder inside a volume as an O_PATH descriptor, to be mounted. Links are followed as long as they stay in
    /// the volume, also while somebody in a container exchanges them.
    ///
    /// # Errors
    /// `Subpath` when it is not there or leads out of the volume, `SubpathForm` when it is not relative. `NotFound`.
    pub fn subpath(&self, name: &str, path: &str) -> Result<OwnedFd> {
        let inner = Path::new(path);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if path.contains('\0') || !inner.components().all(plain) {
            return Err(Error::SubpathForm {
                path: path.to_owned(),
            });
        }
        let root = self.open_data(name)?;
        let path_or_root = if path.is_empty() { "." } else { path };
        beneath(&root, path_or_root).map_err(|errno| Error::Subpath {
            name: name.to_owned(),
            path: path.to_owned(),
            source: errno.into(),
        })
    }

    /// Opens the folder that containers see as an O_PATH descriptor.
    ///
    /// # Errors
    /// `NotFound`; when the folder cannot be opened.
    pub fn open_data(&self, name: &str) -> Result<OwnedFd> {
        let path = self.entry(name)?.volume.mountpoint.clone();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(CWD, &path, flags, Mode::empty()).map_err(|errno| at("open", &path)(errno.into()))
    }
}

fn beneath(root: &OwnedFd, path: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..64 {
        match sys::open::openat2(root, path, flags, Mode::empty(), resolve) {
            // Something was renamed meanwhile, so the kernel cannot vouch for `..`; see openat2(2).
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}
