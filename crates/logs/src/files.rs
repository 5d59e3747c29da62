//! The files of one log: append to the newest, rotate, compress, and find them again.
//!
//! ```text
//! PATH          newest, appended to
//! PATH.1[.gz]   the one before … PATH.<max-file - 1>[.gz] the oldest
//! ```
//! A compressed file keeps the modification time of the plain one: a reader that still holds the plain one knows it by that.
//! Each file has its number in a row, in an extended attribute where the file system has such: a reader sees by it that
//! rotation deleted files before it came to them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, XattrFlags, fgetxattr, fsetxattr, open, rename,
    statat, unlink,
};
use rustix::io::Errno;

use crate::error::file as at;
use crate::{Driver, Result, Settings, Target};

/// The newest file of the log.
pub(crate) fn current_path(target: &Target, driver: Driver) -> PathBuf {
    match driver {
        Driver::Local => target.path.join("container.log"),
        Driver::JsonFile | Driver::None => target.path.clone(),
    }
}

/// `PATH.<index>` or `PATH.<index>.gz`.
pub(crate) fn rotated_path(current: &Path, index: u32, compressed: bool) -> PathBuf {
    let mut name = current.as_os_str().to_owned();
    name.push(format!(".{index}{}", if compressed { ".gz" } else { "" }));
    name.into()
}

/// The writer's side: the newest file, open for appending.
#[derive(Debug)]
pub(crate) struct Files {
    path: PathBuf,
    file: File,
    size: u64,
    settings: Settings,
    /// The newest file's place in the row of all that ever were.
    number: u64,
    /// Modification time of the file rotated last.
    stamped: SystemTime,
}

impl Files {
    /// Opens or creates the newest file; `sound_length` finds the end of its last whole record, and the rest is cut off.
    pub(crate) fn open(
        path: PathBuf,
        settings: Settings,
        sound_length: impl FnOnce(&File) -> io::Result<u64>,
    ) -> Result<Self> {
        let file = open_append(&path, OFlags::CREATE)?;
        let size = sound_length(&file).map_err(at("read the end of the log", &path))?;
        let actual = file.metadata().map_err(at("stat the log", &path))?.len();
        if size < actual {
            file.set_len(size)
                .map_err(at("cut off a torn record from the log", &path))?;
        }
        // A file that was begun without one is the first of a new row.
        let number = number_of(&file).unwrap_or_else(|| {
            set_number(&file, 1);
            1
        });
        Ok(Self {
            path,
            file,
            size,
            settings,
            number,
            stamped: SystemTime::UNIX_EPOCH,
        })
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// How many bytes may still be appended before the file is due for rotation; at least 1 after [`Files::rotate_if_full`].
    pub(crate) fn room(&self) -> u64 {
        self.settings
            .max_size_bytes
            .map_or(u64::MAX, |max| max.saturating_sub(self.size))
    }

    /// Appends whole records. After a failure no half of them stays.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            let _ = self.file.set_len(self.size);
            return Err(at("append to the log", &self.path)(error));
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Begins a new file when this one has reached its size.
    pub(crate) fn rotate_if_full(&mut self) -> Result<()> {
        if self.room() > 0 {
            return Ok(());
        }
        let last = self.settings.max_files - 1;
        for compressed in [false, true] {
            let oldest = if last == 0 {
                self.path.clone()
            } else {
                rotated_path(&self.path, last, compressed)
            };
            absent_is_fine(unlink(&oldest)).map_err(at("remove the oldest log", &oldest))?;
        }
        for index in (1..last).rev() {
            for compressed in [false, true] {
                let from = rotated_path(&self.path, index, compressed);
                let to = rotated_path(&self.path, index + 1, compressed);
                absent_is_fine(rename(&from, &to)).map_err(at("rotate the log", &from))?;
            }
        }
        let previous = rotated_path(&self.path, 1, false);
        if last > 0 {
            if self.settings.compress {
                self.stamp()
                    .map_err(at("set the time of the log", &self.path))?;
            }
            rename(&self.path, &previous).map_err(at("rotate the log", &self.path))?;
        }
        self.file = open_append(&self.path, OFlags::CREATE | OFlags::EXCL)?;
        self.size = 0;
        self.number += 1;
        set_number(&self.file, self.number);
        if last > 0 && self.settings.compress {
            compress(&previous)?;
        }
        Ok(())
    }

    /// Gives the full file a modification time of its own: readers know a compressed file by it, and the kernel's clock may
    /// stand still between two rotations.
    fn stamp(&mut self) -> io::Result<()> {
        let written = self.file.metadata()?.modified()?;
        let own = written.max(self.stamped + Duration::from_nanos(1));
        if own != written {
            self.file.set_modified(own)?;
        }
        self.stamped = own;
        Ok(())
    }
}

/// The extended attribute with a file's place in the row.
const NUMBER: &str = "user.estiva.log";

/// The file's place in the row; `None` on file systems without extended attributes, and of files that others wrote.
pub(crate) fn number_of(file: &File) -> Option<u64> {
    let mut text = [0; 20];
    let len = fgetxattr(file, NUMBER, &mut text).ok()?;
    std::str::from_utf8(text.get(..len)?).ok()?.parse().ok()
}

/// Without it, readers only cannot tell what they have missed.
fn set_number(file: &File, number: u64) {
    let _ = fsetxattr(
        file,
        NUMBER,
        number.to_string().as_bytes(),
        XattrFlags::empty(),
    );
}

fn absent_is_fine(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn open_append(path: &Path, extra: OFlags) -> Result<File> {
    open(
        path,
        OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW | extra,
        Mode::from_raw_mode(0o640),
    )
    .map(File::from)
    .map_err(at("open the log", path))
}

/// Replaces a rotated file by its gzip. The writer waits: 20 MB take some 50 ms, and waiting keeps its order with the next
/// rotation trivially right.
fn compress(plain: &Path) -> Result<()> {
    let zipped = rotated_path_of(plain, ".gz");
    let scratch = rotated_path_of(plain, ".gz.tmp");
    let work = || -> io::Result<()> {
        let mut source = File::open(plain)?;
        let target = open(
            &scratch,
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o640),
        )?;
        let mut encoder =
            flate2::write::GzEncoder::new(File::from(target), flate2::Compression::fast());
        io::copy(&mut source, &mut encoder)?;
        let target = encoder.finish()?;
        let stat = source.metadata()?;
        let time = Timespec {
            tv_sec: stat.mtime(),
            tv_nsec: stat.mtime_nsec(),
        };
        rustix::fs::futimens(
            &target,
            &Timestamps {
                last_access: time,
                last_modification: time,
            },
        )?;
        if let Some(number) = number_of(&source) {
            set_number(&target, number);
        }
        rename(&scratch, &zipped)?;
        unlink(plain)?;
        Ok(())
    };
    work().map_err(at("compress the log", plain))
}

fn rotated_path_of(plain: &Path, suffix: &str) -> PathBuf {
    let mut name = plain.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// One file of the log as a reader finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    /// 0 is the newest.
    pub(crate) index: u32,
    pub(crate) path: PathBuf,
    pub(crate) compressed: bool,
    pub(crate) identity: Identity,
}

impl Generation {
    /// Whether this is the file of that identity, be it compressed meanwhile.
    pub(crate) fn holds(&self, identity: &Identity) -> bool {
        self.identity.is_file(identity)
            || (self.compressed && self.identity.modified_nanos == identity.modified_nanos)
    }
}

/// What tells one generation from another, whatever it is called meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) modified_nanos: i128,
}

