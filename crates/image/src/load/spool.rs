//! What an archive holds, by name: small documents in memory, everything else in the content store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use archive::compression::Caps;
use archive::error::Name;
use archive::tar::{Entry, Kind, Reader};
use oci::digest::Algorithm;
use oci::{Digest, Hasher};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use crate::lease::Lease;
use crate::store::Store;
use crate::{Error, Result};

/// A file this small that begins like JSON is kept in memory.
const MAX_DOCUMENT: u64 = 8 << 20;
/// All documents together.
const MAX_DOCUMENTS: u64 = 64 << 20;
/// The most members of an archive.
const MAX_MEMBERS: u64 = 100_000;
/// The longest chain of links between members.
const MAX_LINKS: usize = 8;
/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    Document(Vec<u8>),
    Blob { digest: Digest, size: u64 },
    Link(String),
}

/// A file of the archive, as callers see it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Held<'s> {
    /// Its bytes.
    Document(&'s [u8]),
    /// Where it is in the content store.
    Blob { digest: &'s Digest, size: u64 },
}

/// All members of one archive.
pub(super) struct Spool<'a> {
    store: &'a Store,
    lease: &'a Lease<'a>,
    members: BTreeMap<String, Member>,
    document_bytes: u64,
    count: u64,
}

impl<'a> Spool<'a> {
    pub(super) fn new(store: &'a Store, lease: &'a Lease<'a>) -> Self {
        Self {
            store,
            lease,
            members: BTreeMap::new(),
            document_bytes: 0,
            count: 0,
        }
    }

    pub(super) fn lease(&self) -> &'a Lease<'a> {
        self.lease
    }

