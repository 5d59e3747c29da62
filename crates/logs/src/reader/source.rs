//! One file of a log, read forwards record by record, line by line.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memchr::memchr;

use crate::files::Identity;
use crate::json_file;
use crate::local::{HEADER, Header};
use crate::{Driver, Entry};

const BLOCK: usize = 128 * 1024;
/// A json-file record that is longer than this is not one of ours or of Docker's (16 KiB of text, six bytes for one at most).
const MAX_RECORD: usize = 8 << 20;

/// A file and the place in it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(super) file: File,
    pub(super) driver: Driver,
    pub(crate) identity: Identity,
    /// The file's place in the row of all, if it is known.
    pub(super) number: Option<u64>,
    /// Where the next block is read.
    pub(super) offset: u64,
    /// Where the file ends for this reader.
    limit: Option<u64>,
    buffer: Vec<u8>,
    /// What of the buffer is not used yet.
    unread: Range<usize>,
    /// local: the record whose lines are being given, and what of its payload is left.
    record: Option<(Header, Range<usize>)>,
    /// local: lines to leave out at first.
    pub(super) skip_lines: u64,
}

impl Source {
    /// Reads from the file's start to its end: the present one when `limited`.
    pub(crate) fn new(
        file: File,
        driver: Driver,
        identity: Identity,
        number: Option<u64>,
        limited: bool,
    ) -> io::Result<Self> {
        let limit = limited.then_some(file.metadata()?.len());
        Ok(Self {
            file,
            driver,
            identity,
            number,
            offset: 0,
            limit,
            buffer: Vec::new(),
            unread: 0..0,
            record: None,
            skip_lines: 0,
        })
    }

    /// The identity with the file's present modification time; that of a compressed file is the one of its name.
    pub(crate) fn refresh(&self) -> io::Result<Identity> {
        let now = Identity::of(&self.file)?;
        Ok(if now.is_file(&self.identity) {
            now
        } else {
            self.identity
        })
    }

    /// The end of what may be read now.
    pub(super) fn end(&self) -> io::Result<u64> {
        match self.limit {
            Some(limit) => Ok(limit),
            None => Ok(self.file.metadata()?.len()),
        }
    }

    /// Reads the next line; false at the end of the last whole record.
    pub(crate) fn read(&mut self, entry: &mut Entry) -> io::Result<bool> {
        match self.driver {
            Driver::JsonFile => self.read_json(entry),
            Driver::Local => self.read_local(entry),
            Driver::None => Ok(false),
        }
    }

    fn read_json(&mut self, entry: &mut Entry) -> io::Result<bool> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.unread.clone()];
            if let Some(at) = memchr(b'\n', &unread[searched..]) {
                let length = searched + at;
                let sound = json_file::decode(&unread[..length], entry);
                self.unread.start += length + 1;
                searched = 0;
                if sound {
                    return Ok(true);
                }
                continue; // not a record: a torn line that another writer went on behind
            }
            searched = unread.len();
            if searched > MAX_RECORD {
                self.unread.start = self.unread.end;
                searched = 0;
            }
            if !self.fill(1)? {
                return Ok(false);
            }
        }
    }

    fn read_local(&mut self, entry: &mut Entry) -> io::Result<bool> {
        loop {
            if let Some((header, left)) = &mut self.record {
                let payload = &self.buffer[left.clone()];
                let length = memchr(b'\n', payload).map_or(payload.len(), |at| at + 1);
                let header = *header;
                entry.line.clear();
                entry.line.extend_from_slice(&payload[..length]);
                left.start += length;
                if left.start == left.end {
                    self.record = None;
                    self.unread.start += header.record();
                }
                if self.skip_lines > 0 {
                    self.skip_lines -= 1;
                    continue;
                }
                entry.attrs.clear();
                entry.stream = header.stream;
                entry.time_unix_nanos = header.unix_nanos;
                return Ok(true);
            }
            let unread = &self.buffer[self.unread.clone()];
            if unread.len() < HEADER {
                if !self.fill(HEADER - unread.len())? {
                    return Ok(false);
                }
                continue;
            }
            let Some(header) = Header::parse(unread) else {
                return Ok(false); // damage: the writer cuts it off when it next opens the file
            };
            if unread.len() < header.record() {
                if !self.fill(header.record() - unread.len())? {
                    return Ok(false);
                }
                continue;
            }
            let start = self.unread.start + HEADER;
            self.record = Some((header, start..start + header.payload));
        }
    }

    /// Reads at least `want` more bytes behind the unread ones if the file has any more; false when it has none.
    fn fill(&mut self, want: usize) -> io::Result<bool> {
        let end = self.end()?;
        if self.offset >= end {
            if self.unread.is_empty() {
                self.buffer = Vec::new(); // a follower that waits needs no memory
                self.unread = 0..0;
            }
            return Ok(false);
        }
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let wanted =
            usize::try_from((end - self.offset).min(want.max(BLOCK) as u64)).unwrap_or(BLOCK);
        let size = self.unread.end + wanted;
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let got = self
            .file
            .read_at(&mut self.buffer[self.unread.end..size], self.offset)?;
        self.offset += got as u64;
        self.unread.end += got;
        Ok(got > 0)
    }
}
