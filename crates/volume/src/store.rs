//! The volumes of a data root: make, find, list, hold, remove.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::device;
use crate::error::{Error, Result, at};
use crate::name::{VolumeName, random_hex};
use crate::record::{ANONYMOUS_LABEL, Record, Request, Volume};

pub(crate) const DATA: &str = "_data";
const RECORD: &str = "volume.json";
/// No record that we write comes near this.
const MAX_RECORD_BYTES: u64 = 4 << 20;

/// The volumes of one data root.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    volumes: Mutex<BTreeMap<VolumeName, Arc<Entry>>>,
}

/// A volume and who holds it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) volume: Volume,
    /// Held while a device is mounted or unmounted, and while the folders are replaced.
    pub(crate) holders: Mutex<Holders>,
}

#[derive(Debug, Default)]
pub(crate) struct Holders {
    pub(crate) by: BTreeSet<String>,
    /// Removed while somebody waited for the lock.
    gone: bool,
}

/// The outcome of [`Store::create`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// The volume.
    pub volume: Volume,
    /// It was not there before.
    pub is_new: bool,
}

// --- Store ---

impl Store {
    /// Opens the volumes of a root (`DATA-ROOT/volumes`), made when it is missing, and takes away what was half made or half
    /// removed when the last daemon ended.
    ///
    /// # Errors
    /// When the root cannot be made or read.
    pub fn open(root: &Path) -> Result<Store> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o701)
            .create(root)
            .map_err(at("create", root))?;
        let mut volumes = BTreeMap::new();
        for entry in fs::read_dir(root).map_err(at("read", root))? {
            let entry = entry.map_err(at("read", root))?;
            let path = entry.path();
            let file_name = entry.file_name();
            let text = file_name.to_string_lossy();
            if text.starts_with(".new-") || text.starts_with(".gone-") {
                discard(&path)?;
                continue;
            }
            // What we did not make is left alone.
            let Ok(name) = VolumeName::parse(&text) else {
                continue;
            };
            if path.join(DATA).is_dir() {
                sweep_copies(&path)?;
                let volume = load(name.clone(), &path)?;
                volumes.insert(name, Arc::new(Entry::new(volume)));
            }
        }
        Ok(Store {
            root: root.to_owned(),
            volumes: Mutex::new(volumes),
        })
    }

    /// Makes a volume, or gives the one that has the name already.
    ///
    /// # Errors
    /// When the name, driver or an option is wrong, or the disk refuses.
    pub fn create(&self, request: &Request) -> Result<Creation> {
        let (name, anonymous) = match request.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => (VolumeName::parse(name)?, false),
            None => (VolumeName::anonymous(), true),
        };
        if !matches!(request.driver.as_str(), "" | "local") {
            return Err(Error::Driver {
                name: name.to_string(),
                driver: request.driver.clone(),
            });
        }
        device::check(&name, &request.options)?;
        // Held until the rename, so that two makers of one name do not meet; making takes microseconds.
        let mut volumes = self.lock();
        if let Some(entry) = volumes.get(&name) {
            return Ok(Creation {
                volume: entry.volume.clone(),
                is_new: false,
            });
        }
        let mut labels = request.labels.clone();
        if anonymous {
            labels.insert(ANONYMOUS_LABEL.to_owned(), String::new());
        }
        let record = Record {
            driver: "local".to_owned(),
            options: request.options.clone(),
            labels,
            created_unix_nanos: now(),
        };
        let path = self.root.join(name.as_str());
        self.make(&path, &record, !anonymous)?;
        let volume = volume(name.clone(), &path, record);
        volumes.insert(name, Arc::new(Entry::new(volume.clone())));
        Ok(Creation {
            volume,
            is_new: true,
        })
    }

    /// A volume by its whole name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Volume> {
        self.entry(name).ok().map(|entry| entry.volume.clone())
    }

    /// A volume that must be there.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn require(&self, name: &str) -> Result<Volume> {
        Ok(self.entry(name)?.volume.clone())
    }

    /// All volumes, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Volume> {
        self.lock()
            .values()
            .map(|entry| entry.volume.clone())
            .collect()
    }

    /// Removes a volume with its content. Whether a container still refers to it is for the caller to know.
    ///
    /// # Errors
    /// `NotFound`; `InUse` when somebody holds it.
    pub fn remove(&self, name: &str) -> Result<()> {
        let entry = self.entry(name)?;
        let mut holders = entry.lock();
        if holders.gone {
            return Err(not_found(name));
        }
        if !holders.by.is_empty() {
            return Err(Error::InUse {
                name: name.to_owned(),
                holders: holders.by.iter().cloned().collect(),
            });
        }
        // A device mounted by a daemon before: its content is not ours to delete.
        device::unmount(&entry.volume)?;
        let path = self.root.join(name);
        let gone = self.root.join(format!(".gone-{}", random_hex::<8>()));
        fs::rename(&path, &gone).map_err(at("rename", &path))?;
        holders.gone = true;
        self.lock().remove(&entry.volume.name);
        drop(holders);
        discard(&gone)
    }

    /// Takes a volume into use by `holder` (a container's id): its device is mounted if it has one and is not yet. Gives the
    /// folder to be mounted into the container. Holding twice is holding once.
    ///
    /// # Errors
    /// `NotFound`; when the device cannot be mounted.
    pub fn acquire(&self, name: &str, holder: &str) -> Result<PathBuf> {
        let entry = self.entry(name)?;
        let mut holders = entry.lock();
        if holders.gone {
            return Err(not_found(name));
        }
        device::mount(&entry.volume)?;
        holders.by.insert(holder.to_owned());
        Ok(entry.volume.mountpoint.clone())
    }

    /// Ends the use of a volume by `holder`; the last one's end unmounts the device.
    ///
    /// # Errors
    /// When the device cannot be unmounted.
    pub fn release(&self, name: &str, holder: &str) -> Result<()> {
        let Ok(entry) = self.entry(name) else {
            return Ok(());
        };
        let mut holders = entry.lock();
        if holders.by.remove(holder) && holders.by.is_empty() {
            device::unmount(&entry.volume)?;
        }
        Ok(())
    }

    /// Unmounts the devices that nobody holds: to be called when a new daemon has acquired again what its running containers
    /// use. The mounts themselves are what survived the daemon before.
    ///
    /// # Errors
    /// The first device that cannot be unmounted; the others are tried all the same.
    pub fn unmount_unheld(&self) -> Result<()> {
        let entries: Vec<_> = self.lock().values().cloned().collect();
        let mut outcome = Ok(());
        for entry in entries {
            if entry.volume.has_device() && entry.lock().by.is_empty() {
                outcome = outcome.and(device::unmount(&entry.volume));
            }
        }
        outcome
    }

    pub(crate) fn entry(&self, name: &str) -> Result<Arc<Entry>> {
        let parsed = VolumeName::parse(name).map_err(|_| not_found(name))?;
        let volumes = self.lock();
        volumes.get(&parsed).cloned().ok_or_else(|| not_found(name))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<VolumeName, Arc<Entry>>> {
        // The map is changed by single insertions and removals: a panic elsewhere leaves it whole.
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the folders beside and renames them into place. A record that does not outlive a power cut is rebuilt with
    /// defaults, which for a volume that nobody named is all there was.
    fn make(&self, path: &Path, record: &Record, durable: bool) -> Result<()> {
        let new = self.root.join(format!(".new-{}", random_hex::<8>()));
        let made = build(&new, record, durable).and_then(|()| {
            renameat_with(CWD, &new, CWD, path, RenameFlags::NOREPLACE)
                .map_err(|errno| at("rename", path)(errno.into()))
        });
        if made.is_err() {
            // The first error is the one to tell; the next start tries again to take the rest away.
            let _ = discard(&new);
        } else if durable {
            sync(&self.root)?;
        }
        made
    }
}

impl Entry {
    fn new(volume: Volume) -> Entry {
        Entry {
            volume,
            holders: Mutex::new(Holders::default()),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Holders> {
        // As with the map: single insertions and removals.
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// --- Files ---

fn build(new: &Path, record: &Record, durable: bool) -> Result<()> {
    let folder = |path: &Path, mode| {
        DirBuilder::new()
            .mode(mode)
            .create(path)
            .map_err(at("create", path))
    };
    folder(new, 0o701)?;
    let data = new.join(DATA);
    folder(&data, 0o755)?;
    // Whatever the umask: the container's users must get in.
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).map_err(at("create", &data))?;
    let path = new.join(RECORD);
    let text = serde_json::to_vec(record).map_err(|source| Error::Record {
        path: path.clone(),
        source,
    })?;
    let mut file = File::create_new(&path).map_err(at("create", &path))?;
    file.write_all(&text).map_err(at("write", &path))?;
    if durable {
        file.sync_all().map_err(at("write", &path))?;
        sync(new)?;
    }
    Ok(())
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at("write", folder))
}

fn load(name: VolumeName, path: &Path) -> Result<Volume> {
    let file = path.join(RECORD);
    let record = match fs::metadata(&file) {
        Ok(metadata) if metadata.len() <= MAX_RECORD_BYTES => fs::read(&file)
            .map_err(at("read", &file))
            .map(|text| serde_json::from_slice(&text).ok())?,
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(at("read", &file)(error)),
    };
    // The data counts more than its labels: a volume whose record a power cut took is a volume all the same.
    let record = record.unwrap_or_else(|| Record {
        driver: "local".to_owned(),
        ..Record::default()
    });
    Ok(volume(name, path, record))
}

fn volume(name: VolumeName, path: &Path, record: Record) -> Volume {
    Volume {
        name,
        driver: record.driver,
        options: record.options,
        labels: record.labels,
        created_unix_nanos: record.created_unix_nanos,
        mountpoint: path.join(DATA),
    }
}

/// Deletes a folder of ours, but never through a mount: what is mounted there belongs to somebody.
pub(crate) fn discard(path: &Path) -> Result<()> {
    for inner in [path.to_owned(), path.join(DATA)] {
        if device::is_mounted(&inner) {
            let source = io::Error::from(rustix::io::Errno::BUSY);
            return Err(at("remove", inner)(source));
        }
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", path)(error)),
        _ => Ok(()),
    }
}

fn sweep_copies(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).map_err(at("read", path))? {
        let entry = entry.map_err(at("read", path))?;
        if entry.file_name().to_string_lossy().starts_with(".copy-") {
            discard(&entry.path())?;
        }
    }
    Ok(())
}

fn not_found(name: &str) -> Error {
    Error::NotFound {
        name: name.to_owned(),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |span| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}