    pub(super) fn store(&self) -> &'a Store {
        self.store
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A member by its name, links followed.
    pub(super) fn find(&self, name: &str) -> Option<Held<'_>> {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            match self.members.get(name)? {
                Member::Document(bytes) => return Some(Held::Document(bytes)),
                Member::Blob { digest, size } => {
                    return Some(Held::Blob {
                        digest,
                        size: *size,
                    });
                }
                Member::Link(target) => name = target,
            }
        }
        None
    }

    /// Takes in a tar, compressed or not.
    pub(super) fn take_archive(&mut self, input: impl Read + Send) -> Result<()> {
        let plain = archive::decompress(input, Caps::default())
            .map_err(|source| Error::Input { source })?;
        let mut reader = Reader::new(BufReader::with_capacity(CHUNK, plain));
        let broken = |source| Error::Archive { source };
        while let Some(entry) = reader.next_entry().map_err(broken)? {
            self.count_member()?;
            let name = member_name(&entry)?;
            match entry.kind {
                Kind::File if entry.sparse.is_some() => {
                    self.take_file(&name, entry.size, &mut reader.contents())?
                }
                Kind::File => self.take_file(&name, entry.size, &mut Stored(&mut reader))?,
                Kind::HardLink => self.put(
                    name,
                    Member::Link(target_name(&entry, &entry.link)?),
                    &entry,
                )?,
                Kind::Symlink => {
                    let target = symlink_target(&name, &entry)?;
                    self.put(name, Member::Link(target), &entry)?;
                }
                Kind::Directory => {}
                Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => {
                    return Err(unsafe_member(
                        &entry.path,
                        "is neither file nor folder nor link",
                    ));
                }
            }
        }
        // What follows the archive's end still belongs to the stream: a cut or damaged compression shows only there.
        io::copy(&mut reader.into_inner(), &mut io::sink())
            .map_err(|source| Error::Input { source })?;
        Ok(())
    }

    /// Takes in the known files of an unpacked layout: documents at the top and `blobs/<algorithm>/<hex>`.
    pub(super) fn take_folder(&mut self, folder: &Path) -> Result<()> {
        let fail = |source: rustix::io::Errno| Error::File {
            path: folder.to_owned(),
            source: source.into(),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(folder, flags, Mode::empty()).map_err(fail)?;
        for name in ["oci-layout", "index.json", "manifest.json", "repositories"] {
            self.take_layout_file(&root, folder, name)?;
        }
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let room = format!("blobs/{}", algorithm.name());
            for name in list(&root, &room).map_err(fail)? {
                self.take_layout_file(&root, folder, &format!("{room}/{name}"))?;
            }
        }
        Ok(())
    }

    fn take_layout_file(&mut self, root: &OwnedFd, folder: &Path, name: &str) -> Result<()> {
        let fail = |source: rustix::io::Errno| Error::File {
            path: folder.join(name),
            source: source.into(),
        };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match sys::open::openat2(root, name, flags, Mode::empty(), resolve) {
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            file => File::from(file.map_err(fail)?),
        };
        let stat = rustix::fs::fstat(&file).map_err(fail)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(unsafe_member(name.as_bytes(), "is no regular file"));
        }
        self.count_member()?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let mut file = file.take(size);
        self.take_file(name, size, &mut file)
    }

    /// Keeps one file, and checks it against the digest that its name may be.
    fn take_file(&mut self, name: &str, size: u64, source: &mut dyn Read) -> Result<()> {
        let announced = announced_digest(name);
        let mut head = [0];
        let has_head = read_exactly(source, &mut head, size.min(1))?;
        let is_document = size <= MAX_DOCUMENT && (!has_head || matches!(head, [b'{' | b'[']));
        let member = if is_document {
            self.take_document(name, size, &head, source, announced.as_ref())?
        } else {
            self.take_blob(name, size, &head, source, announced.as_ref())?
        };
        let entry = Entry::new(name.as_bytes(), Kind::File, 0);
        self.put(name.to_owned(), member, &entry)
    }

    fn take_document(
        &mut self,
        name: &str,
        size: u64,
        head: &[u8],
        source: &mut dyn Read,
        announced: Option<&Digest>,
    ) -> Result<Member> {
        self.document_bytes += size;
        if self.document_bytes > MAX_DOCUMENTS {
            return Err(Error::TooMuch {
                what: "the size of all documents",
                limit: MAX_DOCUMENTS,
            });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        bytes.extend_from_slice(&head[..usize::from(size > 0)]);
        source
            .read_to_end(&mut bytes)
            .map_err(|source| Error::Input { source })?;
        if bytes.len() as u64 != size {
            return Err(short());
        }
        if let Some(expected) = announced {
            let mut hasher = Hasher::new(expected.algorithm());
            hasher.update(&bytes);
            check_name(name, expected, hasher.finish())?;
        }
        Ok(Member::Document(bytes))
    }

    fn take_blob(
        &mut self,
        name: &str,
        size: u64,
        head: &[u8],
        source: &mut dyn Read,
        announced: Option<&Digest>,
    ) -> Result<Member> {
        let algorithm = announced.map_or(Algorithm::Sha256, Digest::algorithm);
        if let Some(expected) = announced {
            self.lease.blob(expected);
            if self
                .store
                .content
                .size(expected)
                .is_ok_and(|stored| stored == size)
            {
                return skip_known(name, size, head, source, expected);
            }
        }
        let mut writer = self.store.content.writer_with(algorithm)?;
        writer.push(head)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            match source.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => writer.push(&chunk[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Input { source }),
            }
        }
        if writer.len_bytes() != size {
            return Err(short());
        }
        match self.lease.store_lazily(writer, announced, Some(size)) {
            Ok(digest) => Ok(Member::Blob { digest, size }),
            Err(Error::Content {
                source: content::Error::Digest { actual, .. },
            }) => Err(Error::Lie {
                name: name.to_owned(),
                actual,
            }),
            Err(error) => Err(error),
        }
    }

    /// Two members of one name would be read as one by some tools and as the other by others.
    fn put(&mut self, name: String, member: Member, entry: &Entry) -> Result<()> {
        match self.members.get(&name) {
            Some(old) if *old != member => Err(Error::Archive {
                source: archive::Error::Ambiguous {
                    entry: Name::new(&entry.path),
                    why: "stands in the archive twice with different contents",
                },
            }),
            _ => {
                self.members.insert(name, member);
                Ok(())
            }
        }
    }

    fn count_member(&mut self) -> Result<()> {
        self.count += 1;
        if self.count > MAX_MEMBERS {
            return Err(Error::TooMuch {
                what: "the number of files",
                limit: MAX_MEMBERS,
            });
        }
        Ok(())
    }
}

