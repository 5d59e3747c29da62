//! A tar writer that does as it is told, lies included: real archivers refuse to write what a hostile one sends.

/// One member's header; `..Header::file("name")` fills the rest.
#[derive(Debug, Clone)]
pub struct Header {
    /// Its name, as given, at most 100 bytes.
    pub name: Vec<u8>,
    /// What it points to, for links.
    pub link: String,
    /// `0` file, `1` hard link, `2` symbolic link, `3` character and `4` block device, `5` folder, `6` FIFO, `x` PAX, `L` GNU long name.
    pub kind: u8,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time, seconds since the epoch.
    pub mtime: u64,
    /// Device number.
    pub device: (u32, u32),
    /// The size the header claims; that of the content when absent.
    pub claimed_size: Option<u64>,
}

impl Header {
    /// A regular file, 0644, root's, of 2001-09-09.
    #[must_use]
    pub fn file(name: &str) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            link: String::new(),
            kind: b'0',
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 1_000_000_000,
            device: (0, 0),
            claimed_size: None,
        }
    }

    /// A folder, 0755.
    #[must_use]
    pub fn folder(name: &str) -> Self {
        Self {
            kind: b'5',
            mode: 0o755,
            ..Self::file(name)
        }
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(name: &str, target: &str) -> Self {
        Self {
            kind: b'2',
            mode: 0o777,
            link: target.to_owned(),
            ..Self::file(name)
        }
    }

    /// A hard link to an earlier member.
    #[must_use]
    pub fn hard_link(name: &str, target: &str) -> Self {
        Self {
            kind: b'1',
            link: target.to_owned(),
            ..Self::file(name)
        }
    }
}

/// An archive being written.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member with its content.
    #[must_use]
    pub fn with(mut self, header: &Header, content: &[u8]) -> Self {
        self.bytes.extend(block(header, content.len() as u64));
        self.bytes.extend(content);
        self.pad();
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.with(&Header::file(name), content)
    }

    /// Adds PAX records for the next member.
    #[must_use]
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            body.extend(pax_record(key, value));
        }
        let header = Header {
            kind: b'x',
            ..Header::file("PaxHeaders/next")
        };
        self.with(&header, &body)
    }

    /// The archive with its end.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend([0; 1024]);
        self.bytes
    }

    /// The archive without its end, as a connection that broke leaves it.
    #[must_use]
    pub fn broken_off(self) -> Vec<u8> {
        self.bytes
    }

    fn pad(&mut self) {
        let over = self.bytes.len() % 512;
        if over != 0 {
            self.bytes.resize(self.bytes.len() + 512 - over, 0);
        }
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    let mut record = format!("{len} {key}=").into_bytes();
    record.extend(value);
    record.push(b'\n');
    record
}

fn block(header: &Header, content_len: u64) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, len: usize, bytes: &[u8]| {
        let count = bytes.len().min(len);
        block[at..at + count].copy_from_slice(&bytes[..count]);
    };
    put(0, 100, &header.name);
    put(100, 8, format!("{:07o}\0", header.mode).as_bytes());
    put(108, 8, &number(header.uid, 8));
    put(116, 8, &number(header.gid, 8));
    let size = header.claimed_size.unwrap_or(content_len);
    put(124, 12, &number(size, 12));
    put(136, 12, &number(header.mtime, 12));
    put(148, 8, b"        ");
    put(156, 1, &[header.kind]);
    put(157, 100, header.link.as_bytes());
    put(257, 8, b"ustar\x0000");
    put(329, 8, format!("{:07o}\0", header.device.0).as_bytes());
    put(337, 8, format!("{:07o}\0", header.device.1).as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Octal where it fits, else GNU's base-256.
fn number(value: u64, len: usize) -> Vec<u8> {
    let octal = format!("{value:0width$o}\0", width = len - 1);
    if octal.len() <= len {
        return octal.into_bytes();
    }
    let mut bytes = vec![0; len];
    bytes[len - 8..].copy_from_slice(&value.to_be_bytes());
    bytes[0] |= 0x80;
    bytes
}
