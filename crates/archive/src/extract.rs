//! Tar to a folder.
//!
//! Every path is walked by folder fds from the destination, so no name and no link in the archive leads out of it
//! (see `folders`). Attributes of folders are set last: their files would change the times again, and a setgid
//! folder would give its group to what is made in it.

mod attributes;
mod folders;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, FileType, Mode as Bits, OFlags, XattrFlags};
use rustix::io::Errno;

use crate::error::{Error, Name, Result};
use crate::read_ahead::ReadAhead;
use crate::tar::{Entry, Kind, Reader, Time, entry};
use crate::{in_root, tar};
pub(crate) use attributes::is_portable;
use attributes::{Attributes, Defaults, Failed};
use folders::{Folders, Stuck};

/// Marks a file that hides what lies below it.
pub(crate) const WHITEOUT: &[u8] = b".wh.";
/// Names of AUFS, which the format took over; only the opaque mark has a meaning.
const WHITEOUT_META: &[u8] = b".wh..wh.";
/// Hides all that the layers below have in its folder.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// What the archive is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Entries as they stand: `docker cp`, `ADD`, volumes.
    #[default]
    Plain,
    /// An image layer: whiteouts become what overlay takes for them.
    Layer {
        /// Mark opaque folders with `user.overlay.opaque` (mounts with `userxattr`) instead of `trusted.overlay.opaque`.
        userxattr: bool,
    },
}

/// How to extract.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// What the archive is read as.
    pub mode: Mode,
    /// Everything is given to this uid and gid, whatever the archive says.
    pub owner: Option<(u32, u32)>,
    /// Refuse to put a directory where something else is, or something else where a directory is.
    pub no_overwrite_dir_non_dir: bool,
    /// Compute the SHA-256 of the (uncompressed) stream on the reading thread: a layer's diff id.
    pub digest: bool,
    /// The most bytes of file contents.
    pub max_bytes: u64,
    /// The most entries.
    pub max_entries: u64,
    /// Folders of the layers below, topmost first: a parent that the archive does not name takes its mode,
    /// owner and time from there, as it would if the layer were extracted on top of them.
    pub lower: &'a [BorrowedFd<'a>],
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            mode: Mode::Plain,
            owner: None,
            no_overwrite_dir_non_dir: false,
            digest: false,
            max_bytes: u64::MAX,
            max_entries: u64::MAX,
            lower: &[],
        }
    }
}

/// What was extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Bytes of file contents, holes counted; a hard link adds nothing.
    pub bytes: u64,
    /// Entries, whiteouts counted.
    pub entries: u64,
    /// SHA-256 of the whole uncompressed stream, when [`Options::digest`] asked for it.
    pub digest: Option<[u8; 32]>,
}

/// Extracts an uncompressed tar stream below the folder `dest`, and reads the stream to its end.
///
/// Nothing is made outside `dest`. What was made before an error stays: extract into a draft and drop that.
///
/// # Errors
/// The first entry that is broken, ambiguous, unsafe, or that the kernel refuses.
pub fn extract(
    reader: impl Read + Send,
    dest: BorrowedFd<'_>,
    options: &Options<'_>,
) -> Result<Summary> {
    let is_fresh = matches!(options.mode, Mode::Layer { .. });
    let defaults = Defaults::look(dest, is_fresh)
        .map_err(|errno| failed(b".", ("look at the folder", errno)))?;
    std::thread::scope(|scope| {
        let ahead = ReadAhead::start(scope, reader, options.digest)
            .map_err(|source| Error::Read { source })?;
        let mut extraction = Extraction {
            options,
            defaults,
            folders: Folders::new(dest),
            late: BTreeMap::new(),
            whiteouts: HashSet::new(),
            stored: 0,
            summary: Summary::default(),
        };
        let mut archive = Reader::new(ahead);
        while let Some(entry) = archive.next_entry()? {
            extraction.take(&entry, &mut archive)?;
        }
        extraction.finish_folders()?;
        let mut summary = extraction.summary;
        summary.digest = archive
            .into_inner()
            .finish()
            .map_err(|source| Error::Read { source })?;
        Ok(summary)
    })
}

