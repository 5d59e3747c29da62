//! The durable part of a container: `DATA-ROOT/containers/<id>/config.json`.
//!
//! ```text
//! containers/<id>/          0700
//!   config.json             this record; temp + rename, so it is whole or absent
//!   exit.json               how the last run ended, written by the shim before anyone is told
//!   hostname hosts resolv.conf        bound into the container
//!   <id>-json.log …         the log
//! ```
//! Crash rule: a folder without `config.json` is a creation that never finished, and is removed at start-up.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use api::container::{ContainerConfig, HostConfig};
use api::network::NetworkingConfig;
use lifecycle::State;
use lifecycle::restart::Backoff;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::spec::userns::Ids;

/// The version of the record's shape; older ones are read, newer ones refused.
pub(crate) const VERSION: u32 = 1;

/// What is known of a container whether or not it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`] when it was written.
    pub version: u32,
    /// The full id.
    pub id: String,
    /// The name, without a slash.
    pub name: String,
    /// Creation, in nanoseconds since the epoch.
    pub created_unix_nanos: i64,
    /// The image's id, `sha256:…`.
    pub image_id: String,
    /// The chain id of the image's layers, if it has any.
    pub chain: Option<String>,
    /// `os/arch` of the image.
    pub platform: String,
    /// What runs, the image's config merged in.
    pub config: ContainerConfig,
    /// How the host holds it.
    pub host: HostConfig,
    /// The host's ids behind its user namespace, if it has one.
    #[serde(default)]
    pub user_namespace: Option<Ids>,
    /// Networks asked for.
    pub networking: NetworkingConfig,
    /// Every mount that was decided at creation: volumes, binds, tmpfs.
    pub mounts: Vec<MountRecord>,
    /// The log driver and its options.
    pub log_driver: String,
    /// Options of the log driver.
    pub log_options: std::collections::BTreeMap<String, String>,
    /// Where it was in its life when this was written. A state with a process in it is only true while that process is found.
    pub state: State,
    /// Restarts by policy since the last start by hand.
    pub backoff: Backoff,
    /// Last start, in nanoseconds since the epoch; 0: never.
    pub started_unix_nanos: i64,
    /// Last end, in nanoseconds since the epoch; 0: never.
    pub finished_unix_nanos: i64,
    /// Last exit code, or that of a start that failed.
    pub exit_code: i32,
    /// Why the last start failed; empty when it did not.
    pub error: String,
}

/// Where a mount comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A file or folder of the host.
    Bind,
    /// A volume of ours.
    Volume,
    /// A fresh tmpfs.
    Tmpfs,
}

/// One mount as it was decided at creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRecord {
    /// Bind, volume or tmpfs.
    pub kind: MountKind,
    /// The volume's name.
    pub volume: Option<String>,
    /// The volume was made for this container without a name: `rm -v` removes it.
    pub anonymous: bool,
    /// The host's path (bind) or the volume's data folder.
    pub source: PathBuf,
    /// The path in the container.
    pub destination: String,
    /// Writable.
    pub writable: bool,
    /// The mode as the user wrote it (`z`, `ro`, …).
    pub mode: String,
    /// `rprivate`, `rshared`, …; empty for volumes.
    pub propagation: String,
    /// A path inside the volume.
    pub subpath: Option<String>,
    /// Mount options of a tmpfs.
    pub tmpfs_options: Vec<String>,
    /// Make the host folder when it is missing (`-v`, not `--mount`).
    pub create_source: bool,
    /// Do not bind what is mounted below the source.
    pub non_recursive: bool,
    /// Read-only for the mount itself, not for what is mounted below.
    pub read_only_non_recursive: bool,
    /// A volume takes over the image's content (not with `nocopy`).
    pub copy_up: bool,
}

impl Record {
    /// Reads `config.json` of a container's folder.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Record`], with the path.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let bytes = fs::read(&path).map_err(|e| Error::file("read", &path, e))?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Record { path, source })
    }

    /// Writes `config.json` whole. It is safe against a crash of the daemon at once; `flush_later` makes it safe against a
    /// power cut.
    ///
    /// # Errors
    /// [`Error::File`], with the path; the old record stays.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("config.json");
        let bytes = serde_json::to_vec(self).map_err(|source| Error::Record {
            path: path.clone(),
            source,
        })?;
        write_whole(&path, &bytes)
    }

    /// Removed together with its end (`--rm`): nothing of it need outlive a power cut.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        self.host.auto_remove
    }
}

/// Writes a file by temp and rename: readers see the old or the new one, never a part.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let temp = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file: File = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temp)?;
        file.write_all(bytes)?;
        fs::rename(&temp, path)
    };
    write().map_err(|e| Error::file("write", path, e))
}
