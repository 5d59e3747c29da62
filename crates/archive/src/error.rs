//! What can go wrong with an archive, always with the name of the entry it went wrong at.

use std::fmt;
use std::io;

use crate::compression::Excess;

/// The result of every operation here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An entry's name as an archive gave it, shown with everything unprintable escaped and cut at 256 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(Vec<u8>);

impl Name {
    /// Takes the bytes as they stand in the archive.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(256)];
        write!(f, "\"{}", String::from_utf8_lossy(shown).escape_debug())?;
        f.write_str(if shown.len() < self.0.len() {
            "…\""
        } else {
            "\""
        })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was tried, and on which entry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream under the archive failed: disk, network, or a broken compression.
    #[error("read archive")]
    Read {
        /// Why.
        source: io::Error,
    },
    /// The stream ended inside an entry.
    #[error("archive ends inside {entry}")]
    Truncated {
        /// The entry that is not whole.
        entry: Name,
    },
    /// A 512-byte block that should be a header is none.
    #[error("no tar header at byte {offset}, after {after}: {why}")]
    NotAHeader {
        /// Where in the uncompressed stream.
        offset: u64,
        /// The last good entry, empty at the start.
        after: Name,
        /// What is wrong.
        why: &'static str,
    },
    /// A header field holds what it may not.
    #[error("tar entry {entry}: {field} {why}")]
    BadField {
        /// The entry.
        entry: Name,
        /// The field, as POSIX or PAX names it.
        field: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// Two readers could read this entry in two ways, so nobody should.
    #[error("ambiguous tar entry {entry}: {why}")]
    Ambiguous {
        /// The entry.
        entry: Name,
        /// What stands against what.
        why: &'static str,
    },
    /// A kind of entry that nothing here makes.
    #[error("tar entry {entry}: type {flag:?} is not supported")]
    UnsupportedType {
        /// The entry.
        entry: Name,
        /// The type flag.
        flag: char,
    },
    /// A name, or a link, that leads out of the folder.
    #[error("tar entry {entry}: {why}")]
    UnsafePath {
        /// The entry.
        entry: Name,
        /// How it leads out.
        why: &'static str,
    },
    /// More than the caller allows.
    #[error("archive holds more than {limit} {what}, at {entry}")]
    TooMuch {
        /// Bytes or entries.
        what: &'static str,
        /// The cap.
        limit: u64,
        /// Where it was passed.
        entry: Name,
    },
    /// An entry of one kind stands where the folder has another, and the caller forbade replacing.
    #[error("cannot overwrite {} {entry} with {}", kinds(*.is_dir).0, kinds(*.is_dir).1)]
    Overwrite {
        /// The entry.
        entry: Name,
        /// Whether the thing present is a directory.
        is_dir: bool,
    },
    /// The kernel refused to make an entry.
    #[error("extract {entry}: {action}")]
    Extract {
        /// The entry.
        entry: Name,
        /// The step.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused to give a file for packing.
    #[error("pack {path}: {action}")]
    Pack {
        /// The path below the packed folder.
        path: Name,
        /// The step.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The receiver of the archive is gone or full.
    #[error("write archive")]
    Write {
        /// Why.
        source: io::Error,
    },
    /// Comparing an upper folder with what lies below it failed.
    #[error("compare {path}: {action}")]
    Compare {
        /// The path below the root.
        path: Name,
        /// The step.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What this means to whoever asked: a hostile or broken archive is their request's fault, a full disk ours.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::Truncated { .. }
            | Self::NotAHeader { .. }
            | Self::BadField { .. }
            | Self::Ambiguous { .. }
            | Self::UnsupportedType { .. }
            | Self::UnsafePath { .. }
            | Self::TooMuch { .. }
            | Self::Overwrite { .. } => fault::Kind::Invalid,
            Self::Read { source } if is_broken_input(source) => fault::Kind::Invalid,
            Self::Pack { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                fault::Kind::NotFound
            }
            Self::Extract { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                fault::Kind::Denied
            }
            Self::Read { .. }
            | Self::Extract { .. }
            | Self::Pack { .. }
            | Self::Write { .. }
            | Self::Compare { .. } => fault::Kind::Internal,
        }
    }
}

fn is_broken_input(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
    ) || error.get_ref().is_some_and(|e| e.is::<Excess>())
}

fn kinds(present_is_dir: bool) -> (&'static str, &'static str) {
    if present_is_dir {
        ("directory", "non-directory")
    } else {
        ("non-directory", "directory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_shown_escaped_and_short() {
        assert_eq!(Name::new(b"a\x1b[2Jb\n").to_string(), r#""a\u{1b}[2Jb\n""#);
        assert!(Name::new(&[b'x'; 9000]).to_string().len() < 300);
    }

    #[test]
    fn overwriting_reads_as_docker_says_it() {
        let error = Error::Overwrite {
            entry: Name::new(b"a"),
            is_dir: true,
        };
        assert_eq!(
            error.to_string(),
            "cannot overwrite directory \"a\" with non-directory"
        );
    }
}
