//! Tells compressions apart by their first bytes, reads them under a cap, and writes gzip.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};

/// Compressed input is read in pieces of this size, in bytes.
const INPUT_BUFFER: usize = 128 << 10;
/// No xz dictionary larger than this is allowed, in KiB: `xz -9` needs 64 MiB.
const XZ_MEMORY_KIB: u32 = 192 << 10;
/// The ratio cap is not looked at below this many bytes of output: small archives of zeros are harmless.
const RATIO_FREE: u64 = 256 << 20;

/// How a stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
    /// The .xz format, any number of streams.
    Xz,
}

impl Compression {
    /// Looks at the first bytes of a stream; six are enough.
    ///
    /// # Errors
    /// Names the compression when it is one that is not read here (bzip2, lz4).
    pub fn sniff(head: &[u8]) -> io::Result<Self> {
        let unread = |what: &str| {
            let text = format!("{what} compression is not supported; use gzip, zstd or xz");
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        };
        match head {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => unread("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => unread("lz4"),
            _ => Ok(Self::Plain),
        }
    }
}

/// Caps against decompression bombs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// The most bytes that may come out.
    pub bytes: u64,
    /// The most bytes that may come out for each byte that went in, looked at after the first 256 MiB.
    pub ratio: u64,
}

impl Default for Caps {
    /// 1 TiB, and 20,000 to one: a layer of zeros passes in gzip (1,032 to one), a zstd bomb does not.
    fn default() -> Self {
        Self {
            bytes: 1 << 40,
            ratio: 20_000,
        }
    }
}

/// A stream that gave more than its caps allow; found inside the `io::Error` that ended the reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// More bytes than [`Caps::bytes`].
    Bytes(u64),
    /// More bytes per input byte than [`Caps::ratio`].
    Ratio(u64),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(cap) => write!(f, "decompresses to more than {cap} bytes"),
            Self::Ratio(cap) => write!(f, "decompresses to more than {cap} times its size"),
        }
    }
}

impl std::error::Error for Excess {}

/// The plain bytes of a stream, however it was compressed.
pub struct Decompressor<'a> {
    codec: Codec<'a>,
    compression: Compression,
    caps: Caps,
    out: u64,
}

#[expect(clippy::large_enum_variant, reason = "one per stream, and moved once")]
enum Codec<'a> {
    Plain(Input<'a>),
    Gzip(flate2::bufread::MultiGzDecoder<Input<'a>>),
    Zstd(zstd::stream::read::Decoder<'static, Input<'a>>),
    Xz(Box<lzma_rust2::XzReader<Input<'a>>>),
}

/// The compressed side: what was peeked, then the rest, counted.
struct Input<'a> {
    source: BufReader<Box<dyn Read + Send + 'a>>,
    taken: u64,
    /// The source itself failed: its error is no damage of the compressed stream.
    has_failed: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buf);
        match read {
            Ok(n) => self.taken += n as u64,
            Err(_) => self.has_failed = true,
        }
        read
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let filled = self.source.fill_buf();
        self.has_failed |= filled.is_err();
        filled
    }

    fn consume(&mut self, n: usize) {
        self.taken += n as u64;
        self.source.consume(n);
    }
}

/// Finds out how `source` is compressed and gives its plain bytes, never more than `caps` allow.
///
/// Damage is reported by the reads, as [`io::ErrorKind::InvalidData`] or `UnexpectedEof`.
///
/// # Errors
/// The first read's, or an unknown compression.
pub fn decompress<'a>(source: impl Read + Send + 'a, caps: Caps) -> io::Result<Decompressor<'a>> {
    let mut source: Box<dyn Read + Send + 'a> = Box::new(source);
    let mut head = [0_u8; 6];
    let mut have = 0;
    while have < head.len() {
        match source.read(&mut head[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let compression = Compression::sniff(&head[..have])?;
    let head = io::Cursor::new(head).take(have as u64);
    let input = Input {
        source: BufReader::with_capacity(INPUT_BUFFER, Box::new(head.chain(source))),
        taken: 0,
        has_failed: false,
    };
    let codec = match compression {
        Compression::Plain => Codec::Plain(input),
        Compression::Gzip => Codec::Gzip(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Zstd => Codec::Zstd(zstd::stream::read::Decoder::with_buffer(input)?),
        Compression::Xz => Codec::Xz(Box::new(lzma_rust2::XzReader::new_mem_limit(
            input,
            true,
            XZ_MEMORY_KIB,
        ))),
    };
    Ok(Decompressor {
        codec,
        compression,
        caps,
        out: 0,
    })
}

impl Decompressor<'_> {
    /// How the stream was compressed.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Bytes of the compressed side used so far.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.input().taken
    }

    /// Bytes of the plain side given so far.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.out
    }

    fn input(&self) -> &Input<'_> {
        match &self.codec {
            Codec::Plain(input) => input,
            Codec::Gzip(codec) => codec.get_ref(),
            Codec::Zstd(codec) => codec.get_ref(),
            Codec::Xz(codec) => codec.inner(),
        }
    }

    /// The codecs report damage by many kinds of error; here it is always the input's fault, and told apart from
    /// a source that failed.
    fn told_apart(&self, error: io::Error) -> io::Error {
        let is_clear = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted
        );
        if is_clear || self.input().has_failed {
            error
        } else {
            io::Error::new(io::ErrorKind::InvalidData, error)
        }
    }

    fn check_caps(&self) -> io::Result<()> {
        if self.out > self.caps.bytes {
            return Err(io::Error::other(Excess::Bytes(self.caps.bytes)));
        }
        if self.out > RATIO_FREE && self.out / self.caps.ratio.max(1) > self.bytes_in() {
            return Err(io::Error::other(Excess::Ratio(self.caps.ratio)));
        }
        Ok(())
    }
}

