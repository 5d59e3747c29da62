//! Writes a tar stream: ustar headers, PAX records only for what does not fit them, equal bytes for equal input.

use std::io::Write;

use super::BLOCK;
use super::entry::{Entry, Kind, Time};
use super::header::{
    CHECKSUM, FLAG, Field, GID, LINK, MAGIC, MAJOR, MINOR, MODE, MTIME, NAME, PREFIX, SIZE, UID,
    checksums,
};
use crate::error::{Error, Name, Result};

/// A tar stream being written; [`Writer::finish`] ends it.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    /// Bytes of the current entry that were announced and not written yet.
    remaining: u64,
    padding: usize,
}

impl<W: Write> Writer<W> {
    /// Writes to `to`, many small pieces: give it a buffered one.
    pub fn new(to: W) -> Self {
        Self {
            to,
            remaining: 0,
            padding: 0,
        }
    }

    /// Writes an entry's headers; `entry.size` bytes of [`Self::write_data`] must follow. Holes are not written
    /// as such: `entry.sparse` is ignored.
    ///
    /// # Errors
    /// The receiver's, a NUL in a name, a name that is empty.
    ///
    /// # Panics
    /// If the contents of the entry before are not whole: a fault of the caller.
    pub fn begin(&mut self, entry: &Entry) -> Result<()> {
        assert_eq!(self.remaining, 0, "the entry before must be written whole");
        let mut path = entry.path.clone();
        if entry.kind == Kind::Directory && !path.ends_with(b"/") {
            path.push(b'/');
        }
        for (field, value) in [("path", &path), ("linkpath", &entry.link)] {
            if value.contains(&0) {
                let entry = Name::new(value);
                let why = "holds a NUL";
                return Err(Error::BadField { entry, field, why });
            }
        }
        let mut records = Records::default();
        let header = header(entry, &path, &mut records);
        if !records.0.is_empty() {
            self.write_records(&path, &records)?;
        }
        self.put(&header)?;
        if entry.kind == Kind::File {
            self.remaining = entry.size;
            self.padding = padding(entry.size);
        }
        Ok(())
    }

    /// Writes a piece of the current entry's contents.
    ///
    /// # Errors
    /// The receiver's.
    ///
    /// # Panics
    /// If it is more than the entry announced: a fault of the caller.
    pub fn write_data(&mut self, piece: &[u8]) -> Result<()> {
        self.remaining = self
            .remaining
            .checked_sub(piece.len() as u64)
            .expect("no more contents than the header says");
        self.put(piece)?;
        if self.remaining == 0 {
            let padding = std::mem::take(&mut self.padding);
            self.put(&[0; BLOCK][..padding])?;
        }
        Ok(())
    }

    /// An entry and its contents in one; the size is that of `contents`.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn append(&mut self, entry: &Entry, contents: &[u8]) -> Result<()> {
        let mut entry = entry.clone();
        entry.size = contents.len() as u64;
        self.begin(&entry)?;
        if contents.is_empty() {
            Ok(())
        } else {
            self.write_data(contents)
        }
    }

    /// Ends the archive with two empty blocks and gives the receiver back, flushed.
    ///
    /// # Errors
    /// The receiver's.
    pub fn finish(mut self) -> Result<W> {
        self.put(&[0; 2 * BLOCK])?;
        self.to.flush().map_err(|source| Error::Write { source })?;
        Ok(self.to)
    }

    fn write_records(&mut self, path: &[u8], records: &Records) -> Result<()> {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let base = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        let name = [&b"PaxHeaders.0/"[..], &base[..base.len().min(80)]].concat();
        let mut block = blank(b'x');
        put_text(&mut block, NAME, &name);
        put_octal(&mut block, MODE, 0o644);
        put_octal(&mut block, SIZE, records.0.len() as u64);
        seal(&mut block);
        self.put(&block)?;
        self.put(&records.0)?;
        self.put(&[0; BLOCK][..padding(records.0.len() as u64)])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.to
            .write_all(bytes)
            .map_err(|source| Error::Write { source })
    }
}

fn padding(len: u64) -> usize {
    (len.next_multiple_of(BLOCK as u64) - len) as usize
}

/// The body of a PAX extended header.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    /// Adds `<len> <key>=<value>\n`, where the length counts itself.
    fn push(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut len = rest + 1;
        while len != rest + len.to_string().len() {
            len = rest + len.to_string().len();
        }
        self.0.extend_from_slice(len.to_string().as_bytes());
        self.0.push(b' ');
        self.0.extend_from_slice(key);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }
}