struct Extraction<'a> {
    options: &'a Options<'a>,
    defaults: Defaults,
    folders: Folders<'a>,
    /// What is set on folders when all is extracted, by path.
    late: BTreeMap<Vec<u8>, Late>,
    /// Whiteouts this layer made: a folder that takes the place of one must be opaque.
    whiteouts: HashSet<Vec<u8>>,
    stored: u64,
    summary: Summary,
}

#[derive(Default)]
struct Late {
    attributes: Option<Attributes>,
    opaque: bool,
}

impl<'a> Extraction<'a> {
    fn take(&mut self, entry: &Entry, archive: &mut Reader<ReadAhead>) -> Result<()> {
        self.count(entry)?;
        let path = checked(&entry.path).map_err(|why| unsafe_path(entry, why))?;
        if path.is_empty() {
            return self.take_root(entry);
        }
        let (parent, name) = in_root::split(&path);
        if matches!(self.options.mode, Mode::Layer { .. }) {
            match whiteout(&path).map_err(|why| unsafe_path(entry, why))? {
                Whiteout::None => {}
                Whiteout::Skip => return Ok(()),
                Whiteout::Opaque => return self.make_opaque(entry, parent),
                Whiteout::Of(hidden) => return self.hide(entry, parent, hidden),
            }
        }
        match entry.kind {
            Kind::Directory => self.make_folder(entry, &path)?,
            Kind::File => self.make_file(entry, &path, archive)?,
            Kind::HardLink => self.make_hard_link(entry, &path)?,
            Kind::Symlink => {
                let target = &entry.link[..];
                self.make(entry, &path, "create symlink", |parent| {
                    rustix::fs::symlinkat(target, parent, name)
                })?;
                self.set_by_handle(entry, &path)?;
            }
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => {
                self.make_node(entry, &path)?;
                self.set_by_handle(entry, &path)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, entry: &Entry) -> Result<()> {
        self.summary.entries += 1;
        if self.summary.entries > self.options.max_entries {
            return Err(Error::TooMuch {
                what: "entries",
                limit: self.options.max_entries,
                entry: Name::new(&entry.path),
            });
        }
        let stored = match &entry.sparse {
            Some(map) => map.iter().map(|extent| extent.len).sum(),
            None => entry.size,
        };
        self.stored = self.stored.saturating_add(stored);
        self.summary.bytes = self.summary.bytes.saturating_add(entry.size);
        if self.stored > self.options.max_bytes {
            return Err(Error::TooMuch {
                what: "bytes",
                limit: self.options.max_bytes,
                entry: Name::new(&entry.path),
            });
        }
        Ok(())
    }

    /// An entry for the destination itself: a layer may set its attributes, anything else leaves it be.
    fn take_root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            return Err(unsafe_path(entry, "it would replace the root"));
        }
        if matches!(self.options.mode, Mode::Layer { .. }) {
            let attributes = Attributes::of(entry, self.options.owner);
            self.late.entry(Vec::new()).or_default().attributes = Some(attributes);
        }
        Ok(())
    }

    // --- Kinds ---

    fn make_folder(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
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
        late.attributes = Some(Attributes::of(entry, self.options.owner));
        late.opaque |= self.whiteouts.remove(path);
        Ok(())
    }

    fn make_file(
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
        let attributes = Attributes::of(entry, self.options.owner);
        attributes::set_open(file.as_fd(), asked, &attributes, self.defaults)
            .map_err(|step| failed(&entry.path, step))
    }

