//! What is kept of a container between commands.
//!
//! ```text
//! ROOT/<id>/                0700, on a tmpfs; made by create, removed by delete
//!   state.json              written before the container exists (pid 0), and again when it does
//!   config.json             its spec, for execs; without the filter's rules
//!   seccomp.bpf             its compiled filter, for execs
//!   root                    the root, mounted for criu while a container is being restored
//!   start                   the start gate's socket; gone once somebody has started the container
//! ```
//! `mkdir` of the folder claims the id. Files are written beside and renamed, so a reader sees one whole version. A
//! creator that is killed midway leaves `pid` 0, and the cgroup that `delete --force` empties.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use oci::runtime::{Hook, Spec, State, Status};
use runtime::SharedRoot;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::process_table;

const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
const FILTER: &str = "seccomp.bpf";
/// The start gate.
pub(crate) const GATE: &str = "start";

/// The facts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) id: String,
    /// The first process; 0 until it is there.
    pub(crate) pid: i32,
    /// Its start, in clock ticks since boot: tells it from a later process of the same number.
    pub(crate) started_ticks: u64,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// RFC 3339.
    pub(crate) created: String,
    /// Path of its cgroup in every hierarchy.
    pub(crate) cgroup: String,
    /// Whether it was made without one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) without_cgroup: bool,
    /// Its cgroup's folders, one in each hierarchy.
    pub(crate) cgroup_folders: Vec<PathBuf>,
    /// Its class of caches and bandwidth: the folders that its processes enter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) class_folders: Vec<PathBuf>,
    /// Those of them that were made for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) own_classes: Vec<PathBuf>,
    /// Its scope, when systemd keeps its cgroup.
    pub(crate) systemd_unit: Option<String>,
    /// Whether its processes end with its first one.
    pub(crate) owns_pids: bool,
    /// Its root, when it lies in a mount namespace of others.
    pub(crate) shared_root: Option<SharedRoot>,
    /// Whether its filter asks somebody: who, its spec says.
    pub(crate) has_listener: bool,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) poststart: Vec<Hook>,
    pub(crate) poststop: Vec<Hook>,
}

/// Where in its life a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// A container's folder, open.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) record: Record,
    path: PathBuf,
    folder: OwnedFd,
}

/// An id is a name of a folder, and nothing else.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    if id.is_empty() {
        return Err(Error::NoId);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
    if id.len() > 1024 || matches!(id, "." | "..") || !id.chars().all(plain) {
        return Err(Error::BadId { id: id.to_owned() });
    }
    Ok(())
}

/// The ids that are taken, in order.
pub(crate) fn ids(root: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::file("list", root))?,
    };
    let mut ids: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| check_id(name).is_ok())
        .collect();
    ids.sort();
    Ok(ids)
}

