//! Files in and out: `cp`, `export`, `diff`. Every path is resolved inside the container's root.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use archive::{Change, ExtractOptions, PackOptions, in_root, pack};
use rustix::fs::{FileType, Mode, OFlags};

use super::rootfs;
use super::view::View;
use crate::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stream::{Chunks, outward};

/// What is at a path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// The last component.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Type and permission bits as stat(2) gives them.
    pub mode: u32,
    /// Modification, in nanoseconds since the epoch.
    pub modified_unix_nanos: i64,
    /// Where a symlink points to, resolved; empty for anything else.
    pub link_target: String,
}

/// How to extract what comes in.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutOptions {
    /// Never put a folder where something else is, or something else where a folder is.
    pub no_overwrite_dir_non_dir: bool,
    /// Give everything to the container's user.
    pub copy_uid_gid: bool,
}

fn missing(view: &View, path: &str) -> Error {
    Error::NotFound(format!(
        "Could not find the file {path} in container {}",
        view.record.name
    ))
}

fn open_failed(view: &View, path: &str, error: rustix::io::Errno) -> Error {
    match error {
        rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => missing(view, path),
        other => Error::file("open the container's", path, other.into()),
    }
}

impl Engine {
    /// What is at a path.
    ///
    /// # Errors
    /// No such container, no such path.
    pub async fn stat_path(&self, target: &str, path: &str) -> Result<PathStat> {
        let (view, shared, path) = (
            self.container(target)?,
            self.shared.clone(),
            path.to_owned(),
        );
        blocking::run("path lookup", move || {
            let root = rootfs::open(&shared, &view.record, false)?;
            stat(root.as_fd(), &path).map_err(|e| open_failed(&view, &path, e))
        })
        .await
    }

    /// A path as a tar stream, named by its last component.
    ///
    /// # Errors
    /// No such container, no such path.
    pub async fn get_archive(&self, target: &str, path: &str) -> Result<(PathStat, Chunks)> {
        let (view, shared, path) = (
            self.container(target)?,
            self.shared.clone(),
            path.to_owned(),
        );
        let record = view.record.clone();
        let (root, stat, path) = blocking::run("path lookup", move || {
            let root = rootfs::open(&shared, &view.record, false)?;
            let stat = stat(root.as_fd(), &path).map_err(|e| open_failed(&view, &path, e))?;
            Ok((root, stat, path))
        })
        .await?;
        // `/dir/.` means the contents: the entries are named `./…`, as Docker names them.
        let contents = path.ends_with("/.") || path == ".";
        let name = if contents {
            b".".to_vec()
        } else {
            stat.name.as_bytes().to_vec()
        };
        let name = if name == b"/" { b".".to_vec() } else { name };
        let include = archive::pack::Include {
            path: path.trim_start_matches('/').as_bytes().to_vec(),
            name,
            follow: path.ends_with('/') || contents,
        };
        let options = PackOptions {
            include: vec![include],
            shift: rootfs::shift(&record),
            ..PackOptions::default()
        };
        self.shared.tell_of(&record, "archive-path", []);
        let (mut writer, chunks) = outward();
        tokio::task::spawn_blocking(move || match pack(root.as_fd(), &options, &mut writer) {
            Ok(_) => drop(writer),
            Err(error) => writer.fail(std::io::Error::other(fault::chain(&error))),
        });
        Ok((stat, chunks))
    }

    /// Extracts a tar stream into a folder of a container.
    ///
    /// # Errors
    /// No such container; no such folder; a read-only root or volume; an archive that is refused.
    pub async fn put_archive(
        &self,
        target: &str,
        path: &str,
        options: PutOptions,
        archive: impl Read + Send + 'static,
    ) -> Result<()> {
        let (view, shared, path) = (
            self.container(target)?,
            self.shared.clone(),
            path.to_owned(),
        );
        blocking::run("copy", move || {
            if view.record.host.readonly_rootfs && !is_in_writable_mount(&view, &path) {
                return Err(Error::Invalid(
                    "container rootfs is marked read-only".into(),
                ));
            }
            let root = rootfs::open(&shared, &view.record, true)?;
            let folder = in_root::open(
                root.as_fd(),
                path.as_bytes(),
                OFlags::RDONLY | OFlags::DIRECTORY,
                Mode::empty(),
            );
            let folder = match folder {
                Err(rustix::io::Errno::NOTDIR) => {
                    return Err(Error::Invalid("extraction point is not a directory".into()));
                }
                other => other.map_err(|e| open_failed(&view, &path, e))?,
            };
            let owner = options.copy_uid_gid.then(|| owner_of(&view)).flatten();
            let extract = ExtractOptions {
                owner,
                shift: rootfs::shift(&view.record),
                no_overwrite_dir_non_dir: options.no_overwrite_dir_non_dir,
                ..ExtractOptions::default()
            };
            let source = archive::decompress(archive, archive::compression::Caps::default())
                .map_err(|e| Error::file("read", "the archive", e))?;
            archive::extract(source, folder.as_fd(), &extract)?;
            shared.tell_of(&view.record, "extract-to-dir", []);
            Ok(())
        })
        .await
    }

