//! The blocking steps around a run: what is written before a shim starts, what is cleaned after it.
//!
//! ```text
//! EXEC-ROOT/containers/<id>/    made before the spawner is asked, removed after the end
//!   launch.json  network.json  shim.sock  exec-<id>.json  shm/ (a tmpfs, only with --ipc shareable)
//! ```
//! Crash rule: `launch.json` is the intent. A folder with it and without an exit record may have a container running.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use api::container::HostConfig;
use network::namespace::Namespace;
use oci::Rootfs;
use shim::protocol::{ExecLaunch, Exit, Launch, LogTarget};
use tokio::runtime::Handle;

use super::accounts;
use super::record::{MountKind, Record, write_whole};
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::exec::ExecConfig;
use crate::network::attach::{self, Publish};
use crate::network::links;
use crate::spec::userns::Ids;
use crate::spec::{self, Facts, Security, user};

pub(crate) use crate::spec::Joined;
use crate::spec::Made;

/// The pids of the containers whose namespaces this one joins.
///
/// # Errors
/// No such container, or it does not run.
pub(crate) fn joined(shared: &Shared, host: &HostConfig) -> Result<Joined> {
    let pid_of = |option: &str, mode: &str| -> Result<Option<i32>> {
        let Some(target) = mode.strip_prefix("container:") else {
            return Ok(None);
        };
        let view = shared.containers.require(target)?.view();
        let refused = || {
            Error::Conflict(format!(
                "cannot join {option} of a non running container: {}",
                view.record.id
            ))
        };
        view.record.state.pid().map(Some).ok_or_else(refused)
    };
    Ok(Joined {
        network: pid_of("network", &host.network_mode)?,
        pid: pid_of("PID namespace", &host.pid_mode)?,
        ipc: pid_of("IPC namespace", &host.ipc_mode)?,
    })
}

/// A shim that waits for the word to start.
pub(crate) struct Launched {
    /// The daemon's end of its control socket.
    pub(crate) socket: OwnedFd,
    /// Ports for it to serve.
    pub(crate) publish: Vec<Publish>,
}

/// Writes the launch file, has the spawner fork a shim, and gives the container its networks meanwhile: they take about as
/// long as all the rest.
pub(crate) fn launch(
    shared: &Shared,
    record: &Record,
    joined: Joined,
    runtime: &Handle,
) -> Result<Launched> {
    let run_dir = shared.run_dir(&record.id);
    let remake = || -> io::Result<()> {
        match fs::create_dir(&run_dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_dir_all(&run_dir)?;
                fs::create_dir(&run_dir)
            }
            other => other,
        }
    };
    remake().map_err(|e| Error::file("create", &run_dir, e))?;
    let namespace = match spec::namespaces::has_private_network(&record.host) {
        true => Some(private_network(shared, record)?),
        false => None,
    };
    let made = Made::of(namespace.as_ref());
    let attach = || attach::attach(shared, record, namespace, runtime);
    let (socket, attached) = std::thread::scope(|scope| {
        if record.networking.endpoints_config.is_empty() {
            let attached = attach();
            return (spawn(shared, record, joined, made, run_dir), attached);
        }
        let attaching = scope.spawn(attach);
        let socket = spawn(shared, record, joined, made, run_dir);
        let panicked = || {
            Err(Error::Panicked {
                what: "container networking",
            })
        };
        (socket, attaching.join().unwrap_or_else(|_| panicked()))
    });
    let in_words = |error: &Error| {
        let message = format!(
            "failed to set up container networking: {}",
            fault::chain(error)
        );
        match error.kind() {
            // A network or a container that is gone by now.
            fault::Kind::NotFound => Error::NotFound(message),
            _ => Error::Start { code: 125, message },
        }
    };
    match (socket, attached) {
        (Ok(socket), Ok(publish)) => Ok(Launched { socket, publish }),
        (Err(error), _) => {
            attach::detach(&shared.networks, &record.id);
            Err(error)
        }
        (Ok(_), Err(error)) => Err(in_words(&error)),
    }
}

/// A namespace for the container's links; with a user namespace, one that belongs to it.
fn private_network(shared: &Shared, record: &Record) -> Result<Namespace> {
    let Some(ids) = record.user_namespace else {
        return shared.networks.ground.namespace();
    };
    let fd = shared.spawner().network(&ids.uids(), &ids.gids())?;
    Ok(Namespace::adopt(fd)?)
}

fn spawn(
    shared: &Shared,
    record: &Record,
    joined: Joined,
    made: Made,
    run_dir: PathBuf,
) -> Result<OwnedFd> {
    let folder = shared.container_folder(&record.id);
    let exit_file = folder.join("exit.json");
    remove_if_there(&exit_file)?;
    let path = run_dir.join("launch.json");
    let launch = plan(shared, record, joined, made, run_dir.clone(), exit_file)?;
    let bytes = serde_json::to_vec(&launch).map_err(|source| Error::Record {
        path: path.clone(),
        source,
    })?;
    fs::write(&path, bytes).map_err(|e| Error::file("write", &path, e))?;
    let (ours, theirs) = shim::client::pair()?;
    shared.spawner().spawn(&run_dir, theirs)?;
    Ok(ours)
}

