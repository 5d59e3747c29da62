//! The lock that daemons of this machine share.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::error::{Error, Result};

/// Held by whichever daemon chooses a subnet, until the kernel shows it.
///
/// Not in /run/lock: everyone writes there, and whoever opens a lock may hold it.
const MACHINE_LOCK: &str = "/run/estiva-network.lock";

/// Nobody else on this machine chooses a subnet while it is held.
#[derive(Debug)]
pub(crate) struct MachineLock(#[expect(dead_code, reason = "held for its lock")] File);

impl MachineLock {
    /// Keeps other daemons from choosing a subnet meanwhile.
    pub(crate) fn take() -> Result<Self> {
        let path = Path::new(MACHINE_LOCK);
        let open = || -> std::io::Result<File> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        };
        open().map(Self).map_err(|e| Error::file("lock", path, e))
    }
}
