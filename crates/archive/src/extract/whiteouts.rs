//! Entries that hide what the layers below have. Spec: OCI image layer, "Whiteouts".

use rustix::fs::{AtFlags, FileType, Mode as Bits};
use rustix::io::Errno;

use super::{Extraction, OPAQUE, WHITEOUT, WHITEOUT_META, failed};
use crate::error::Result;
use crate::in_root;
use crate::tar::Entry;

pub(super) enum Whiteout<'a> {
    None,
    Skip,
    Opaque,
    Of(&'a [u8]),
}

/// What a layer's path means. Spec: OCI image layer, "Whiteouts".
pub(super) fn whiteout(path: &[u8]) -> Result<Whiteout<'_>, &'static str> {
    let (folder, name) = in_root::split(path);
    for part in folder.split(|b| *b == b'/') {
        if part.starts_with(WHITEOUT_META) {
            return Ok(Whiteout::Skip);
        }
        if part.starts_with(WHITEOUT) {
            return Err("a whiteout cannot hold anything");
        }
    }
    if name == OPAQUE {
        return Ok(Whiteout::Opaque);
    }
    if name.starts_with(WHITEOUT_META) {
        return Ok(Whiteout::Skip);
    }
    match name.strip_prefix(WHITEOUT) {
        None => Ok(Whiteout::None),
        Some(b"" | b"." | b"..") => Err("its whiteout hides no name"),
        Some(hidden) => Ok(Whiteout::Of(hidden)),
    }
}

impl Extraction<'_> {
    pub(super) fn make_opaque(&mut self, entry: &Entry, folder: &[u8]) -> Result<()> {
        self.parent(entry, folder)?;
        self.late.entry(folder.to_vec()).or_default().opaque = true;
        Ok(())
    }

    /// Hides `name` of the layers below. What this layer itself has put there stays, wherever in the archive its
    /// whiteout stands: a file hides what is below it anyway, a folder becomes opaque.
    pub(super) fn hide(&mut self, entry: &Entry, folder: &[u8], name: &[u8]) -> Result<()> {
        let path = if folder.is_empty() {
            name.to_vec()
        } else {
            [folder, b"/", name].concat()
        };
        let parent = self.parent(entry, folder)?;
        let none = Bits::empty();
        match rustix::fs::mknodat(parent, name, FileType::CharacterDevice, none, 0) {
            Ok(()) => {
                self.whiteouts.insert(path);
            }
            Err(Errno::EXIST) => {
                let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|e| failed(&entry.path, ("look at what is there", e)))?;
                if FileType::from_raw_mode(there.st_mode).is_dir() {
                    self.late.entry(path).or_default().opaque = true;
                }
            }
            Err(errno) => return Err(failed(&entry.path, ("create whiteout", errno))),
        }
        Ok(())
    }

    pub(super) fn is_whiteout(&self, stat: &rustix::fs::Stat) -> bool {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
    }
}
