//! The database: names and images, in one file.
//!
//! ```text
//! DATA-ROOT/meta.db   table names:  full reference -> Name (JSON)
//!                     table images: image id       -> Record (JSON)
//! ```
//! One transaction per change, written through before it counts; all of it is read once, at start-up. After a failure, such
//! as of a full disk, the database is opened anew: it then stands where the last change that went well left it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use oci::{Digest, Reference};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::{Error, ImageId, Result};

const NAMES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("names");
const IMAGES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("images");
/// The database is read once and then only written: a large cache would be idle memory.
const CACHE_BYTES: usize = 256 << 10;

/// What a name points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name {
    /// The image.
    pub(crate) image: ImageId,
    /// The manifest or index it came with under this name.
    pub(crate) target: Option<Digest>,
}

/// Changes that happen together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) put_images: Vec<(ImageId, Record)>,
    pub(crate) drop_images: Vec<ImageId>,
    pub(crate) put_names: Vec<(Reference, Name)>,
    pub(crate) drop_names: Vec<Reference>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.put_images.is_empty()
            && self.drop_images.is_empty()
            && self.put_names.is_empty()
            && self.drop_names.is_empty()
    }
}

/// Everything the database holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) names: Vec<(Reference, Name)>,
    pub(crate) images: Vec<(ImageId, Record)>,
}

#[derive(Debug)]
pub(crate) struct Meta {
    /// `None` after a failure: redb refuses everything from then on, and is opened anew when it is next needed.
    db: Mutex<Option<Database>>,
    path: PathBuf,
}

impl Meta {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let meta = Self {
            db: Mutex::default(),
            path: path.to_owned(),
        };
        meta.with("open", |_| Ok(()))?;
        Ok(meta)
    }

    /// Reads everything; an entry that cannot be understood is passed over, as if it had never been written.
    pub(crate) fn read(&self) -> Result<Contents> {
        self.with("read", try_read)
    }

    pub(crate) fn apply(&self, batch: &Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.with("write", |db| try_apply(db, batch))
    }

    /// Works with the database, which is opened first if it is not, and closed if the work fails.
    fn with<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T> {
        let mut held = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match held.take() {
            Some(db) => Ok(db),
            None => Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create(&self.path),
        };
        let done = opened.map_err(redb::Error::from).and_then(|db| {
            let value = work(&db)?;
            *held = Some(db);
            Ok(value)
        });
        done.map_err(|error| Error::Database {
            action,
            path: self.path.clone(),
            source: Box::new(error),
        })
    }
}

fn try_read(db: &Database) -> Result<Contents, redb::Error> {
    let mut contents = Contents::default();
    let txn = db.begin_read()?;
    // Before the first write there are no tables.
    match txn.open_table(NAMES) {
        Ok(table) => {
            for row in table.iter()? {
                let (key, value) = row?;
                contents.names.extend(parsed(key.value(), value.value()));
            }
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    match txn.open_table(IMAGES) {
        Ok(table) => {
            for row in table.iter()? {
                let (key, value) = row?;
                contents.images.extend(parsed(key.value(), value.value()));
            }
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(contents)
}

fn try_apply(db: &Database, batch: &Batch) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    {
        let mut images = txn.open_table(IMAGES)?;
        for (id, record) in &batch.put_images {
            images.insert(id.as_str(), encoded(record).as_slice())?;
        }
        for id in &batch.drop_images {
            images.remove(id.as_str())?;
        }
        let mut names = txn.open_table(NAMES)?;
        for reference in &batch.drop_names {
            names.remove(reference.to_string().as_str())?;
        }
        for (reference, name) in &batch.put_names {
            names.insert(reference.to_string().as_str(), encoded(name).as_slice())?;
        }
    }
    txn.commit()?;
    Ok(())
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have only string keys, so they are always JSON")
}

fn parsed<K: std::str::FromStr, V: for<'de> Deserialize<'de>>(
    key: &str,
    value: &[u8],
) -> Option<(K, V)> {
    Some((key.parse().ok()?, serde_json::from_slice(value).ok()?))
}
