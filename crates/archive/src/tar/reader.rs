//! Reads a tar stream entry by entry, and refuses headers that two readers could take in two ways.
//!
//! The size that frames the data is decided once, from the PAX record if there is one and else from the header,
//! and where both speak they must agree (CVE-2025-62518).

use std::io::{self, BufRead, Read};

use super::entry::{Entry, Extent, Kind, Time};
use super::header::{Dialect, GID, Header, MAJOR, MINOR, MODE, MTIME, SIZE, UID};
use super::pax::Pax;
use super::sparse::{self, OldGnu, Pax10};
use super::{BLOCK, MAX_EXTENSION, MAX_PATH};
use crate::error::{Error, Name, Result};

/// The largest size that the octal field of a header can state.
const MAX_OCTAL_SIZE: u64 = 0o77_777_777_777;

/// A tar stream being read.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    offset: u64,
    global: Pax,
    last: Vec<u8>,
    /// Stored bytes of the current entry that were not read yet.
    remaining: u64,
    padding: u64,
    extents: Option<Vec<Extent>>,
    size: u64,
    ended: bool,
}

/// Extended headers that wait for the entry they belong to.
#[derive(Default)]
struct Pending {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads from `source`, which is at the start of an uncompressed archive.
    pub fn new(source: R) -> Self {
        Self {
            source,
            offset: 0,
            global: Pax::default(),
            last: Vec::new(),
            remaining: 0,
            padding: 0,
            extents: None,
            size: 0,
            ended: false,
        }
    }

