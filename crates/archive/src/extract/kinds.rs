//! What each kind of entry becomes.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, FileType, Mode as Bits, OFlags};
use rustix::io::Errno;

use super::attributes::{self, Attributes};
use super::{Extraction, checked, failed, unsafe_path};
use crate::error::{Error, Name, Result};
use crate::read_ahead::ReadAhead;
use crate::tar::{Entry, Kind, Reader};
use crate::{in_root, tar};

impl Extraction<'_> {
    pub(super) fn make_folder(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        let (parent, name) = in_root::split(path);
        let parent = self.parent(entry, parent)?;
        match rustix::fs::mkdirat(parent, name, Bits::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|e| failed(&entry.path, ("look at what is there", e)))?;
                if !FileType::from_raw_mode(there.st_mode).is_dir() {
                    self.make(entry, path, "create folder", |parent| {
                        rustix::fs::mkdirat(parent, name, Bits::from_raw_mode(0o755))
                    })?;
                }
            }
            Err(errno) => return Err(failed(&entry.path, ("create folder", errno))),
        }
        let late = self.late.entry(path.to_vec()).or_default();
        late.attributes = Some(Attributes::of(entry, self.options));
        late.opaque |= self.whiteouts.remove(path);
        Ok(())
    }

    pub(super) fn make_file(
        &mut self,
        entry: &Entry,
        path: &[u8],
        archive: &mut Reader<ReadAhead>,
    ) -> Result<()> {
        let name = in_root::split(path).1;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let asked = entry.mode & 0o777;
        let file = File::from(self.make(entry, path, "create file", |parent| {
            rustix::fs::openat(parent, name, flags, Bits::from_raw_mode(asked))
        })?);
        write_contents(&file, entry, archive)?;
        let attributes = Attributes::of(entry, self.options);
        attributes::set_open(file.as_fd(), asked, &attributes, self.defaults)
            .map_err(|step| failed(&entry.path, step))
    }

    /// The target is looked up below the destination as any path is; that it is a symlink itself is fine.
    pub(super) fn make_hard_link(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        let target = checked(&entry.link)
            .map_err(|_| unsafe_path(entry, "its hard link leads out of the folder"))?;
        if target.is_empty() || target == path {
            return Err(unsafe_path(
                entry,
                "it is a hard link to itself or the root",
            ));
        }
        let (folder, file) = in_root::split(&target);
        let no_target = |errno| failed(&entry.path, ("open the hard link's target", errno));
        let from = self
            .folders
            .open(folder, |_, _, _| Err(Errno::NOENT))
            .map_err(|stuck| no_target(stuck.errno))?;
        let from = rustix::io::fcntl_dupfd_cloexec(from, 0).map_err(no_target)?;
        let there =
            rustix::fs::statat(&from, file, AtFlags::SYMLINK_NOFOLLOW).map_err(no_target)?;
        if FileType::from_raw_mode(there.st_mode).is_dir() || self.is_whiteout(&there) {
            return Err(unsafe_path(entry, "its hard link points to no file"));
        }
        let name = in_root::split(path).1;
        self.make(entry, path, "create hard link", |parent| {
            rustix::fs::linkat(&from, file, parent, name, AtFlags::empty())
        })
    }

    pub(super) fn make_node(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        let name = in_root::split(path).1;
        let kind = match entry.kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let (major, minor) = entry.device;
        if kind == FileType::CharacterDevice && entry.device == (0, 0) {
            return Err(unsafe_path(entry, "device 0:0 would read as a whiteout"));
        }
        let device = rustix::fs::makedev(major, minor);
        let mode = Bits::from_raw_mode(entry.mode & 0o777);
        self.make(entry, path, "create device", |parent| {
            rustix::fs::mknodat(parent, name, kind, mode, device)
        })
    }

    pub(super) fn set_by_handle(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        let (parent, name) = in_root::split(path);
        let attributes = Attributes::of(entry, self.options);
        let defaults = self.defaults;
        let parent = self.parent(entry, parent)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(parent, name, flags, Bits::empty())
            .map_err(|e| failed(&entry.path, ("open what was made", e)))?;
        let is_symlink = entry.kind == Kind::Symlink;
        attributes::set_handle(handle.as_fd(), is_symlink, &attributes, defaults)
            .map_err(|step| failed(&entry.path, step))
    }
}

/// Writes what is stored; holes are left out, and the size set at the end.
fn write_contents(mut file: &File, entry: &Entry, archive: &mut Reader<ReadAhead>) -> Result<()> {
    let broken = |source: io::Error| Error::Extract {
        entry: Name::new(&entry.path),
        action: "write",
        source,
    };
    let Some(map) = &entry.sparse else {
        loop {
            let piece = archive.data()?;
            if piece.is_empty() {
                return Ok(());
            }
            file.write_all(piece).map_err(broken)?;
            let len = piece.len();
            archive.consume(len);
        }
    };
    for tar::Extent { offset, len } in map {
        let mut done = 0;
        while done < *len {
            let piece = archive.data()?;
            let most = usize::try_from(len - done).unwrap_or(usize::MAX);
            let piece = &piece[..piece.len().min(most)];
            file.write_all_at(piece, offset + done).map_err(broken)?;
            let written = piece.len();
            archive.consume(written);
            done += written as u64;
        }
    }
    file.set_len(entry.size).map_err(broken)
}