fn header(entry: &Entry, path: &[u8], records: &mut Records) -> [u8; BLOCK] {
    let mut block = blank(match entry.kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    });
    match split(path) {
        Some((prefix, name)) => {
            put_text(&mut block, PREFIX, prefix);
            put_text(&mut block, NAME, name);
        }
        None => {
            records.push(b"path", path);
            put_text(&mut block, NAME, &path[..path.len().min(NAME.len())]);
        }
    }
    put_octal(&mut block, MODE, u64::from(entry.mode & 0o7777));
    for (field, key, id) in [(UID, b"uid", entry.uid), (GID, b"gid", entry.gid)] {
        if !put_octal(&mut block, field, u64::from(id)) {
            records.push(key, id.to_string().as_bytes());
        }
    }
    let size = if entry.kind == Kind::File {
        entry.size
    } else {
        0
    };
    if !put_octal(&mut block, SIZE, size) {
        records.push(b"size", size.to_string().as_bytes());
    }
    let fits = u64::try_from(entry.mtime.secs).is_ok_and(|secs| put_octal(&mut block, MTIME, secs));
    if !fits || entry.mtime.nanos != 0 {
        records.push(b"mtime", time(entry.mtime).as_bytes());
    }
    if matches!(entry.kind, Kind::HardLink | Kind::Symlink) {
        if entry.link.len() > LINK.len() {
            records.push(b"linkpath", &entry.link);
        }
        put_text(
            &mut block,
            LINK,
            &entry.link[..entry.link.len().min(LINK.len())],
        );
    }
    if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) {
        put_octal(&mut block, MAJOR, u64::from(entry.device.0));
        put_octal(&mut block, MINOR, u64::from(entry.device.1));
    }
    for (name, value) in &entry.xattrs {
        records.push(&[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    seal(&mut block);
    block
}

fn blank(flag: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[MAGIC].copy_from_slice(b"ustar\x0000");
    block[FLAG] = flag;
    for field in [MODE, UID, GID, SIZE, MTIME, MAJOR, MINOR] {
        put_octal(&mut block, field, 0);
    }
    block
}

/// Prefix and name for the two fields of ustar, or none if the path fits them at no slash.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME.len() {
        return Some((b"", path));
    }
    let last = path.len().checked_sub(2)?; // a folder's closing slash is no border
    let slash = path[..=PREFIX.len().min(last)]
        .iter()
        .rposition(|b| *b == b'/')
        .filter(|at| *at > 0)?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (name.len() <= NAME.len()).then_some((prefix, name))
}

fn put_text(block: &mut [u8; BLOCK], field: Field, text: &[u8]) {
    block[field.start..field.start + text.len()].copy_from_slice(text);
}

/// False, and zero in the field, if the number has too many digits for it.
fn put_octal(block: &mut [u8; BLOCK], field: Field, n: u64) -> bool {
    let digits = field.len() - 1;
    let fits = n >> (3 * digits) == 0;
    let text = format!("{:0digits$o}", if fits { n } else { 0 });
    block[field.start..field.end - 1].copy_from_slice(text.as_bytes());
    fits
}

fn seal(block: &mut [u8; BLOCK]) {
    let (sum, _) = checksums(block);
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Seconds with as many digits of fraction as there are.
fn time(time: Time) -> String {
    let total = i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
    let sign = if total < 0 { "-" } else { "" };
    let (secs, nanos) = (total.abs() / 1_000_000_000, total.abs() % 1_000_000_000);
    if nanos == 0 {
        return format!("{sign}{secs}");
    }
    format!("{sign}{secs}.{nanos:09}")
        .trim_end_matches('0')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::reader::Reader;
    use super::*;

    fn round(entry: &Entry, contents: &[u8]) -> (Entry, usize) {
        let mut writer = Writer::new(Vec::new());
        writer.append(entry, contents).unwrap();
        let bytes = writer.finish().unwrap();
        let mut reader = Reader::new(&bytes[..]);
        let read = reader.next_entry().unwrap().unwrap();
        assert_eq!(
            std::io::Read::bytes(reader.contents()).count(),
            contents.len()
        );
        assert!(reader.next_entry().unwrap().is_none());
        (read, bytes.len())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut entry = Entry::new("usr/bin/x", Kind::File, 0o4755);
        entry.size = 3;
        (entry.uid, entry.gid) = (3_000_000_000, 7);
        entry.mtime = Time {
            secs: -5,
            nanos: 120_000_000,
        };
        entry.xattrs = vec![(b"security.capability".to_vec(), vec![1, 0, b'\n', 0xff])];
        assert_eq!(round(&entry, b"abc").0, entry);
        let mut link = Entry::new(vec![b'n'; 300], Kind::Symlink, 0o777);
        link.link = vec![b't'; 200];
        assert_eq!(round(&link, b"").0, link);
        let mut device = Entry::new("dev/null", Kind::CharDevice, 0o666);
        device.device = (1, 3);
        assert_eq!(round(&device, b"").0, device);
    }

    #[test]
    fn pax_is_used_only_where_ustar_does_not_reach() {
        let fits = Entry::new(
            [vec![b'p'; 150], vec![b'n'; 100]].join(&b'/'),
            Kind::File,
            0,
        );
        assert_eq!(round(&fits, b"").1, 3 * BLOCK);
        let long = Entry::new(
            [vec![b'p'; 150], vec![b'n'; 101]].join(&b'/'),
            Kind::File,
            0,
        );
        assert_eq!(round(&long, b"").1, 5 * BLOCK);
    }

    #[test]
    fn a_folders_closing_slash_survives_at_every_length() {
        for len in [1, 98, 99, 100, 101, 155, 156, 200, 255, 256, 257, 400] {
            let path: Vec<u8> = (0..len)
                .map(|i| if i % 50 == 49 { b'/' } else { b'd' })
                .chain(*b"e")
                .collect();
            let folder = Entry::new(path.clone(), Kind::Directory, 0o755);
            let read = round(&folder, b"").0;
            assert_eq!(read.path, [&path[..], b"/"].concat(), "{len}");
            assert_eq!(read.normal_path(), path);
        }
    }
}
