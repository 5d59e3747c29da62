//! Where an entry goes: its parent folder, and what stands in its way.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Mode as Bits};
use rustix::io::Errno;

use super::attributes::Attributes;
use super::folders::Stuck;
use super::{Extraction, failed};
use crate::error::{Error, Name, Result};
use crate::in_root;
use crate::tar::{Entry, Kind, Time};

impl Extraction<'_> {
    /// The folder for an entry, made if the archive never named it.
    pub(super) fn parent(&mut self, entry: &Entry, folder: &[u8]) -> Result<BorrowedFd<'_>> {
        if let Err(stuck) = self.open_parent(folder) {
            // A whiteout that a later entry needs as a folder: the entry wins, what lies below stays hidden.
            let blocking = folder[..stuck.len].to_vec();
            if stuck.errno != Errno::NOTDIR || !self.whiteouts.contains(&blocking) {
                return Err(failed(&entry.path, ("open parent folder", stuck.errno)));
            }
            let mut folder_entry = Entry::new(blocking, Kind::Directory, 0o755);
            folder_entry.mtime = entry.mtime;
            let path = folder_entry.path.clone();
            self.make_folder(&folder_entry, &path)?;
        }
        self.open_parent(folder)
            .map_err(|stuck| failed(&entry.path, ("open parent folder", stuck.errno)))
    }

    fn open_parent(&mut self, folder: &[u8]) -> Result<BorrowedFd<'_>, Stuck> {
        let (late, lower) = (&mut self.late, self.options.lower);
        self.folders.open(folder, |parent, name, path| {
            match rustix::fs::mkdirat(parent, name, Bits::from_raw_mode(0o755)) {
                Ok(()) => {}
                Err(Errno::EXIST) => return Ok(()),
                Err(other) => return Err(other),
            }
            if let Some(attributes) = attributes_below(lower, path) {
                late.entry(path.to_vec()).or_default().attributes = Some(attributes);
            }
            Ok(())
        })
    }

    /// Runs `create` in the entry's parent; what stands in its way is removed once, if it may be.
    pub(super) fn make<T>(
        &mut self,
        entry: &Entry,
        path: &[u8],
        action: &'static str,
        mut create: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let (parent, name) = in_root::split(path);
        match create(self.parent(entry, parent)?) {
            Err(Errno::EXIST) => {}
            other => return other.map_err(|errno| failed(&entry.path, (action, errno))),
        }
        self.clear(entry, path, parent, name)?;
        create(self.parent(entry, parent)?).map_err(|errno| failed(&entry.path, (action, errno)))
    }

    fn clear(&mut self, entry: &Entry, path: &[u8], parent: &[u8], name: &[u8]) -> Result<()> {
        let forbids = self.options.no_overwrite_dir_non_dir;
        let folder = self.parent(entry, parent)?;
        let there = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| failed(&entry.path, ("look at what is there", e)))?;
        let kind = FileType::from_raw_mode(there.st_mode);
        if forbids && kind.is_dir() != (entry.kind == Kind::Directory) {
            return Err(Error::Overwrite {
                entry: Name::new(&entry.path),
                is_dir: kind.is_dir(),
            });
        }
        sys::tree::remove(folder, name)
            .map_err(|e| failed(&entry.path, ("remove what is there", e)))?;
        if kind.is_dir() {
            let below = [path, b"/"].concat();
            self.late.retain(|p, _| p != path && !p.starts_with(&below));
            self.whiteouts.retain(|p| !p.starts_with(&below));
        }
        if kind.is_dir() || kind.is_symlink() {
            self.folders.forget();
        }
        if entry.kind != Kind::Directory {
            self.whiteouts.remove(path);
        }
        Ok(())
    }
}

/// What the topmost lower layer that has the folder says of it.
fn attributes_below(lower: &[BorrowedFd<'_>], path: &[u8]) -> Option<Attributes> {
    for layer in lower {
        let Ok(stat) = in_root::stat(*layer, path, false) else {
            continue;
        };
        if !FileType::from_raw_mode(stat.st_mode).is_dir() {
            return None;
        }
        return Some(Attributes {
            mode: stat.st_mode & 0o7777,
            owner: (stat.st_uid, stat.st_gid),
            mtime: Time {
                secs: stat.st_mtime,
                nanos: stat.st_mtime_nsec as u32,
            },
            xattrs: Vec::new(),
        });
    }
    None
}
