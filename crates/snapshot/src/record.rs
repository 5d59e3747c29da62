//! What a snapshot is, as its folder says it: `record.json`.

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::files::{Place, read, write};

/// The most bytes a record can have; ours are under 400.
const MAX_LEN: u64 = 16 << 10;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Record {
    Layer {
        chain: String,
        parent: Option<String>,
        size: u64,
        /// The boot in which it was extracted, as long as it is not known to be on disk.
        unsynced: Option<String>,
    },
    Writable {
        key: String,
        parent: Option<String>,
    },
}

impl Record {
    /// Reads a snapshot's record; none if there is none whole, which a crash leaves.
    pub(crate) fn read(root: &Place<'_>, name: &str) -> Result<Option<Self>> {
        let path = format!("{name}/record.json");
        let text = read(root, &path, MAX_LEN)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Writes it new into the folder of a snapshot that has none.
    pub(crate) fn create(&self, root: &Place<'_>, name: &str, durable: bool) -> Result<()> {
        let path = format!("{name}/record.json");
        write(root, &path, &self.text(), durable)
    }

    /// Puts it in the place of the record there, never leaving none.
    pub(crate) fn replace(&self, root: &Place<'_>, name: &str) -> Result<()> {
        let (path, draft) = (
            format!("{name}/record.json"),
            format!("{name}/record.json.new"),
        );
        // A crash may have left one.
        let _ = rustix::fs::unlinkat(root.dir, &*draft, rustix::fs::AtFlags::empty());
        write(root, &draft, &self.text(), true)?;
        rustix::fs::renameat(root.dir, &*draft, root.dir, &*path)
            .map_err(|e| root.failed("rename", &draft, e))
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers are JSON")
    }
}

/// Names the running boot; what was written in an earlier one and not synced may be gone.
pub(crate) fn boot_id(root: BorrowedFd<'_>) -> String {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut text = [0; 64];
    let read = rustix::fs::openat(
        root,
        "/proc/sys/kernel/random/boot_id",
        flags,
        Mode::empty(),
    )
    .and_then(|file| rustix::io::read(file, &mut text));
    // Without /proc every boot counts as the same: then nothing is dropped.
    let len = read.unwrap_or(0);
    String::from_utf8_lossy(&text[..len]).trim().to_owned()
}