    /// The next entry; what was not read of the one before is skipped. `None` at the end of the archive.
    ///
    /// # Errors
    /// A stream that fails or ends inside an entry, and every header that is broken or ambiguous.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        if self.ended {
            return Ok(None);
        }
        let rest = self.remaining + self.padding;
        (self.remaining, self.padding) = (0, 0);
        self.skip(rest)?;
        let mut pending = Pending::default();
        loop {
            let Some(header) = self.header()? else {
                if !pending.is_empty() {
                    return Err(self.truncated());
                }
                self.ended = true;
                return Ok(None);
            };
            match header.flag() {
                b'x' => self.take_pax(&header, &mut pending)?,
                b'g' => self.take_global(&header, &pending)?,
                flag @ (b'L' | b'K') => self.take_long(&header, flag, &mut pending)?,
                _ => return self.entry(&header, pending).map(Some),
            }
        }
    }

    /// Stored bytes of the current entry that lie ready; empty at its end. Holes of sparse files are not in them.
    ///
    /// # Errors
    /// The stream's, and its early end.
    pub fn data(&mut self) -> Result<&[u8]> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        loop {
            match self.source.fill_buf() {
                Ok([]) => return Err(self.truncated()),
                Ok(_) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { source }),
            }
        }
        let ready = self
            .source
            .fill_buf()
            .map_err(|source| Error::Read { source })?;
        let len = usize::try_from(self.remaining)
            .unwrap_or(usize::MAX)
            .min(ready.len());
        Ok(&ready[..len])
    }

    /// Marks bytes that [`Self::data`] gave as used.
    pub fn consume(&mut self, len: usize) {
        debug_assert!(len as u64 <= self.remaining, "no more than data() gave");
        self.source.consume(len);
        self.remaining -= len as u64;
        self.offset += len as u64;
    }

    /// The current entry's contents as the file would hold them, holes read as zeros.
    pub fn contents(&mut self) -> Contents<'_, R> {
        Contents {
            extents: self.extents.take().map(|map| (map, 0)),
            size: self.size,
            at: 0,
            reader: self,
        }
    }

    /// The source, as far as it was read.
    pub fn into_inner(self) -> R {
        self.source
    }

    // --- Headers ---

    /// The next header, or none at the archive's end: two empty blocks, or the stream's end on a border.
    fn header(&mut self) -> Result<Option<Header>> {
        let begin = self.offset;
        let Some(block) = self.block_or_end()? else {
            return Ok(None);
        };
        if block.iter().all(|b| *b == 0) {
            return match self.block_or_end()? {
                Some(next) if next.iter().any(|b| *b != 0) => {
                    Err(self.not_a_header(begin, "an empty block stands amid the archive"))
                }
                _ => Ok(None),
            };
        }
        Header::parse(block)
            .map(Some)
            .map_err(|why| self.not_a_header(begin, why))
    }

    fn take_pax(&mut self, header: &Header, pending: &mut Pending) -> Result<()> {
        if !pending.is_empty() {
            return Err(self.ambiguous("two extended headers stand before it"));
        }
        let body = self.extension(header)?;
        let mut pax = Pax::default();
        pax.read(&body).map_err(|(field, why)| Error::BadField {
            entry: Name::new(pax_name(&body).unwrap_or(&header.name())),
            field,
            why,
        })?;
        pending.pax = Some(pax);
        Ok(())
    }

    fn take_global(&mut self, header: &Header, pending: &Pending) -> Result<()> {
        if !pending.is_empty() {
            return Err(self.ambiguous("a global header stands between it and its own"));
        }
        let body = self.extension(header)?;
        self.global
            .read(&body)
            .map_err(|(field, why)| Error::BadField {
                entry: Name::new(&header.name()),
                field,
                why,
            })?;
        let global = &self.global;
        if global.path.is_some()
            || global.link.is_some()
            || global.size.is_some()
            || global.sparse.is_present
            || !global.xattrs.is_empty()
        {
            let why = "a global header sets what only one entry can have";
            return Err(self.ambiguous(why));
        }
        Ok(())
    }

    fn take_long(&mut self, header: &Header, flag: u8, pending: &mut Pending) -> Result<()> {
        let slot = match flag {
            b'L' => &mut pending.name,
            _ => &mut pending.link,
        };
        if slot.is_some() || pending.pax.is_some() {
            return Err(self.ambiguous("two extended headers stand before it"));
        }
        let mut body = self.extension(header)?;
        let end = body.iter().position(|b| *b == 0).unwrap_or(body.len());
        let field = if flag == b'L' { "path" } else { "linkpath" };
        let entry = Name::new(&body[..end]);
        if body[end..].iter().any(|b| *b != 0) {
            let why = "goes on after a NUL";
            return Err(Error::BadField { entry, field, why });
        }
        body.truncate(end);
        *slot = Some(body);
        Ok(())
    }

    /// The body of an extended header, framed by that header alone.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let entry = Name::new(&header.name());
        let field = "size";
        let size = match header.unsigned(SIZE) {
            Ok(size) if size <= MAX_EXTENSION => size as usize,
            Ok(_) => {
                let why = "of an extended header is over 1 MiB";
                return Err(Error::BadField { entry, field, why });
            }
            Err(why) => return Err(Error::BadField { entry, field, why }),
        };
        let mut body = vec![0; size.next_multiple_of(BLOCK)];
        self.read_exact(&mut body)?;
        body.truncate(size);
        Ok(body)
    }

    // --- Entries ---

    fn entry(&mut self, header: &Header, pending: Pending) -> Result<Entry> {
        let pax = pending.pax.unwrap_or_default();
        let is_sparse = header.flag() == b'S' || pax.sparse.is_present;
        let path = match (&pax.sparse.name, &pax.path, &pending.name) {
            (Some(name), _, _) | (None, Some(name), _) | (None, None, Some(name)) => name.clone(),
            (None, None, None) => header.name(),
        };
        self.last.clone_from(&path);
        let name = || Name::new(&path);
        let bad = |field, why| Error::BadField {
            entry: name(),
            field,
            why,
        };
        if path.is_empty() {
            return Err(bad("path", "is empty"));
        }
        if path.len() > MAX_PATH {
            return Err(bad("path", "is longer than 4095 bytes"));
        }
        let kind = kind(header, &path).map_err(|e| match e {
            Some(why) => self.ambiguous(why),
            None => Error::UnsupportedType {
                entry: name(),
                flag: char::from(header.flag()),
            },
        })?;
        let stated = header.unsigned(SIZE).map_err(|why| bad("size", why))?;
        let stored = match pax.size {
            Some(size) if size != stated && size <= MAX_OCTAL_SIZE => {
                return Err(self.ambiguous("its PAX size and its header's size differ"));
            }
            Some(size) => size,
            None => stated,
        };
        if kind != Kind::File && (stored != 0 || is_sparse) {
            return Err(self.ambiguous("it states a size, but its kind has no contents"));
        }
        let mut entry = Entry {
            kind,
            mode: (header.unsigned(MODE).map_err(|why| bad("mode", why))? & 0o7777) as u32,
            uid: owner(header, UID, pax.uid.or(self.global.uid)).map_err(|why| bad("uid", why))?,
            gid: owner(header, GID, pax.gid.or(self.global.gid)).map_err(|why| bad("gid", why))?,
            size: stored,
            mtime: match pax.mtime.or(self.global.mtime) {
                Some(time) => time,
                None => Time {
                    secs: header.signed(MTIME).map_err(|why| bad("mtime", why))?,
                    nanos: 0,
                },
            },
            link: Vec::new(),
            device: (0, 0),
            xattrs: pax.xattrs,
            sparse: None,
            path: path.clone(),
        };
        if matches!(kind, Kind::HardLink | Kind::Symlink) {
            entry.link = pax
                .link
                .or(pending.link)
                .unwrap_or_else(|| header.link().to_vec());
            if entry.link.is_empty() {
                return Err(bad("linkpath", "is empty"));
            }
            if entry.link.len() > MAX_PATH {
                return Err(bad("linkpath", "is longer than 4095 bytes"));
            }
        }
        if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
            entry.device = (
                device(header, MAJOR).map_err(|why| bad("devmajor", why))?,
                device(header, MINOR).map_err(|why| bad("devminor", why))?,
            );
        }
        self.remaining = stored;
        self.padding = stored.next_multiple_of(BLOCK as u64) - stored;
        if is_sparse {
            let (map, size) = self.sparse_map(header, &pax.sparse)?;
            sparse::check(&map, size, self.remaining).map_err(|why| self.ambiguous(why))?;
            entry.size = size;
            entry.sparse = Some(map);
        }
        self.size = entry.size;
        self.extents.clone_from(&entry.sparse);
        Ok(entry)
    }

    /// The map and the file's real size; a map in the data is read, and `remaining` lessened by it.
    fn sparse_map(
        &mut self,
        header: &Header,
        keys: &super::pax::SparseKeys,
    ) -> Result<(Vec<Extent>, u64)> {
        if header.flag() == b'S' {
            if keys.is_present || header.dialect != Dialect::Gnu {
                return Err(self.ambiguous("it is sparse in two ways"));
            }
            let mut old = OldGnu::begin(header).map_err(|why| self.ambiguous(why))?;
            while old.more {
                let mut block = [0; BLOCK];
                self.read_exact(&mut block)?;
                old.go_on(&block).map_err(|why| self.ambiguous(why))?;
            }
            return Ok((old.map, old.size));
        }
        let size = match (keys.real_size, keys.size) {
            (Some(a), Some(b)) if a != b => None,
            (a, b) => a.or(b),
        };
        let size = size.ok_or_else(|| self.ambiguous("it is sparse, but states no one size"))?;
        match (keys.major.unwrap_or(0), keys.minor.unwrap_or(0)) {
            (0, _) => {
                let map = sparse::pairs(&keys.map).map_err(|why| self.ambiguous(why))?;
                Ok((map, size))
            }
            (1, 0) => {
                let mut map = Pax10::default();
                loop {
                    if self.remaining < BLOCK as u64 {
                        return Err(self.ambiguous("its sparse map goes beyond its data"));
                    }
                    let mut block = [0; BLOCK];
                    self.read_exact(&mut block)?;
                    self.remaining -= BLOCK as u64;
                    if map.feed(&block).map_err(|why| self.ambiguous(why))? {
                        break;
                    }
                }
                Ok((map.map().map_err(|why| self.ambiguous(why))?, size))
            }
            _ => Err(self.ambiguous("its sparse format is unknown")),
        }
    }

    // --- Bytes ---

    fn block_or_end(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            match self.source.read(&mut block[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => {
                    let why = "the archive ends inside a block";
                    return Err(self.not_a_header(self.offset, why));
                }
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { source }),
            }
        }
        self.offset += BLOCK as u64;
        Ok(Some(block))
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> Result<()> {
        match self.source.read_exact(buf) {
            Ok(()) => {
                self.offset += buf.len() as u64;
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && e.get_ref().is_none() => {
                Err(self.truncated())
            }
            Err(source) => Err(Error::Read { source }),
        }
    }

    fn skip(&mut self, len: u64) -> Result<()> {
        let mut left = len;
        while left > 0 {
            let ready = match self.source.fill_buf() {
                Ok([]) => return Err(self.truncated()),
                Ok(ready) => ready.len(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Read { source }),
            };
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(ready);
            self.source.consume(step);
            self.offset += step as u64;
            left -= step as u64;
        }
        Ok(())
    }

    fn truncated(&self) -> Error {
        Error::Truncated {
            entry: Name::new(&self.last),
        }
    }

    fn ambiguous(&self, why: &'static str) -> Error {
        Error::Ambiguous {
            entry: Name::new(&self.last),
            why,
        }
    }

    fn not_a_header(&self, offset: u64, why: &'static str) -> Error {
        Error::NotAHeader {
            offset,
            after: Name::new(&self.last),
            why,
        }
    }
}

