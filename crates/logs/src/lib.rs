//! Container logs: json-file, local and none; rotation, tail and follow.
//!
//! One writer (the container's shim) and any number of readers (the daemon) share nothing but the files:
//!
//! ```text
//! json-file: PATH, PATH.1 … PATH.N[.gz]                  PATH is `<id>-json.log`, newest first
//! local:     PATH/container.log, container.log.1 … [.gz]
//! ```
//! Crash rule: a record is there when its end is there (newline; trailing length). A torn last record is ignored by readers
//! and cut off by the next writer. Rotation renames from the oldest to the newest and then creates the current file anew, so
//! that an open descriptor always reads one whole generation.
#![forbid(unsafe_code)]

mod error;
mod escape;
mod files;
mod json_file;
mod lines;
mod local;
mod options;
mod reader;
mod time;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use error::{Error, Result};
pub use options::{Driver, Settings, validate};
pub use reader::{Canceller, Query, Reader, Wait};
pub use time::{format_rfc3339_nanos, format_rfc3339_nine_digits, parse_rfc3339, unix_nanos_now};
pub use writer::Writer;

/// The log of one container: what writer and readers must agree on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `json-file`, `local` or `none`.
    pub driver: String,
    /// The driver's options, checked by [`validate`] before.
    pub options: BTreeMap<String, String>,
    /// The file (json-file) or folder (local) to write.
    pub path: PathBuf,
    /// What json-file stores with each line: the container's labels and environment that the options `labels`,
    /// `labels-regex`, `env` and `env-regex` select, and `tag`; chosen by the engine, empty as a rule.
    #[serde(default)]
    pub attrs: BTreeMap<String, String>,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// File descriptor 1, and everything of a terminal.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it came from.
    pub stream: Stream,
    /// When it was read from the container, in nanoseconds since the epoch.
    pub time_unix_nanos: i64,
    /// The bytes, with the newline unless the line was split (longer than 16 KiB) or never ended.
    pub line: Vec<u8>,
    /// The attributes stored with it (`docker logs --details`).
    pub attrs: BTreeMap<String, String>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            stream: Stream::Stdout,
            time_unix_nanos: 0,
            line: Vec::new(),
            attrs: BTreeMap::new(),
        }
    }
}