impl Identity {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let stat = file.metadata()?;
        Ok(Self {
            device: stat.dev(),
            inode: stat.ino(),
            modified_nanos: i128::from(stat.mtime()) * 1_000_000_000
                + i128::from(stat.mtime_nsec()),
        })
    }

    pub(crate) fn is_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The identity of the file that has this name now.
pub(crate) fn identity_at(path: &Path) -> Option<Identity> {
    let stat = statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(Identity {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        modified_nanos: stat.st_mtime as i128 * 1_000_000_000 + stat.st_mtime_nsec as i128,
    })
}

/// Every file of the log, the newest first.
pub(crate) fn generations(current: &Path) -> Result<Vec<Generation>> {
    let folder = current.parent().unwrap_or(Path::new("/"));
    let name = current
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at("list the logs in", folder)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(at("list the logs in", folder))?;
        let file_name = entry.file_name();
        let Some((index, compressed)) = file_name.to_str().and_then(|n| parse_name(n, &name))
        else {
            continue;
        };
        let path = folder.join(&file_name);
        if let Some(identity) = identity_at(&path) {
            found.push(Generation {
                index,
                path,
                compressed,
                identity,
            });
        }
    }
    // While a file is being compressed both forms are there: the plain one is whole.
    found.sort_by_key(|g| (g.index, g.compressed));
    found.dedup_by_key(|g| g.index);
    Ok(found)
}

fn parse_name(name: &str, current: &str) -> Option<(u32, bool)> {
    let rest = name.strip_prefix(current)?;
    if rest.is_empty() {
        return Some((0, false));
    }
    let rest = rest.strip_prefix('.')?;
    let (number, compressed) = match rest.strip_suffix(".gz") {
        Some(number) => (number, true),
        None => (rest, false),
    };
    number
        .parse()
        .ok()
        .filter(|&i| i > 0)
        .map(|i| (i, compressed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rotated_files_are_recognised() {
        assert_eq!(parse_name("x.log", "x.log"), Some((0, false)));
        assert_eq!(parse_name("x.log.3", "x.log"), Some((3, false)));
        assert_eq!(parse_name("x.log.12.gz", "x.log"), Some((12, true)));
        for other in ["x.log.0", "x.log.1.gz.tmp", "x.log2", "y.log", "x.log.gz"] {
            assert_eq!(parse_name(other, "x.log"), None, "{other}");
        }
    }
}