    /// The target is looked up below the destination as any path is; that it is a symlink itself is fine.
    fn make_hard_link(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
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

    fn make_node(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
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

    fn set_by_handle(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        let (parent, name) = in_root::split(path);
        let attributes = Attributes::of(entry, self.options.owner);
        let defaults = self.defaults;
        let parent = self.parent(entry, parent)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(parent, name, flags, Bits::empty())
            .map_err(|e| failed(&entry.path, ("open what was made", e)))?;
        let is_symlink = entry.kind == Kind::Symlink;
        attributes::set_handle(handle.as_fd(), is_symlink, &attributes, defaults)
            .map_err(|step| failed(&entry.path, step))
    }

    // --- Whiteouts ---

    fn make_opaque(&mut self, entry: &Entry, folder: &[u8]) -> Result<()> {
        self.parent(entry, folder)?;
        self.late.entry(folder.to_vec()).or_default().opaque = true;
        Ok(())
    }

    /// Hides `name` of the layers below. What this layer itself has put there stays, wherever in the archive its
    /// whiteout stands: a file hides what is below it anyway, a folder becomes opaque.
    fn hide(&mut self, entry: &Entry, folder: &[u8], name: &[u8]) -> Result<()> {
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

    fn is_whiteout(&self, stat: &rustix::fs::Stat) -> bool {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
    }

    // --- Places ---

    /// The folder for an entry, made if the archive never named it.
    fn parent(&mut self, entry: &Entry, folder: &[u8]) -> Result<BorrowedFd<'_>> {
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
    fn make<T>(
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

    // --- End ---

    fn finish_folders(&mut self) -> Result<()> {
        let mark = match self.options.mode {
            Mode::Layer { userxattr: true } => c"user.overlay.opaque",
            _ => c"trusted.overlay.opaque",
        };
        for (path, late) in std::mem::take(&mut self.late) {
            let (parent, name) = in_root::split(&path);
            let name = if name.is_empty() { b"." } else { name };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = self
                .folders
                .open(parent, |_, _, _| Err(Errno::NOENT))
                .map_err(|stuck| stuck.errno)
                .and_then(|parent| rustix::fs::openat(parent, name, flags, Bits::empty()));
            let folder = match opened {
                Ok(folder) => folder,
                // A later entry put something else in its place.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(errno) => return Err(failed(&path, ("open folder", errno))),
            };
            if late.opaque {
                rustix::fs::fsetxattr(&folder, mark, b"y", XattrFlags::empty())
                    .map_err(|e| failed(&path, ("mark folder opaque", e)))?;
            }
            if let Some(attributes) = &late.attributes {
                attributes::set_open(
                    folder.as_fd(),
                    0o755,
                    attributes,
                    self.folder_defaults(&path),
                )
                .map_err(|step| failed(&path, step))?;
            }
        }
        Ok(())
    }

    /// The destination itself was not made here, so nothing is known of it.
    fn folder_defaults(&self, path: &[u8]) -> Defaults {
        if path.is_empty() {
            Defaults {
                umask: None,
                owner: None,
            }
        } else {
            self.defaults
        }
    }
}

/// The path without `.` and empty components; `..` is refused, for whatever it means, it never is what it seems.
fn checked(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    let path = entry::normal(path);
    let mut depth = 0;
    for part in path.split(|b| *b == b'/') {
        depth += 1;
        if part == b".." {
            return Err("its path holds \"..\"");
        }
        if part.len() > 255 {
            return Err("a name in its path is longer than 255 bytes");
        }
    }
    if depth > 1024 {
        return Err("its path is more than 1024 folders deep");
    }
    Ok(path)
}

enum Whiteout<'a> {
    None,
    Skip,
    Opaque,
    Of(&'a [u8]),
}

/// What a layer's path means. Spec: OCI image layer, "Whiteouts".
fn whiteout(path: &[u8]) -> Result<Whiteout<'_>, &'static str> {
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

fn unsafe_path(entry: &Entry, why: &'static str) -> Error {
    Error::UnsafePath {
        entry: Name::new(&entry.path),
        why,
    }
}

fn failed(path: &[u8], (action, errno): Failed) -> Error {
    Error::Extract {
        entry: Name::new(path),
        action,
        source: errno.into(),
    }
}
