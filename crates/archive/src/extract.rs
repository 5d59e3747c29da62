//! Tar to a folder.
//!
//! Every path is walked by folder fds from the destination, so no name and no link in the archive leads out of it
//! (see `folders`). Attributes of folders are set last: their files would change the times again, and a setgid
//! folder would give its group to what is made in it.

mod attributes;
mod folders;
mod kinds;
mod places;
mod whiteouts;

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode as Bits, OFlags, XattrFlags};
use rustix::io::Errno;

use crate::error::{Error, Name, Result};
use crate::in_root;
use crate::read_ahead::ReadAhead;
use crate::tar::{Entry, Kind, Reader, entry};
pub(crate) use attributes::is_portable;
use attributes::{Attributes, Defaults, Failed};
use folders::Folders;
use whiteouts::{Whiteout, whiteout};

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
    /// Added to every uid and gid: the root is that of a container with a user namespace.
    pub shift: (u32, u32),
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
            shift: (0, 0),
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

impl Extraction<'_> {
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
            let attributes = Attributes::of(entry, self.options);
            self.late.entry(Vec::new()).or_default().attributes = Some(attributes);
        }
        Ok(())
    }

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
