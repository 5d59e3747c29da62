//! The database: names and images, in one file.
//!
//! ```text
//! DATA-ROOT/meta.db   table names:  full reference -> Name (JSON)
//!                     table images: image id       -> Record (JSON)
//! ```
//! One transaction per change, written through before it counts; all of it is read once, at start-up.

use std::path::{Path, PathBuf};

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
    db: Database,
    path: PathBuf,
}

impl Meta {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let opened = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&path);
        match opened {
            Ok(db) => Ok(Self { db, path }),
            Err(error) => Err(Error::Database {
                action: "open",
                path,
                source: Box::new(error.into()),
            }),
        }
    }

    /// Reads everything; an entry that cannot be understood is passed over, as if it had never been written.
    pub(crate) fn read(&self) -> Result<Contents> {
        self.try_read().map_err(|error| self.failed("read", error))
    }

    pub(crate) fn apply(&self, batch: &Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.try_apply(batch)
            .map_err(|error| self.failed("write", error))
    }

    fn try_read(&self) -> Result<Contents, redb::Error> {
        let mut contents = Contents::default();
        let txn = self.db.begin_read()?;
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

    fn try_apply(&self, batch: &Batch) -> Result<(), redb::Error> {
        let txn = self.db.begin_write()?;
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

    fn failed(&self, action: &'static str, error: redb::Error) -> Error {
        Error::Database {
            action,
            path: self.path.clone(),
            source: Box::new(error),
        }
    }
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
