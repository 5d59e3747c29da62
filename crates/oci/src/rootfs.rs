//! How a container's root is put together: storage emits this value, the runtime mounts it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
        /// Overlay's work folder, on the file system of `upper`.
        work: PathBuf,
    },
}
