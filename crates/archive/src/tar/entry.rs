//! One member of a tar archive, as a value.

/// What an entry makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file; its contents follow.
    File,
    /// Another name for a file that stands earlier in the archive.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A folder.
    Directory,
    /// A named pipe.
    Fifo,
}

/// A point in time, in seconds and nanoseconds since 1970-01-01 UTC; the nanoseconds count forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Time {
    /// Seconds, negative before 1970.
    pub secs: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanos: u32,
}

/// A run of data inside a sparse file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// One member: everything its headers say, nothing of its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, as it stands in the archive; never empty, never with a NUL, at most 4095 bytes.
    pub path: Vec<u8>,
    /// What it makes.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky (mask 0o7777).
    pub mode: u32,
    /// Owner; never `u32::MAX`, which chown(2) reads as "keep".
    pub uid: u32,
    /// Group; never `u32::MAX`.
    pub gid: u32,
    /// Size in bytes of the file that results, holes included; zero for all but files.
    pub size: u64,
    /// Last modification.
    pub mtime: Time,
    /// Where a hard or symbolic link points to; empty for the rest.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes with their full names, in the archive's order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the stored data lie in a sparse file; `None` when the file is stored whole.
    pub sparse: Option<Vec<Extent>>,
}

impl Entry {
    /// An entry with neither owner, time nor attributes, for the caller to fill.
    #[must_use]
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: Time::default(),
            link: Vec::new(),
            device: (0, 0),
            xattrs: Vec::new(),
            sparse: None,
        }
    }

    /// The path without leading `/` and `./`, doubled or closing slashes: what two spellings of one name share.
    #[must_use]
    pub fn normal_path(&self) -> Vec<u8> {
        normal(&self.path)
    }
}

/// Joins what is left of a path after empty and `.` components are dropped.
pub(crate) fn normal(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for part in path
        .split(|b| *b == b'/')
        .filter(|p| !p.is_empty() && *p != b".")
    {
        if !out.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_become_one() {
        for spelling in [&b"a/b"[..], b"./a/b", b"/a//b/", b"a/./b/."] {
            assert_eq!(normal(spelling), b"a/b", "{spelling:?}");
        }
        assert_eq!(normal(b"./"), b"");
    }
}