/// The kind that a type flag names; `Err(None)` for a flag we do not know.
fn kind(header: &Header, path: &[u8]) -> Result<Kind, Option<&'static str>> {
    let is_folder_name = path.ends_with(b"/");
    match header.flag() {
        0 if is_folder_name => Ok(Kind::Directory), // how archives said it before there was a flag
        b'0' | b'7' | b'S' if is_folder_name => Err(Some("a file's name ends in a slash")),
        0 | b'0' | b'7' | b'S' => Ok(Kind::File),
        b'1' => Ok(Kind::HardLink),
        b'2' => Ok(Kind::Symlink),
        b'3' => Ok(Kind::CharDevice),
        b'4' => Ok(Kind::BlockDevice),
        b'5' => Ok(Kind::Directory),
        b'6' => Ok(Kind::Fifo),
        _ => Err(None),
    }
}

fn owner(
    header: &Header,
    field: super::header::Field,
    pax: Option<u64>,
) -> Result<u32, &'static str> {
    let id = match pax {
        Some(id) => id,
        None => header.unsigned(field)?,
    };
    match u32::try_from(id) {
        Ok(u32::MAX) | Err(_) => Err("is beyond what the kernel takes"),
        Ok(id) => Ok(id),
    }
}

fn device(header: &Header, field: super::header::Field) -> Result<u32, &'static str> {
    u32::try_from(header.unsigned(field)?).map_err(|_| "is too large")
}

