//! The plan: a spec read once, checked, and turned into what the child merely carries out.

pub(crate) mod capability;
pub(crate) mod devices;
pub(crate) mod labels;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod options;
pub(crate) mod process;
pub(crate) mod schedule;
pub(crate) mod sysctl;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci::Rootfs;
use oci::runtime::{Hook, NamespaceKind, Spec, State, TimeOffset};
use sys::mount::Propagation;
use sys::namespace::Namespaces;

use crate::create::Create;
use crate::error::Error;
use crate::gate::Gate;
use crate::manner::Manner;
use crate::net_devices::Device;
use crate::shared_root::SharedRoot;
use crate::stdio::Stdio;

pub(crate) use devices::{DevicePlan, Node};
pub(crate) use mounts::{MountPlan, Opener, Source};
pub(crate) use namespaces::NamespacePlan;
pub(crate) use process::ProcessPlan;

/// All that the child of `create` needs.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) id: &'a str,
    pub(crate) namespaces: NamespacePlan,
    /// Taken by the parent before the child is made.
    pub(crate) net_devices: Vec<Device>,
    /// Whether the child waits until its parent has given it what only the parent can.
    pub(crate) awaits_parent: bool,
    pub(crate) tasks: Vec<OwnedFd>,
    pub(crate) stdio: Stdio,
    pub(crate) root: RootPlan,
    pub(crate) mounts: Vec<MountPlan>,
    pub(crate) devices: DevicePlan,
    pub(crate) masked: &'a [String],
    pub(crate) readonly: &'a [String],
    pub(crate) sysctl: Vec<(PathBuf, &'a str)>,
    pub(crate) hostname: &'a str,
    pub(crate) domainname: &'a str,
    pub(crate) time_offsets: Vec<(&'static str, TimeOffset)>,
    pub(crate) create_container: &'a [Hook],
    pub(crate) start_container: &'a [Hook],
    pub(crate) has_runtime_hooks: bool,
    pub(crate) state: State,
    pub(crate) process: ProcessPlan<'a>,
    pub(crate) init_reaper: bool,
    pub(crate) start: StartAt,
    pub(crate) manner: Manner,
}

/// When the program is executed.
#[derive(Debug)]
pub(crate) enum StartAt {
    /// As soon as all is ready.
    Once,
    /// At our parent's word.
    Word,
    /// When somebody opens the gate; until then we live without our parent.
    Gate(Gate),
}

/// The container's root.
#[derive(Debug)]
pub(crate) struct RootPlan {
    /// A detached mount.
    pub(crate) mount: OwnedFd,
    pub(crate) place: Place,
    pub(crate) readonly: bool,
    pub(crate) propagation: Option<(Propagation, sys::mount::Depth)>,
}

/// Where the root is attached.
#[derive(Debug)]
pub(crate) enum Place {
    /// In a mount namespace of the container's own: on top of everything, until the pivot.
    Top { opener: mounts::Opener },
    /// In a mount namespace of others: at its folder.
    Folder(PathBuf),
}

impl<'a> Plan<'a> {
    /// What somebody has to detach once the container has gone.
    pub(crate) fn shared_root(&self) -> Result<Option<SharedRoot>, Error> {
        let Place::Folder(folder) = &self.root.place else {
            return Ok(None);
        };
        let joined = self.namespaces.join_mount.as_ref();
        let joined = joined.map(|(path, fd)| (path.as_path(), fd));
        SharedRoot::new(&self.root.mount, folder, joined).map(Some)
    }

    /// Reads the spec, and prepares what the parent can prepare. The cgroup's descriptors are put in by the caller.
    pub(crate) fn new(create: Create<'a>, start: StartAt) -> Result<Self, Error> {
        let spec = create.spec;
        let linux = spec
            .linux
            .as_ref()
            .ok_or_else(|| Error::invalid("linux", "it is missing"))?;
        let process = spec
            .process
            .as_ref()
            .ok_or_else(|| Error::invalid("process", "it is missing"))?;
        let in_class = create.cgroup.is_some_and(cgroup::Group::enters_beside);
        if linux.intel_rdt.is_some() && !in_class {
            // The caller makes classes, as it makes cgroups. What it did not is not left out in silence.
            return Err(Error::Unsupported {
                member: "linux.intelRdt",
            });
        }
        let namespaces = NamespacePlan::new(linux)?;
        let net_devices = crate::net_devices::plan(linux)?;
        let sysctl = sysctl::plan(linux, &namespaces)?;
        // One that is joined takes the name, too; the runtime's own never does.
        let shares_uts = linux.namespace(NamespaceKind::Uts).is_none();
        if shares_uts && !(spec.hostname.is_empty() && spec.domainname.is_empty()) {
            return Err(Error::invalid(
                "hostname",
                "it can only be set in a uts namespace other than the runtime's",
            ));
        }
        let stdio = create
            .stdio
            .above_standard()
            .map_err(Error::spawn("standard streams"))?;
        let mut idmaps = crate::idmap::Idmaps::new(linux);
        let root = crate::rootfs::prepare(create.rootfs, &mut idmaps)?;
        let hooks = spec.hooks.as_ref();
        // What a hook mounts in the container's namespace must not reach the host, so there all is separated early.
        let alone = hooks.is_none_or(|all| all.create_container.is_empty());
        let opener = match namespaces.owns_mounts() && !namespaces.has_user() && alone {
            true => mounts::Opener::Child,
            false => mounts::Opener::Parent,
        };
        let has_runtime_hooks =
            hooks.is_some_and(|all| !(all.prestart.is_empty() && all.create_runtime.is_empty()));
        Ok(Self {
            id: create.id,
            awaits_parent: namespaces.new.contains(Namespaces::USER) || !net_devices.is_empty(),
            net_devices,
            tasks: Vec::new(),
            process: ProcessPlan::new(process, linux, create.seccomp, namespaces.has_user())?,
            root: RootPlan {
                mount: root,
                place: place(create.rootfs, &namespaces, opener)?,
                readonly: spec.root.as_ref().is_some_and(|root| root.readonly),
                propagation: root_propagation(&linux.rootfs_propagation)?,
            },
            mounts: mounts::plan(
                &spec.mounts,
                create.cgroup,
                idmaps,
                mounts::Common {
                    opener,
                    label: &linux.mount_label,
                },
            )?,
            devices: devices::plan(spec, linux, namespaces.has_user())?,
            masked: &linux.masked_paths,
            readonly: &linux.readonly_paths,
            sysctl,
            hostname: &spec.hostname,
            domainname: &spec.domainname,
            time_offsets: time_offsets(spec)?,
            create_container: hooks.map_or(&[], |all| all.create_container.as_slice()),
            start_container: hooks.map_or(&[], |all| all.start_container.as_slice()),
            has_runtime_hooks,
            state: crate::hooks::state(create.id, spec, create.bundle),
            namespaces,
            stdio,
            init_reaper: create.init_reaper,
            start,
            manner: create.manner,
        })
    }
}

fn place(
    rootfs: &Rootfs,
    namespaces: &NamespacePlan,
    opener: mounts::Opener,
) -> Result<Place, Error> {
    match rootfs {
        _ if namespaces.owns_mounts() => Ok(Place::Top { opener }),
        Rootfs::Path { path } => Ok(Place::Folder(path.clone())),
        Rootfs::Overlay { .. } => Err(Error::invalid(
            "linux.namespaces",
            "a root put together from layers has no folder to be seen at: it needs a mount namespace of its own",
        )),
    }
}

fn root_propagation(word: &str) -> Result<Option<(Propagation, sys::mount::Depth)>, Error> {
    if word.is_empty() {
        return Ok(None);
    }
    options::propagation(word)
        .map(Some)
        .ok_or_else(|| Error::invalid("linux.rootfsPropagation", format!("unknown value {word:?}")))
}

fn time_offsets(spec: &Spec) -> Result<Vec<(&'static str, TimeOffset)>, Error> {
    let Some(linux) = &spec.linux else {
        return Ok(Vec::new());
    };
    let own = linux
        .namespace(NamespaceKind::Time)
        .is_some_and(|each| each.path.is_none());
    if !linux.time_offsets.is_empty() && !own {
        return Err(Error::invalid(
            "linux.timeOffsets",
            "they need a time namespace of the container's own",
        ));
    }
    linux
        .time_offsets
        .iter()
        .map(|(clock, offset)| match clock.as_str() {
            "monotonic" => Ok(("monotonic", *offset)),
            "boottime" => Ok(("boottime", *offset)),
            other => Err(Error::invalid(
                "linux.timeOffsets",
                format!("unknown clock {other:?}"),
            )),
        })
        .collect()
}