impl Read for Decompressor<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.codec {
            Codec::Plain(input) => input.read(buf),
            Codec::Gzip(codec) => codec.read(buf),
            Codec::Zstd(codec) => codec.read(buf),
            Codec::Xz(codec) => codec.read(buf),
        };
        let n = n.map_err(|e| self.told_apart(e))?;
        self.out += n as u64;
        self.check_caps()?;
        Ok(n)
    }
}

impl fmt::Debug for Decompressor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("compression", &self.compression)
            .field("bytes_out", &self.out)
            .finish_non_exhaustive()
    }
}

/// A gzip writer with no name and no time in its header, so that equal input gives equal output.
///
/// Call `finish` to write the trailer; `level` runs from 0 (store) to 9 (smallest).
pub fn gzip<W: Write>(to: W, level: u32) -> flate2::write::GzEncoder<W> {
    flate2::write::GzEncoder::new(to, flate2::Compression::new(level.min(9)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gz(data: &[u8]) -> Vec<u8> {
        let mut writer = gzip(Vec::new(), 6);
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    fn plain(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(packed, Caps::default())?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn tool(name: &str, args: &[&str], data: &[u8]) -> Vec<u8> {
        use std::process::{Command, Stdio};
        let mut child = Command::new(name)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let data = data.to_vec();
        let feeder = std::thread::spawn(move || stdin.write_all(&data).unwrap());
        let out = child.wait_with_output().unwrap().stdout;
        feeder.join().unwrap();
        out
    }

    #[test]
    fn many_members_frames_and_streams_read_as_one() {
        let both = b"first second".to_vec();
        assert_eq!(
            plain(&[gz(b"first "), gz(b"second")].concat()).unwrap(),
            both
        );
        let frame = |d: &[u8]| zstd::encode_all(d, 1).unwrap();
        assert_eq!(
            plain(&[frame(b"first "), frame(b"second")].concat()).unwrap(),
            both
        );
        let xz = |d: &[u8]| tool("xz", &["-9"], d);
        assert_eq!(
            plain(&[xz(b"first "), xz(b"second")].concat()).unwrap(),
            both
        );
        assert_eq!(plain(b"first second").unwrap(), both);
        assert_eq!(plain(b"").unwrap(), b"");
    }

    #[test]
    fn a_cut_or_damaged_stream_is_an_error_and_the_inputs_fault() {
        let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for packed in [
            gz(&data),
            tool("zstd", &["-3", "--check"], &data),
            tool("xz", &["-1"], &data),
        ] {
            let mut damaged = packed.clone();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 0xff;
            for bad in [&packed[..packed.len() - 3], &damaged] {
                let source = plain(bad).map(|out| out.len()).unwrap_err();
                let text = format!("{source:?}");
                let kind = crate::Error::Read { source }.kind();
                assert_eq!(kind, fault::Kind::Invalid, "{text}");
            }
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_its_cap() {
        let bomb = zstd::encode_all(io::repeat(0).take(1 << 30), 1).unwrap();
        let read = |caps| io::copy(&mut decompress(&bomb[..], caps).unwrap(), &mut io::sink());
        let by_bytes = Caps {
            bytes: 1 << 20,
            ratio: u64::MAX,
        };
        assert_eq!(
            read(by_bytes).unwrap_err().to_string(),
            "decompresses to more than 1048576 bytes"
        );
        let by_ratio = Caps {
            bytes: u64::MAX,
            ratio: 1000,
        };
        assert_eq!(
            read(by_ratio).unwrap_err().to_string(),
            "decompresses to more than 1000 times its size"
        );
    }

    #[test]
    fn a_compression_we_lack_is_named() {
        let error = decompress(&b"BZh91AY&SY"[..], Caps::default()).unwrap_err();
        assert!(error.to_string().starts_with("bzip2"), "{error}");
    }
}
