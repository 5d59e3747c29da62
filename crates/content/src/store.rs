//! The store: where blobs are looked up, read, listed and removed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use oci::Digest;
use oci::digest::Algorithm;

use crate::{Error, Writer};

const DRAFTS: &str = "drafts";

/// Blobs of one data root.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    next_draft: AtomicU64,
}

/// One stored blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Store {
    /// Opens `data_root/blobs`, makes it when it is not there, and removes what unfinished writers left.
    ///
    /// # Errors
    /// When the folders cannot be made or cleaned.
    pub fn open(data_root: &Path) -> Result<Self, Error> {
        let root = data_root.join("blobs");
        let store = Self {
            root,
            next_draft: AtomicU64::new(0),
        };
        store.prepare().map_err(|source| Error::Open {
            path: store.root.clone(),
            source,
        })?;
        Ok(store)
    }

    /// A draft to write a new blob into; nothing is stored before [`Writer::commit`].
    ///
    /// # Errors
    /// When the draft cannot be made, as on a full disk.
    pub fn writer(&self) -> Result<Writer<'_>, Error> {
        self.writer_with(Algorithm::Sha256)
    }

    /// The same for a blob named by another function.
    ///
    /// # Errors
    /// When the draft cannot be made.
    pub fn writer_with(&self, algorithm: Algorithm) -> Result<Writer<'_>, Error> {
        let number = self.next_draft.fetch_add(1, Ordering::Relaxed);
        let path = self
            .root
            .join(DRAFTS)
            .join(format!("{}-{number}", std::process::id()));
        match self.make_room(&path) {
            Ok(()) => Writer::new(self, path, algorithm),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    /// Stores bytes that are at hand and names them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        if self.has(&digest) {
            return Ok(digest);
        }
        let mut writer = self.writer()?;
        writer.push(bytes)?;
        writer.commit(Some(&digest), Some(bytes.len() as u64))
    }

    /// Opens a blob for reading from its start.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open_blob(&self, digest: &Digest) -> Result<File, Error> {
        File::open(self.path(digest)).map_err(|source| read_error(digest, source))
    }

    /// Reads a whole blob of at most `cap` bytes.
    ///
    /// # Errors
    /// When it is not there or larger.
    pub fn read_small(&self, digest: &Digest, cap: u64) -> Result<Vec<u8>, Error> {
        let size = self.size(digest)?;
        if size > cap {
            return Err(Error::TooLarge {
                digest: digest.clone(),
                size,
                cap,
            });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        self.open_blob(digest)?
            .take(cap)
            .read_to_end(&mut bytes)
            .map_err(|source| read_error(digest, source))?;
        Ok(bytes)
    }

    /// Whether the blob is here.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        fs::symlink_metadata(self.path(digest)).is_ok()
    }

    /// A blob's size in bytes.
    ///
    /// # Errors
    /// When it is not there.
    pub fn size(&self, digest: &Digest) -> Result<u64, Error> {
        fs::symlink_metadata(self.path(digest))
            .map(|meta| meta.len())
            .map_err(|source| read_error(digest, source))
    }

    /// Removes a blob, and the folder it stood in when that is empty now; a blob that is not there is fine.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(&self, digest: &Digest) -> Result<(), Error> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Remove {
                    digest: digest.clone(),
                    source,
                });
            }
            _ => {}
        }
        // Fails while other blobs stand there, which is as good.
        let _ = path.parent().map(fs::remove_dir);
        let _ = path.parent().and_then(Path::parent).map(fs::remove_dir);
        Ok(())
    }

    /// Writes blobs that were committed lazily to disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn flush(&self) -> Result<(), Error> {
        let sync = || rustix::fs::syncfs(File::open(&self.root)?).map_err(io::Error::from);
        sync().map_err(|source| Error::Write {
            path: self.root.clone(),
            source,
        })
    }

    /// All blobs, in no order.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn list(&self) -> Result<Vec<Blob>, Error> {
        let mut blobs = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let path = self.root.join(algorithm.name());
            list_algorithm(&path, algorithm, &mut blobs)
                .map_err(|source| Error::Open { path, source })?;
        }
        Ok(blobs)
    }

    /// `blobs/<algorithm>/<first two digits>/<digits>`; a digest has no character that could lead elsewhere.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let mut path = self.root.join(digest.algorithm().name());
        path.push(&hex[..2]);
        path.push(hex);
        path
    }

    /// Makes the folder that `path` will stand in.
    pub(crate) fn make_room(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), make_private)
    }

    fn prepare(&self) -> io::Result<()> {
        make_private(&self.root)?;
        self.remove_empty_folders()?;
        let drafts = self.root.join(DRAFTS);
        match fs::remove_dir_all(&drafts) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => make_private(&drafts),
        }
    }

    /// A writer that was killed may have made the folder of its blob and not the blob.
    fn remove_empty_folders(&self) -> io::Result<()> {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let Ok(folders) = fs::read_dir(self.root.join(algorithm.name())) else {
                continue;
            };
            for folder in folders {
                match fs::remove_dir(folder?.path()) {
                    Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                        return Err(error);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn read_error(digest: &Digest, source: io::Error) -> Error {
    let digest = digest.clone();
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { digest },
        _ => Error::Read { digest, source },
    }
}

fn list_algorithm(path: &Path, algorithm: Algorithm, blobs: &mut Vec<Blob>) -> io::Result<()> {
    let rooms = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        rooms => rooms?,
    };
    for room in rooms {
        for entry in fs::read_dir(room?.path())? {
            let entry = entry?;
            let name = entry.file_name();
            let digest = name
                .to_str()
                .and_then(|hex| format!("{}:{hex}", algorithm.name()).parse().ok());
            if let Some(digest) = digest {
                let size = entry.metadata()?.len();
                blobs.push(Blob { digest, size });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Root(PathBuf);
    impl Root {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("estiva-content-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }
    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_blob_goes_in_and_comes_out() {
        let root = Root::new("roundtrip");
        let store = Store::open(&root.0).unwrap();
        let digest = store.put(b"hello").unwrap();
        assert_eq!(store.read_small(&digest, 5).unwrap(), b"hello");
        assert_eq!(store.size(&digest).unwrap(), 5);
        assert!(matches!(
            store.read_small(&digest, 4),
            Err(Error::TooLarge { .. })
        ));
        let blob = Blob {
            digest: digest.clone(),
            size: 5,
        };
        assert_eq!(store.list().unwrap(), [blob]);
        store.remove(&digest).unwrap();
        store.remove(&digest).unwrap();
        assert!(matches!(
            store.open_blob(&digest),
            Err(Error::NotFound { .. })
        ));
        assert!(
            !root.0.join("blobs/sha256").exists(),
            "an empty store is an empty folder"
        );
    }

    #[test]
    fn content_that_lies_is_not_stored() {
        let root = Root::new("lies");
        let store = Store::open(&root.0).unwrap();
        let announced = Digest::of(b"other");
        let write = |size| {
            let mut writer = store.writer().unwrap();
            writer.push(b"hello").unwrap();
            writer.commit(size, None)
        };
        assert!(matches!(write(Some(&announced)), Err(Error::Digest { .. })));
        let mut writer = store.writer().unwrap();
        writer.push(b"hello").unwrap();
        assert!(matches!(
            writer.commit(None, Some(4)),
            Err(Error::Size { .. })
        ));
        drop(store.writer().unwrap());
        assert_eq!(store.list().unwrap(), []);
        assert_eq!(
            fs::read_dir(root.0.join("blobs/drafts")).unwrap().count(),
            0
        );
    }

    #[test]
    fn other_functions_name_blobs_too() {
        let root = Root::new("sha512");
        let store = Store::open(&root.0).unwrap();
        let mut writer = store.writer_with(Algorithm::Sha512).unwrap();
        writer.push(b"hello").unwrap();
        let digest = writer.commit(None, None).unwrap();
        assert_eq!(digest.algorithm(), Algorithm::Sha512);
        assert!(store.has(&digest));
        assert_eq!(store.list().unwrap().len(), 1);
    }

    #[test]
    fn what_a_killed_writer_left_is_gone_after_opening() {
        let root = Root::new("killed");
        {
            let store = Store::open(&root.0).unwrap();
            let mut writer = store.writer().unwrap();
            writer.push(b"half").unwrap();
            std::mem::forget(writer);
        }
        assert_eq!(
            fs::read_dir(root.0.join("blobs/drafts")).unwrap().count(),
            1
        );
        Store::open(&root.0).unwrap();
        assert_eq!(
            fs::read_dir(root.0.join("blobs/drafts")).unwrap().count(),
            0
        );
    }
}
