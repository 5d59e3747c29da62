//! Making a container, for `create` and for `run`.

use std::path::{Path, PathBuf};

use cgroup::Group;
use cgroup::systemd::Unit;
use oci::Rootfs;
use oci::runtime::{Linux, NamespaceKind, Spec};
use runtime::seccomp::Program;
use runtime::{Create, Manner, SharedRoot, Stdio};

use crate::bundle::Bundle;
use crate::console::{self, Console};
use crate::descriptors::{self, Preserved};
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Flag, Given, switch, value};
use crate::process_table;
use crate::record::{Container, Record};
use crate::removal;
use crate::scope::{self, Placeholder};

/// The options that `create` and `run` share.
pub(crate) const BUNDLE: Flag = value(&["bundle", "b"], "folder of the bundle (default: .)");
pub(crate) const CONSOLE_SOCKET: Flag = value(
    &["console-socket"],
    "socket that receives the terminal's master",
);
pub(crate) const PID_FILE: Flag = value(&["pid-file"], "file to write the process id to");
pub(crate) const NO_PIVOT: Flag = switch(&["no-pivot"], "change the root without pivot_root");
pub(crate) const NO_NEW_KEYRING: Flag =
    switch(&["no-new-keyring"], "stay in the caller's session keyring");
pub(crate) const PRESERVE_FDS: Flag = value(
    &["preserve-fds"],
    "pass this many descriptors beyond the standard streams",
);

pub(crate) const PIDFD_SOCKET: Flag = value(
    &["pidfd-socket"],
    "socket that receives a pidfd of the process",
);
pub(crate) const CONFIG: Flag = value(
    &["config", "f"],
    "file to read in the place of the bundle's config.json (crun's option)",
);

/// A container on its way: its id is claimed, its cgroup made.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) container: Container,
    pub(crate) console: Console,
    spec: Spec,
    rootfs: Rootfs,
    bundle: PathBuf,
    group: Option<Group>,
    placeholder: Option<Placeholder>,
    filter: Option<Program>,
    manner: Manner,
    pid_file: Option<PathBuf>,
    pidfd_socket: Option<PathBuf>,
}

/// What was made: a process, and perhaps its terminal.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) pid: i32,
    pub(crate) pidfd: Option<std::os::fd::OwnedFd>,
    pub(crate) terminal: Option<std::os::fd::OwnedFd>,
    pub(crate) shared_root: Option<SharedRoot>,
}

/// A path that is still right after we have entered the bundle.
pub(crate) fn file_option(given: &Given, name: &'static str) -> Result<Option<PathBuf>, Error> {
    given
        .text(name)
        .filter(|path| !path.is_empty())
        .map(|path| std::path::absolute(path).map_err(Error::file("find", path)))
        .transpose()
}

impl Making {
    /// Reads the bundle, claims the id and makes the cgroup.
    pub(crate) fn begin(
        globals: &Globals,
        given: &Given,
        id: &str,
        detach: bool,
    ) -> Result<Self, Error> {
        crate::record::check_id(id)?;
        let preserved = descriptors::prepare(given)?;
        let pid_file = file_option(given, "pid-file")?;
        let socket = file_option(given, "console-socket")?;
        let pidfd_socket = file_option(given, "pidfd-socket")?;
        let bundle = Bundle::enter(given.text("bundle"), file_option(given, "config")?)?;
        let mut spec = bundle.spec;
        let process = spec.process.as_mut().ok_or_else(|| Error::Spec {
            member: "process",
            reason: "it is missing".to_owned(),
        })?;
        process.env.extend(preserved.environment());
        let console = Console::plan(socket, detach, process.terminal)?;
        for warning in runtime::warnings(&spec) {
            globals.warn(&warning);
        }
        let linux = spec.linux.get_or_insert_default();
        let filter = linux
            .seccomp
            .as_ref()
            .map(|profile| {
                runtime::seccomp::compile(profile).map_err(|source| Error::Seccomp { source })
            })
            .transpose()?;
        // It is compiled: neither we nor an exec read the rules again.
        if let Some(profile) = &mut linux.seccomp {
            profile.syscalls = Vec::new();
        }
        let path = crate::limits::path(linux, id);
        let mut record = record(id, &spec, &bundle.path, &bundle.rootfs, path);
        let unit = match globals.systemd {
            true => Some(scope::unit(&spec, id)?),
            false => None,
        };
        if let Some(unit) = &unit {
            record.systemd_unit = Some(unit.name().to_owned());
            record.cgroup.clear();
        }
        if globals.without_cgroups {
            record.cgroup.clear();
            record.without_cgroup = true;
            globals.warn("cgroups are disabled: the container has no limits, of devices neither");
        }
        let mut container = Container::claim(&globals.root, record)?;
        let (group, placeholder) = match make_group(&mut container, &spec, unit.as_ref()) {
            Ok(made) => made,
            Err(error) => {
                // What failed first is what is told.
                let _ = cgroup::resctrl::remove(&container.record.own_classes);
                let _ = container.forget();
                return Err(error);
            }
        };
        Ok(Self {
            container,
            console,
            rootfs: Rootfs::Path {
                path: bundle.rootfs,
            },
            bundle: bundle.path,
            spec,
            group,
            placeholder,
            filter,
            manner: manner(given, preserved),
            pid_file,
            pidfd_socket,
        })
    }

