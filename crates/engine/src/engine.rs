//! One engine: its stores, its containers, its spawner. Opened once a daemon, on a data root that it holds alone.
//!
//! ```text
//! DATA-ROOT (0700)                         EXEC-ROOT (0711)
//!   lock           held while open           containers/<id>/   runs
//!   blobs/ snapshots/ volumes/ meta.db       seccomp/           compiled programs
//!   containers/<id>/
//! ```

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;
use shim::spawner::SpawnerHandle;

use crate::container::record::Record;
use crate::container::registry::Registry;
use crate::container::{accounts, recover, seccomp};
use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::exec::Owners;
use crate::flusher::Flusher;
use crate::host::Host;
use crate::network::Networks;
use crate::options::Options;

/// An engine; clones are the same engine.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

/// What every part of an engine may reach.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) host: Host,
    pub(crate) id: String,
    pub(crate) containers: Registry,
    pub(crate) execs: Owners,
    pub(crate) events: Events,
    pub(crate) snapshots: Arc<snapshot::Store>,
    pub(crate) images: Arc<image::Store>,
    pub(crate) volumes: Arc<volume::Store>,
    pub(crate) seccomp: seccomp::Programs,
    pub(crate) accounts: accounts::Cache,
    pub(crate) networks: Networks,
    pub(crate) flusher: Flusher,
    spawner: Mutex<SpawnerHandle>,
    sweeping: AtomicBool,
    /// Held for the life of the engine: of the data root and the exec root.
    _locks: [File; 2],
}

impl Engine {
    /// Opens the stores, repairs what a crash left, and finds the containers that still run.
    ///
    /// # Errors
    /// [`Error::RootInUse`]; a store that cannot be opened; a folder that cannot be made.
    pub async fn open(options: Options, spawner: SpawnerHandle) -> Result<Self> {
        let shared = Arc::new(
            crate::blocking::run("start-up", move || Shared::open(options, spawner)).await?,
        );
        recover::all(&shared).await?;
        Ok(Self { shared })
    }

    /// The engine's settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// What is known of the host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.shared.host
    }

    /// The engine's own id, kept in the data root.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// The engine's events.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.shared.events
    }

    pub(crate) fn containers(&self) -> &Registry {
        &self.shared.containers
    }

    /// Writes out what is still to be made durable. Containers go on; without any, nothing of ours stays on the host.
    pub async fn shut_down(&self) {
        let shared = self.shared.clone();
        let flushed = crate::blocking::run("shut-down", move || {
            shared.flusher.flush();
            shared.networks.leave_host();
            Ok(())
        });
        let _ = flushed.await;
    }
}

impl Shared {
    fn open(options: Options, spawner: SpawnerHandle) -> Result<Self> {
        // The API's socket may lie in the exec root: who may speak is decided by the socket's own mode.
        make_folder(&options.exec_root, 0o711)?;
        for folder in [
            options.data_root.clone(),
            options.data_root.join("containers"),
            options.exec_root.join("containers"),
        ] {
            // Open folders would let users of the host run setuid files of images.
            make_folder(&folder, 0o700)?;
        }
        let locks = [
            lock("data", &options.data_root)?,
            lock("exec", &options.exec_root)?,
        ];
        let content = Arc::new(content::Store::open(&options.data_root)?);
        let snapshots = Arc::new(snapshot::Store::open(&options.data_root.join("snapshots"))?);
        let images = Arc::new(image::Store::open(
            &options.data_root,
            content,
            snapshots.clone(),
        )?);
        let volumes = Arc::new(volume::Store::open(&options.data_root.join("volumes"))?);
        let networks = Networks::open(&options, unix_nanos())?;
        Ok(Self {
            host: Host::observe()?,
            id: engine_id(&options.data_root)?,
            seccomp: seccomp::Programs::open(&options.exec_root)?,
            flusher: Flusher::start(),
            options,
            containers: Registry::default(),
            execs: Owners::default(),
            events: Events::default(),
            snapshots,
            images,
            volumes,
            accounts: accounts::Cache::default(),
            networks,
            spawner: Mutex::new(spawner),
            sweeping: AtomicBool::new(false),
            _locks: locks,
        })
    }

