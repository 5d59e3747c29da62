//! How a container's root is put together: storage emits this value, the runtime mounts it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::runtime::IdMapping;

/// From ids on disk (`containerID`) to ids of the host (`hostID`), as an idmapped mount shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// Of users.
    pub uids: Vec<IdMapping>,
    /// Of groups.
    pub gids: Vec<IdMapping>,
}

/// The recipe of a root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Rootfs {
    /// A folder, as in an OCI bundle: `root.path`.
    Path {
        /// Absolute path of the folder.
        path: PathBuf,
    },
    /// One overlay mount, made anew for the container in its own mount namespace.
    Overlay {
        /// Read-only layers, the topmost first; at least one.
        lower: Vec<PathBuf>,
        /// The writable layer.
        upper: PathBuf,
        /// Overlay's work folder, beside `upper` in one folder.
        work: PathBuf,
        /// Shifts the ids of all layers, for a container with a user namespace; no file changes owner on disk.
        #[serde(default)]
        idmap: Option<IdMap>,
    },
}