    /// What the runtime is asked for.
    pub(crate) fn order(&self) -> Result<Create<'_>, Error> {
        Ok(Create {
            id: &self.container.record.id,
            spec: &self.spec,
            rootfs: &self.rootfs,
            bundle: Some(&self.bundle),
            seccomp: self
                .filter
                .as_ref()
                .map(|program| program.filter.as_slice()),
            cgroup: self.group.as_ref(),
            stdio: match self.console {
                Console::None => descriptors::inherited()?,
                _ => Stdio::Terminal,
            },
            init_reaper: false,
            manner: self.manner,
        })
    }

    /// The container's spec.
    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether its cgroup is systemd's.
    pub(crate) fn is_in_scope(&self) -> bool {
        self.placeholder.is_some()
    }

    /// Keeps what execs will need.
    pub(crate) fn keep_for_execs(&self) -> Result<(), Error> {
        let filter = self.filter.as_ref().map(Program::encode);
        self.container.save_for_execs(&self.spec, filter.as_deref())
    }

    /// Writes down what was made. Returns the terminal when it is for us to serve.
    pub(crate) fn keep(&mut self, made: Made) -> Result<Option<std::os::fd::OwnedFd>, Error> {
        // The container is in its scope now.
        self.placeholder = None;
        let record = &mut self.container.record;
        record.pid = made.pid;
        record.shared_root = made.shared_root;
        record.started_ticks = process_table::stat(made.pid).map_or(0, |stat| stat.started_ticks);
        let folders = self.group.iter().flat_map(Group::folders);
        record.cgroup_folders = folders.map(|(_, folder)| folder).collect();
        self.container.save()?;
        let terminal = match (&self.console, made.terminal) {
            (Console::Socket(path), Some(master)) => {
                console::send(&master, path)?;
                None
            }
            (_, terminal) => terminal,
        };
        if let (Some(path), Some(pidfd)) = (&self.pidfd_socket, &made.pidfd) {
            console::send_pidfd(pidfd, path)?;
        }
        if let Some(path) = &self.pid_file {
            write_pid(path, made.pid)?;
        }
        Ok(terminal)
    }

    /// Takes everything back after a failure, which is what will be told.
    pub(crate) fn undo(&mut self, globals: &Globals) {
        self.placeholder = None;
        let taken_back = removal::kill(&self.container)
            .and_then(|()| {
                let killed = self.group.as_ref().map_or(Ok(()), Group::kill_all);
                killed.map_err(|source| Error::Cgroup { source })
            })
            .and_then(|()| removal::remove(globals, &self.container));
        if let Err(error) = taken_back {
            globals.warn(&error.line());
        }
    }
}

/// Makes the cgroup with its limits, in a scope of systemd's or by ourselves, unless there is to be none.
fn make_group(
    container: &mut Container,
    spec: &Spec,
    unit: Option<&Unit>,
) -> Result<(Option<Group>, Option<Placeholder>), Error> {
    let linux = spec.linux.clone().unwrap_or_default();
    let resources = crate::limits::of(&linux);
    if let Some(wanted) = &linux.intel_rdt {
        let class = cgroup::resctrl::create(wanted, &container.record.id)
            .map_err(|source| Error::Cgroup { source })?;
        container.record.class_folders = class.enters;
        container.record.own_classes = class.owns;
        // A creator that is killed midway leaves no class behind.
        container.save()?;
    }
    if container.record.without_cgroup {
        return Ok((None, None));
    }
    let mut placeholder = None;
    if let Some(unit) = unit {
        let id = &container.record.id;
        let (path, holder) = scope::make(unit, id, &resources, &spec.annotations)?;
        container.record.cgroup = path;
        placeholder = Some(holder);
    }
    let group = Group::create(&container.record.cgroup, &resources)
        .map_err(|source| Error::Cgroup { source })?
        .beside(&container.record.class_folders);
    Ok((Some(group), placeholder))
}

/// Writes a process id, so that a reader sees all of it.
pub(crate) fn write_pid(path: &Path, pid: i32) -> Result<(), Error> {
    crate::record::replace(path, pid.to_string().as_bytes())
}

fn manner(given: &Given, preserved: Preserved) -> Manner {
    Manner {
        preserve_fds: preserved.count,
        no_pivot: given.is_on("no-pivot"),
        keeps_keyring: given.is_on("no-new-keyring"),
    }
}

fn record(id: &str, spec: &Spec, bundle: &Path, rootfs: &Path, cgroup: String) -> Record {
    let hooks = spec.hooks.clone().unwrap_or_default();
    let linux = spec.linux.as_ref();
    Record {
        id: id.to_owned(),
        pid: 0,
        started_ticks: 0,
        bundle: bundle.to_owned(),
        rootfs: rootfs.to_owned(),
        created: jiff::Timestamp::now().to_string(),
        cgroup,
        owns_pids: linux.is_some_and(owns_pids),
        without_cgroup: false,
        cgroup_folders: Vec::new(),
        class_folders: Vec::new(),
        own_classes: Vec::new(),
        systemd_unit: None,
        shared_root: None,
        has_listener: linux
            .and_then(|linux| linux.seccomp.as_ref())
            .is_some_and(|profile| !profile.listener_path.is_empty()),
        annotations: spec.annotations.clone(),
        poststart: hooks.poststart,
        poststop: hooks.poststop,
    }
}

fn owns_pids(linux: &Linux) -> bool {
    linux
        .namespace(NamespaceKind::Pid)
        .is_some_and(|namespace| namespace.path.is_none())
}