    pub(crate) fn spawner(&self) -> MutexGuard<'_, SpawnerHandle> {
        self.spawner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn container_folder(&self, id: &str) -> PathBuf {
        self.options.data_root.join("containers").join(id)
    }

    pub(crate) fn run_dir(&self, id: &str) -> PathBuf {
        self.options.exec_root.join("containers").join(id)
    }

    pub(crate) fn cgroup_of(&self, record: &Record) -> String {
        let asked = &record.host.resources.cgroup_parent;
        let parent = if asked.is_empty() {
            &self.options.cgroup_parent
        } else {
            asked
        };
        format!("/{}/{}", parent.trim_matches('/'), record.id)
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        unix_nanos()
    }

    pub(crate) fn tell(
        &self,
        kind: &'static str,
        action: &str,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        self.events.publish(Event {
            kind,
            action: action.to_owned(),
            actor_id: id.to_owned(),
            attributes,
            at_unix_nanos: self.now(),
        });
    }

    /// An event of a container, with what all of them carry: its labels, image and name.
    pub(crate) fn tell_of<const N: usize>(
        &self,
        record: &Record,
        action: &str,
        extra: [(&str, String); N],
    ) {
        let mut attributes: BTreeMap<String, String> = record.config.labels.clone();
        attributes.insert("image".into(), record.config.image.clone());
        attributes.insert("name".into(), record.name.clone());
        attributes.extend(extra.into_iter().map(|(k, v)| (k.to_owned(), v)));
        self.tell("container", action, &record.id, attributes);
    }

    /// Ids of the containers that use a volume.
    pub(crate) fn volume_users(&self, name: &str) -> Vec<String> {
        let uses = |r: &Record| r.mounts.iter().any(|m| m.volume.as_deref() == Some(name));
        self.containers
            .all()
            .into_iter()
            .filter(|h| uses(&h.view().record))
            .map(|h| h.id().to_owned())
            .collect()
    }

    /// Deletes removed writable layers in the background, many at a time.
    pub(crate) fn sweep_soon(self: &Arc<Self>) {
        if self.sweeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            shared.sweeping.store(false, Ordering::Release);
            let swept = crate::blocking::run("sweep", move || {
                shared.snapshots.sweep()?;
                // What many containers needed at once, an idle daemon does not need to keep.
                sys::memory::trim_heap();
                Ok(())
            })
            .await;
            if let Err(error) = swept {
                tracing::warn!(
                    error = fault::chain(&error),
                    "removed layers not deleted yet"
                );
            }
        });
    }
}

fn unix_nanos() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn make_folder(folder: &Path, mode: u32) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(folder)
        .and_then(|()| {
            fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(mode))
        })
        .map_err(|e| Error::file("create", folder, e))
}

fn lock(what: &'static str, root: &Path) -> Result<File> {
    let path = root.join("lock");
    let open = || -> io::Result<File> {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
    };
    let file = open().map_err(|e| Error::file("open", &path, e))?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let pid = fs::read_to_string(&path)
            .unwrap_or_default()
            .trim()
            .to_owned();
        return Err(Error::RootInUse {
            what,
            root: root.to_owned(),
            pid,
        });
    }
    fs::write(&path, format!("{}\n", std::process::id()))
        .map_err(|e| Error::file("write", &path, e))?;
    Ok(file)
}

fn engine_id(root: &Path) -> Result<String> {
    let path = root.join("engine-id");
    match fs::read_to_string(&path) {
        Ok(id) if id.trim().len() == 36 => return Ok(id.trim().to_owned()),
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::file("read", &path, e)),
        _ => {}
    }
    let hex = ids::ContainerId::random().to_string();
    let id = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32],
    ]
    .join("-");
    crate::container::record::write_whole(&path, id.as_bytes())?;
    Ok(id)
}
