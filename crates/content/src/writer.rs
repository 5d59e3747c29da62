//! A blob being written: hashed as it passes, named only when it is what was announced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use oci::digest::Algorithm;
use oci::{Digest, Hasher};

use crate::{Error, Store};

/// The most bytes that are hashed and written in one go.
const CHUNK: usize = 1 << 20;

/// A draft; dropped without [`Writer::commit`] it leaves nothing.
#[derive(Debug)]
pub struct Writer<'a> {
    store: &'a Store,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    is_committed: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        store: &'a Store,
        path: PathBuf,
        algorithm: Algorithm,
    ) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(&path);
        match file {
            Ok(file) => Ok(Self {
                store,
                path,
                file,
                hasher: Hasher::new(algorithm),
                size: 0,
                is_committed: false,
            }),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    /// How many bytes came so far.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.size
    }

    /// Appends bytes; as [`Write::write_all`], with an error that names the file.
    ///
    /// # Errors
    /// When they cannot be written, as on a full disk.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// Checks what came against what was announced, syncs it and gives it its name.
    ///
    /// # Errors
    /// When the content is not what was announced, or cannot be written; nothing is stored then.
    pub fn commit(self, digest: Option<&Digest>, size: Option<u64>) -> Result<Digest, Error> {
        self.finish(digest, size, true)
    }

    /// The same without waiting for the disk, for blobs that can be verified or made again after a power cut.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn commit_lazily(
        self,
        digest: Option<&Digest>,
        size: Option<u64>,
    ) -> Result<Digest, Error> {
        self.finish(digest, size, false)
    }

    fn finish(
        mut self,
        digest: Option<&Digest>,
        size: Option<u64>,
        durable: bool,
    ) -> Result<Digest, Error> {
        let algorithm = digest.map_or(Algorithm::Sha256, Digest::algorithm);
        let actual = std::mem::replace(&mut self.hasher, Hasher::new(algorithm)).finish();
        if let Some(expected) = digest.filter(|expected| **expected != actual) {
            return Err(Error::Digest {
                expected: expected.clone(),
                actual,
            });
        }
        if let Some(expected) = size.filter(|expected| *expected != self.size) {
            return Err(Error::Size {
                digest: actual,
                expected,
                actual: self.size,
            });
        }
        if self.store.has(&actual) {
            return Ok(actual);
        }
        self.publish(&actual, durable)
            .map_err(|source| self.failed(source))?;
        Ok(actual)
    }

    fn publish(&mut self, digest: &Digest, durable: bool) -> io::Result<()> {
        if durable {
            self.file.sync_data()?;
        }
        let place = self.store.path(digest);
        // A blob removed beside it may take its empty folder along between the two steps: make it again.
        for _ in 0..16 {
            self.store.make_room(&place)?;
            match fs::rename(&self.path, &place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => {
                    outcome?;
                    break;
                }
            }
        }
        fs::symlink_metadata(&place)?;
        self.is_committed = true;
        if durable {
            File::open(place.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write {
            path: self.path.clone(),
            source,
        }
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(&bytes[..bytes.len().min(CHUNK)])?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.is_committed {
            let _ = fs::remove_file(&self.path);
        }
    }
}
