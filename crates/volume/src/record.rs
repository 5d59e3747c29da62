//! What is known of a volume, and how `volume.json` keeps it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::name::VolumeName;

/// The label of volumes that nobody named; `volume prune` takes only these.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// A volume to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Its name; a new 64-hex name without.
    pub name: Option<String>,
    /// Its driver: `local`, also when empty.
    pub driver: String,
    /// The driver's options: `type`, `device`, `o`.
    pub options: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: VolumeName,
    /// Its driver: `local`.
    pub driver: String,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in nanoseconds since the epoch.
    pub created_unix_nanos: i64,
    /// The folder that containers see.
    pub mountpoint: PathBuf,
}

impl Volume {
    /// Whether nobody named it.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS_LABEL)
    }

    /// Whether something is mounted on it while it is used.
    #[must_use]
    pub fn has_device(&self) -> bool {
        self.options.contains_key("device")
    }
}

/// The content of `volume.json`. The name is that of the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) driver: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) created_unix_nanos: i64,
}