/// The path in records that could not all be read, for the error's sake.
fn pax_name(body: &[u8]) -> Option<&[u8]> {
    let at = body.windows(6).position(|w| w == b" path=")? + 6;
    body[at..].split(|b| *b == b'\n').next()
}

/// The contents of one entry, as [`Reader::contents`] gives them.
#[derive(Debug)]
pub struct Contents<'a, R> {
    reader: &'a mut Reader<R>,
    extents: Option<(Vec<Extent>, usize)>,
    size: u64,
    at: u64,
}

impl<R: BufRead> Contents<'_, R> {
    /// Bytes from here to the next change between data and hole, and whether they are data.
    fn run(&mut self) -> (u64, bool) {
        let Some((map, index)) = &mut self.extents else {
            return (self.size - self.at, true);
        };
        while let Some(extent) = map.get(*index) {
            if self.at < extent.offset {
                return (extent.offset - self.at, false);
            }
            if self.at < extent.offset + extent.len {
                return (extent.offset + extent.len - self.at, true);
            }
            *index += 1;
        }
        (self.size - self.at, false)
    }
}

impl<R: BufRead> Read for Contents<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (run, is_data) = self.run();
        let most = usize::try_from(run).unwrap_or(usize::MAX).min(buf.len());
        let n = if is_data {
            let ready = self.reader.data().map_err(|e| match e {
                Error::Read { source } => source,
                other => io::Error::new(io::ErrorKind::InvalidData, other),
            })?;
            let n = most.min(ready.len());
            buf[..n].copy_from_slice(&ready[..n]);
            self.reader.consume(n);
            n
        } else {
            buf[..most].fill(0);
            most
        };
        self.at += n as u64;
        Ok(n)
    }
}