/// A blob that is here already is only hashed.
fn skip_known(
    name: &str,
    size: u64,
    head: &[u8],
    source: &mut dyn Read,
    expected: &Digest,
) -> Result<Member> {
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(head);
    let count = io::copy(source, &mut hasher).map_err(|source| Error::Input { source })?;
    if count + head.len() as u64 != size {
        return Err(short());
    }
    check_name(name, expected, hasher.finish())?;
    Ok(Member::Blob {
        digest: expected.clone(),
        size,
    })
}

fn check_name(name: &str, expected: &Digest, actual: Digest) -> Result<()> {
    if *expected == actual {
        return Ok(());
    }
    Err(Error::Lie {
        name: name.to_owned(),
        actual,
    })
}

fn short() -> Error {
    let source = io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the stream ends inside a file",
    );
    Error::Input { source }
}

fn read_exactly(source: &mut dyn Read, buffer: &mut [u8; 1], count: u64) -> Result<bool> {
    if count == 0 {
        return Ok(false);
    }
    source
        .read_exact(buffer)
        .map_err(|source| Error::Input { source })?;
    Ok(true)
}

/// The stored bytes of the current entry, without a copy in between.
struct Stored<'r, R>(&'r mut Reader<R>);

impl<R: io::BufRead> Read for Stored<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.0.data().map_err(io::Error::other)?;
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.0.consume(count);
        Ok(count)
    }
}

/// The digest that a file's name says it has: `blobs/sha256/<hex>`, or `<hex>.json` of older archives.
fn announced_digest(name: &str) -> Option<Digest> {
    if let Some(blob) = name.strip_prefix("blobs/") {
        let (algorithm, hex) = blob.split_once('/')?;
        return format!("{algorithm}:{hex}").parse().ok();
    }
    let hex = name.strip_suffix(".json")?;
    format!("sha256:{hex}").parse().ok()
}

/// Names of the files in one folder of a layout; none when it is not there.
fn list(root: &OwnedFd, room: &str) -> Result<Vec<String>, rustix::io::Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = match sys::open::openat2(root, room, flags, Mode::empty(), resolve) {
        Err(rustix::io::Errno::NOENT) => return Ok(Vec::new()),
        dir => dir?,
    };
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir)? {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap_or_default();
        if !name.is_empty() && name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

// --- Names ---

fn unsafe_member(path: &[u8], why: &'static str) -> Error {
    Error::Archive {
        source: archive::Error::UnsafePath {
            entry: Name::new(path),
            why,
        },
    }
}

fn member_name(entry: &Entry) -> Result<String> {
    target_name(entry, &entry.path)
}

/// A path of the archive in its one spelling.
fn target_name(entry: &Entry, path: &[u8]) -> Result<String> {
    let parts = clean(entry, "", path)?;
    Ok(parts)
}

fn symlink_target(name: &str, entry: &Entry) -> Result<String> {
    if entry.link.starts_with(b"/") {
        return Err(unsafe_member(&entry.path, "is a link out of the archive"));
    }
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    clean(entry, folder, &entry.link)
}

/// Joins a path to a folder by its text; only a link's `..` may climb, and never above the archive's root.
fn clean(entry: &Entry, folder: &str, path: &[u8]) -> Result<String> {
    let may_climb = !folder.is_empty();
    let path = std::str::from_utf8(path)
        .map_err(|_| unsafe_member(&entry.path, "has a name that is not UTF-8"))?;
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if may_climb && parts.pop().is_some() => {}
            ".." => return Err(unsafe_member(&entry.path, "leads out of the archive")),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