    /// The container's whole file system as a tar stream.
    ///
    /// # Errors
    /// No such container.
    pub async fn export(&self, target: &str) -> Result<Chunks> {
        let (view, shared) = (self.container(target)?, self.shared.clone());
        let record = view.record.clone();
        let root = blocking::run("export", move || {
            // Without what is mounted over it, as in Docker: volumes are not part of the container.
            let view = snapshot::View::WritableReadOnly(&view.record.id);
            let root = shared.snapshots.mount_view(view)?;
            // A mount's own descriptor cannot be listed, an opened folder can.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            in_root::open(root.as_fd(), b".", flags, Mode::empty())
                .map_err(|e| Error::file("open", "the container's root", e.into()))
        })
        .await?;
        self.shared.tell_of(&record, "export", []);
        let (mut writer, chunks) = outward();
        tokio::task::spawn_blocking(move || {
            match pack(root.as_fd(), &PackOptions::default(), &mut writer) {
                Ok(_) => drop(writer),
                Err(error) => writer.fail(std::io::Error::other(fault::chain(&error))),
            }
        });
        Ok(chunks)
    }

    /// What the container changed in its file system.
    ///
    /// # Errors
    /// No such container.
    pub async fn changes(&self, target: &str) -> Result<Vec<Change>> {
        let (view, shared) = (self.container(target)?, self.shared.clone());
        blocking::run("diff", move || {
            let upper = shared.snapshots.open_upper(&view.record.id)?;
            let lower = match shared.snapshots.parent_of(&view.record.id)? {
                Some(chain) => Some(shared.snapshots.mount_view(snapshot::View::Layer(&chain))?),
                None => None,
            };
            Ok(archive::changes(
                upper.as_fd(),
                lower.as_ref().map(AsFd::as_fd),
            )?)
        })
        .await
    }
}

fn stat(root: std::os::fd::BorrowedFd<'_>, path: &str) -> rustix::io::Result<PathStat> {
    // A trailing slash or dot asks for what a symlink points to.
    let follow = path.ends_with('/') || path.ends_with("/.");
    let found = in_root::stat(root, path.as_bytes(), follow)?;
    let is_link = FileType::from_raw_mode(found.st_mode) == FileType::Symlink;
    let link_target = if is_link {
        let target = in_root::read_link(root, path.as_bytes())?;
        let target = std::ffi::OsStr::from_bytes(&target);
        let parent = std::path::Path::new(path)
            .parent()
            .unwrap_or(std::path::Path::new("/"));
        parent.join(target).to_string_lossy().into_owned()
    } else {
        String::new()
    };
    let trimmed = path.trim_end_matches("/.").trim_end_matches('/');
    let name = std::path::Path::new(trimmed)
        .file_name()
        .map_or("/".into(), |n| n.to_string_lossy().into_owned());
    Ok(PathStat {
        name,
        size: found.st_size,
        mode: found.st_mode,
        modified_unix_nanos: found.st_mtime * 1_000_000_000
            + i64::try_from(found.st_mtime_nsec).unwrap_or(0),
        link_target,
    })
}

fn is_in_writable_mount(view: &View, path: &str) -> bool {
    view.record
        .mounts
        .iter()
        .any(|m| m.writable && std::path::Path::new(path).starts_with(&m.destination))
}

/// The numeric user of a container, when it is given by number.
fn owner_of(view: &View) -> Option<(u32, u32)> {
    let user = &view.record.config.user;
    let (uid, gid) = user.split_once(':').unwrap_or((user, ""));
    let uid = uid.parse().ok()?;
    Some((uid, gid.parse().unwrap_or(0)))
}