/// The record with the variables that links of the old kind add.
fn with_links<'a>(shared: &Shared, record: &'a Record) -> Result<Cow<'a, Record>> {
    if record.host.links.is_empty() {
        return Ok(Cow::Borrowed(record));
    }
    let mut record = record.clone();
    record.config.env.extend(links::env(shared, &record)?);
    Ok(Cow::Owned(record))
}

/// The folder of the container's hosts, hostname and resolv.conf: another's where it shares the other's network.
fn files_folder(shared: &Shared, record: &Record) -> Result<PathBuf> {
    let id = match record.host.network_mode.strip_prefix("container:") {
        Some(target) => shared.containers.require(target)?.id().to_owned(),
        None => record.id.clone(),
    };
    Ok(shared.container_folder(&id))
}

fn plan(
    shared: &Shared,
    record: &Record,
    joined: Joined,
    made: Made,
    run_dir: PathBuf,
    exit_file: PathBuf,
) -> Result<Launch> {
    let options = &shared.options;
    let record = &*with_links(shared, record)?;
    let facts = Facts {
        user: user::resolve(
            &record.config.user,
            &record.host.group_add,
            &accounts::of_stopped(shared, record)?,
        )?,
        joined,
        made,
        unified_cgroups: shared.host.unified_cgroups,
        own_capabilities: shared.host.capabilities.clone(),
        shm_dir: shm_dir(shared, record, &run_dir)?,
        folder: files_folder(shared, record)?,
        cgroup: shared.cgroup_of(record),
        ulimits: options.ulimits.clone(),
        shm_size: options.shm_size,
        hostname: shared.host.name(),
    };
    use_volumes(shared, record)?;
    let mut spec = spec::build(record, &facts)?;
    let bounding = spec
        .process
        .as_ref()
        .and_then(|p| p.capabilities.as_ref())
        .map(|c| c.bounding.clone())
        .unwrap_or_default();
    let seccomp = shared
        .seccomp
        .program(&Security::parse(&record.host)?, &bounding, options)?;
    if let (Some(program), Some(linux)) = (&seccomp, spec.linux.as_mut()) {
        linux.seccomp = Some(program.head.clone());
    }
    Ok(Launch {
        id: record.id.clone(),
        run_dir,
        exit_file,
        durable: !record.is_ephemeral(),
        spec,
        rootfs: rootfs_of(shared, record)?,
        seccomp_file: seccomp.map(|program| program.file),
        open_stdin: record.config.open_stdin,
        stdin_once: record.config.stdin_once,
        init: record.host.init.unwrap_or(options.init),
        log: log_target(shared, record),
    })
}

/// How the root is mounted, with its ids shifted for a user namespace.
fn rootfs_of(shared: &Shared, record: &Record) -> Result<Rootfs> {
    let mut rootfs = shared.snapshots.rootfs(&record.id)?;
    if let Rootfs::Overlay { idmap, .. } = &mut rootfs {
        *idmap = record.user_namespace.map(Ids::on_disk);
    }
    Ok(rootfs)
}

/// Where a container's log is.
pub(crate) fn log_target(shared: &Shared, record: &Record) -> LogTarget {
    let folder = shared.container_folder(&record.id);
    let path = match record.log_driver.as_str() {
        "local" => folder.join("local-logs"),
        _ => folder.join(format!("{}-json.log", record.id)),
    };
    LogTarget {
        driver: record.log_driver.clone(),
        options: record.log_options.clone(),
        path,
        attrs: super::log_attrs::of(record),
    }
}

/// The host's folder behind /dev/shm when it is shared: the host's own, another container's, or one made to be shared.
fn shm_dir(shared: &Shared, record: &Record, run_dir: &Path) -> Result<Option<PathBuf>> {
    let host = &record.host;
    match host.ipc_mode.as_str() {
        "host" => Ok(Some("/dev/shm".into())),
        "shareable" => {
            let path = run_dir.join("shm");
            let size = if host.shm_size > 0 {
                host.shm_size
            } else {
                shared.options.shm_size
            };
            let mount = || -> io::Result<()> {
                fs::create_dir(&path)?;
                let flags = rustix::mount::MountFlags::NOSUID
                    | rustix::mount::MountFlags::NODEV
                    | rustix::mount::MountFlags::NOEXEC;
                let data = std::ffi::CString::new(format!("mode=1777,size={size}"))
                    .expect("numbers have no NUL");
                Ok(rustix::mount::mount(
                    "shm",
                    &path,
                    "tmpfs",
                    flags,
                    Some(data.as_c_str()),
                )?)
            };
            mount().map_err(|e| Error::file("mount a shared tmpfs on", &path, e))?;
            Ok(Some(path))
        }
        mode => match mode.strip_prefix("container:") {
            Some(target) => {
                let owner = shared.containers.require(target)?;
                let path = shared.run_dir(owner.id()).join("shm");
                if path.exists() {
                    Ok(Some(path))
                } else {
                    Err(Error::Conflict(format!(
                        "can't join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                        owner.id()
                    )))
                }
            }
            None => Ok(None),
        },
    }
}