impl Container {
    /// Claims an id.
    pub(crate) fn claim(root: &Path, record: Record) -> Result<Self, Error> {
        check_id(&record.id)?;
        let path = root.join(&record.id);
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        let made = match builder.create(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => builder
                .recursive(true)
                .create(root)
                .and_then(|()| builder.recursive(false).create(&path)),
            other => other,
        };
        made.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::Exists,
            _ => Error::file("make", &path)(error),
        })?;
        let folder = open_folder(&path).map_err(Error::file("open", &path))?;
        let container = Self {
            record,
            path,
            folder,
        };
        container.save()?;
        Ok(container)
    }

    /// Finds a container.
    pub(crate) fn open(root: &Path, id: &str) -> Result<Self, Error> {
        check_id(id)?;
        let path = root.join(id);
        let folder = match open_folder(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::NotFound),
            other => other.map_err(Error::file("open", &path))?,
        };
        let file = path.join(STATE);
        let record = match fs::read(&file) {
            // Its creator has not come so far, or somebody is deleting it.
            Err(error) if error.kind() == ErrorKind::NotFound => Record {
                id: id.to_owned(),
                ..Record::default()
            },
            Err(error) => return Err(Error::file("read", &file)(error)),
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| Error::Json { path: file, source })?,
        };
        Ok(Self {
            record,
            path,
            folder,
        })
    }

    pub(crate) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Writes the record.
    pub(crate) fn save(&self) -> Result<(), Error> {
        let text = serde_json::to_vec(&self.record).map_err(|source| Error::Json {
            path: self.path.join(STATE),
            source,
        })?;
        replace(&self.path.join(STATE), &text)
    }

    /// Keeps what execs need.
    pub(crate) fn save_for_execs(&self, spec: &Spec, filter: Option<&[u8]>) -> Result<(), Error> {
        let path = self.path.join(CONFIG);
        let text = serde_json::to_vec(spec).map_err(|source| Error::Json {
            path: path.clone(),
            source,
        })?;
        fs::write(&path, text).map_err(Error::file("write", path))?;
        if let Some(filter) = filter {
            let path = self.path.join(FILTER);
            fs::write(&path, filter).map_err(Error::file("write", path))?;
        }
        Ok(())
    }

    /// The spec, for execs.
    pub(crate) fn spec(&self) -> Result<Spec, Error> {
        let path = self.path.join(CONFIG);
        let text = fs::read(&path).map_err(Error::file("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| Error::Json { path, source })
    }

    /// The compiled filter, for execs.
    pub(crate) fn filter(&self) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path.join(FILTER);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::file("read", path))?,
        };
        let program =
            runtime::seccomp::Program::decode(&bytes).map_err(|source| Error::Filter { source })?;
        Ok(Some(program.filter))
    }

    /// Its first process, if that still runs; proof against reuse of the number.
    pub(crate) fn init(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.record.pid)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Looked at after it was opened: what we see is what we hold.
        process_table::is_alive(self.record.pid, self.record.started_ticks).then_some(pidfd)
    }

    /// Whether it waits for its start.
    fn has_gate(&self) -> bool {
        rustix::fs::accessat(
            &self.folder,
            GATE,
            rustix::fs::Access::EXISTS,
            AtFlags::empty(),
        )
        .is_ok()
    }

    /// Removes the start gate's name: the container has been started.
    pub(crate) fn remove_gate(&self) {
        // Whoever was faster has removed it.
        let _ = rustix::fs::unlinkat(&self.folder, GATE, AtFlags::empty());
    }

    /// Where in its life it is; a paused one counts as running.
    pub(crate) fn standing_unless_paused(&self) -> Standing {
        if self.record.pid == 0 {
            return Standing::Creating;
        }
        if self.init().is_none() {
            return Standing::Stopped;
        }
        match self.has_gate() {
            true => Standing::Created,
            false => Standing::Running,
        }
    }

    /// Where in its life it is.
    pub(crate) fn standing(&self) -> Standing {
        let standing = self.standing_unless_paused();
        let may_be_paused = matches!(standing, Standing::Running | Standing::Created);
        if may_be_paused && self.is_frozen() {
            return Standing::Paused;
        }
        standing
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.group()
            .is_ok_and(|group| group.is_some_and(|group| group.is_frozen().unwrap_or(false)))
    }

    /// Its cgroup, if it is still there.
    pub(crate) fn group(&self) -> Result<Option<cgroup::Group>, Error> {
        if self.record.cgroup.is_empty() {
            return Ok(None);
        }
        match cgroup::Group::open(&self.record.cgroup) {
            Ok(group) => Ok(Some(group.beside(&self.record.class_folders))),
            Err(cgroup::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(Error::Cgroup { source }),
        }
    }

    /// Its cgroup, which must be there.
    pub(crate) fn require_group(&self) -> Result<cgroup::Group, Error> {
        if self.record.without_cgroup {
            return Err(Error::NoGroup);
        }
        self.group()?.ok_or(Error::NotRunning)
    }

    /// The document for hooks.
    pub(crate) fn state(&self, status: Status) -> State {
        State {
            oci_version: oci::runtime::VERSION.to_owned(),
            id: self.record.id.clone(),
            status,
            pid: (status != Status::Stopped).then_some(self.record.pid),
            bundle: self.record.bundle.clone(),
            annotations: self.record.annotations.clone(),
        }
    }

    /// Where a restore has the root mounted for a while.
    pub(crate) fn restore_root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// Takes away what a restore that was killed midway has left. As long as it is a mount, what is in it is not ours to
    /// remove.
    fn remove_restore_root(&self) -> Result<(), Error> {
        use rustix::mount::{UnmountFlags, unmount};
        let root = self.restore_root();
        match unmount(&root, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // It is no mount, or not there.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::file("unmount", root)(errno.into())),
        }
    }

    /// Removes the folder, which frees the id.
    pub(crate) fn forget(&self) -> Result<(), Error> {
        for name in [GATE, CONFIG, FILTER, STATE] {
            match rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(errno) => {
                    return Err(Error::file("remove", self.path.join(name))(errno.into()));
                }
            }
        }
        self.remove_restore_root()?;
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                fs::remove_dir_all(&self.path)
            }
            other => other,
        }
        .map_err(Error::file("remove", &self.path))
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Writes a file beside and puts it in its place.
pub(crate) fn replace(path: &Path, text: &[u8]) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_plain_name() {
        for good in ["a", "a.b-c_d+e", "0123"] {
            check_id(good).expect(good);
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0"] {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_claimed_once_and_free_again_when_forgotten() {
        let root = std::env::temp_dir().join(format!(
            "estiva-test-record-{}",
            rustix::process::getpid().as_raw_nonzero()
        ));
        let record = || Record {
            id: "c1".to_owned(),
            ..Record::default()
        };
        let container = Container::claim(&root, record()).expect("a free id");
        assert!(matches!(
            Container::claim(&root, record()),
            Err(Error::Exists)
        ));
        assert_eq!(
            Container::open(&root, "c1").expect("claimed").standing(),
            Standing::Creating
        );
        container.forget().expect("our folder");
        assert!(matches!(Container::open(&root, "c1"), Err(Error::NotFound)));
        fs::remove_dir_all(root).expect("our folder");
    }
}
