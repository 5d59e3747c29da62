//! The `local` format: length-prefixed records of raw bytes, made for speed and size.
//!
//! ```text
//! offset  size
//! 0       4     n, length of the payload in bytes, little-endian, at most 4 MiB
//! 4       1     1 stdout, 2 stderr
//! 5       3     0xe5 'L' 1   what this is, and its version
//! 8       8     nanoseconds since the epoch, little-endian
//! 16      n     payload: whole lines, or a piece of a line without newline
//! 16+n    4     n again, so that a reader can walk backwards
//! ```
//! One record holds all the lines of one read, so a flood costs one copy and 20 bytes a megabyte, and nothing is escaped:
//! what the program wrote is what `logs` prints, whatever its encoding.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::Stream;

/// Bytes before the payload.
pub(crate) const HEADER: usize = 16;
/// Bytes after the payload.
pub(crate) const TRAILER: usize = 4;
/// The largest payload that is written or believed.
pub(crate) const MAX_PAYLOAD: usize = 4 << 20;
const MARK: [u8; 3] = [0xe5, b'L', 1];

/// A record's first 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) payload: usize,
    pub(crate) stream: Stream,
    pub(crate) unix_nanos: i64,
}

impl Header {
    /// Understands the bytes, or `None` when no record begins here.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
        let payload = u32::from_le_bytes(bytes[..4].try_into().ok()?) as usize;
        let stream = match bytes[4] {
            1 => Stream::Stdout,
            2 => Stream::Stderr,
            _ => return None,
        };
        if bytes[5..8] != MARK || payload == 0 || payload > MAX_PAYLOAD {
            return None;
        }
        Some(Self {
            payload,
            stream,
            unix_nanos: i64::from_le_bytes(bytes[8..].try_into().ok()?),
        })
    }

    /// The length of the whole record in bytes.
    pub(crate) fn record(&self) -> usize {
        HEADER + self.payload + TRAILER
    }
}

/// Appends one record.
pub(crate) fn encode(out: &mut Vec<u8>, stream: Stream, unix_nanos: i64, payload: &[u8]) {
    for part in payload.chunks(MAX_PAYLOAD) {
        let length = u32::try_from(part.len())
            .expect("a part is at most MAX_PAYLOAD")
            .to_le_bytes();
        out.extend_from_slice(&length);
        out.push(match stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        });
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&unix_nanos.to_le_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(&length);
    }
}

/// The offset of the record that ends at `end`, if one does.
pub(crate) fn record_before(file: &File, end: u64) -> io::Result<Option<(u64, Header)>> {
    if end < (HEADER + TRAILER) as u64 {
        return Ok(None);
    }
    let mut trailer = [0; TRAILER];
    file.read_exact_at(&mut trailer, end - TRAILER as u64)?;
    let whole = (HEADER + TRAILER) as u64 + u64::from(u32::from_le_bytes(trailer));
    let Some(start) = end.checked_sub(whole) else {
        return Ok(None);
    };
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, start)?;
    Ok(Header::parse(&header)
        .filter(|header| header.record() as u64 == whole)
        .map(|header| (start, header)))
}

/// The length of the file up to the end of its last whole record: at once when the last one is whole, else by walking from
/// the start.
pub(crate) fn sound_length(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if length == 0 || record_before(file, length)?.is_some() {
        return Ok(length);
    }
    let mut end = 0;
    loop {
        let mut header = [0; HEADER];
        if end + HEADER as u64 > length {
            return Ok(end);
        }
        file.read_exact_at(&mut header, end)?;
        match Header::parse(&header) {
            Some(header) if end + header.record() as u64 <= length => {
                end += header.record() as u64;
            }
            _ => return Ok(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_torn_record_is_found_from_either_end() {
        let mut bytes = Vec::new();
        encode(&mut bytes, Stream::Stdout, 7, b"one\ntwo\n");
        encode(&mut bytes, Stream::Stderr, 8, b"three");
        let whole = bytes.len() as u64;
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("write");
        assert_eq!(sound_length(&file).expect("length"), whole);
        let (start, header) = record_before(&file, whole)
            .expect("read")
            .expect("a record");
        assert_eq!(
            (header.payload, header.stream, header.unix_nanos),
            (5, Stream::Stderr, 8)
        );
        file.set_len(whole - 1).expect("tear");
        assert_eq!(sound_length(&file).expect("length"), start);
    }
}