fn use_volumes(shared: &Shared, record: &Record) -> Result<()> {
    for mount in &record.mounts {
        match (mount.kind, &mount.volume) {
            (MountKind::Volume, Some(name)) => {
                shared.volumes.acquire(name, &record.id)?;
            }
            (MountKind::Bind, _) => super::create::require_source(mount)?,
            _ => {}
        }
    }
    Ok(())
}

/// After a run, or a start that failed: nothing of it stays in the exec root.
pub(crate) fn clean_up(shared: &Shared, record: &Record) {
    attach::detach(&shared.networks, &record.id);
    let run_dir = shared.run_dir(&record.id);
    let shm = run_dir.join("shm");
    if record.host.ipc_mode == "shareable" {
        let _ = rustix::mount::unmount(&shm, rustix::mount::UnmountFlags::DETACH);
    }
    if let Err(error) = fs::remove_dir_all(&run_dir)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %run_dir.display(), %error, "run folder stays");
    }
    for name in record.mounts.iter().filter_map(|m| m.volume.as_ref()) {
        if let Err(error) = shared.volumes.release(name, &record.id) {
            tracing::warn!(
                volume = name,
                error = fault::chain(&error),
                "volume stays mounted"
            );
        }
    }
}

/// How the last run ended, if its shim wrote it.
pub(crate) fn read_exit(shared: &Shared, id: &str) -> Option<Exit> {
    let path = shared.container_folder(id).join("exit.json");
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Kills every process of a container, in whatever state.
pub(crate) fn kill_all(shared: &Shared, record: &Record) {
    let killed = cgroup::Group::open(&shared.cgroup_of(record)).and_then(|group| group.kill_all());
    if let Err(error) = killed {
        tracing::warn!(container = %record.id, error = fault::chain(&error), "not killed");
    }
}

/// Kills what a dead shim left running, and removes its cgroup.
pub(crate) fn kill_leftovers(shared: &Shared, record: &Record) {
    let Ok(group) = cgroup::Group::open(&shared.cgroup_of(record)) else {
        return;
    };
    if let Err(error) = group.kill_all().and_then(|()| group.remove()) {
        tracing::warn!(container = %record.id, error = fault::chain(&error), "cgroup stays");
    }
}

/// Removes a container's storage. The folder goes last: while it is there, a crash leaves a container that `rm` removes.
pub(crate) fn remove(shared: &Shared, record: &Record) -> Result<()> {
    let folder = shared.container_folder(&record.id);
    match shared.snapshots.remove_writable_deferred(&record.id) {
        // A removal that a crash ended came as far as this.
        Err(snapshot::Error::NoWritable { .. }) => {}
        other => other?,
    }
    // The record first: without it the folder is a leftover that start-up removes.
    remove_if_there(&folder.join("config.json"))?;
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", &folder, e)),
        _ => Ok(()),
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path, e)),
        _ => Ok(()),
    }
}

/// Writes an exec's launch file; gives its path and the user as `uid:gid`.
pub(crate) fn exec_launch(
    shared: &Shared,
    record: &Record,
    pid: i32,
    id: &str,
    config: &ExecConfig,
    size: Option<(u16, u16)>,
) -> Result<(PathBuf, String)> {
    let user = if config.user.is_empty() {
        &record.config.user
    } else {
        &config.user
    };
    let groups = if config.user.is_empty() {
        &record.host.group_add[..]
    } else {
        &[]
    };
    let who = user::resolve(user, groups, &accounts::of_running(pid)?)?;
    let name = shared.host.name();
    let linked = with_links(shared, record)?;
    let mut process = spec::exec_process(&linked, config, &who, &shared.host.capabilities, &name)?;
    if let Some((height, width)) = size.filter(|_| config.tty) {
        process.console_size = Some(oci::runtime::ConsoleSize { height, width });
    }
    let bounding = process
        .capabilities
        .as_ref()
        .map(|c| c.bounding.clone())
        .unwrap_or_default();
    let mut security = Security::parse(&record.host)?;
    if config.privileged {
        security.seccomp = spec::Seccomp::Unconfined;
    }
    let launch = ExecLaunch {
        process,
        open_stdin: config.attach_stdin,
        seccomp_file: shared
            .seccomp
            .program(&security, &bounding, &shared.options)?
            .map(|program| program.file),
    };
    let path = shared.run_dir(&record.id).join(format!("exec-{id}.json"));
    let bytes = serde_json::to_vec(&launch).map_err(|source| Error::Record {
        path: path.clone(),
        source,
    })?;
    write_whole(&path, &bytes)?;
    Ok((path, format!("{}:{}", who.uid, who.gid)))
}
