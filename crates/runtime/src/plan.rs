//! The plan: a spec read once, checked, and turned into what the child merely carries out.

pub(crate) mod capability;
pub(crate) mod devices;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod options;
pub(crate) mod process;
pub(crate) mod schedule;
pub(crate) mod sysctl;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci::runtime::{Hook, Linux, NamespaceKind, Spec, State, TimeOffset};
use sys::mount::Propagation;
use sys::namespace::Namespaces;

use crate::create::Create;
use crate::error::Error;
use crate::gate::Gate;
use crate::manner::Manner;
use crate::stdio::Stdio;

pub(crate) use devices::{DevicePlan, Node};
pub(crate) use mounts::{MountPlan, Source};
pub(crate) use namespaces::NamespacePlan;
pub(crate) use process::ProcessPlan;

/// All that the child of `create` needs.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) id: &'a str,
    pub(crate) namespaces: NamespacePlan,
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
    pub(crate) readonly: bool,
    pub(crate) propagation: Option<(Propagation, sys::mount::Depth)>,
}

impl<'a> Plan<'a> {
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
        refuse_unsupported(linux)?;
        let namespaces = NamespacePlan::new(linux)?;
        let sysctl = sysctl::plan(linux, &namespaces)?;
        let shares_uts = !namespaces.new.contains(Namespaces::UTS);
        if shares_uts && !(spec.hostname.is_empty() && spec.domainname.is_empty()) {
            return Err(Error::invalid(
                "hostname",
                "it can only be set in a uts namespace of the container's own",
            ));
        }
        let stdio = create
            .stdio
            .above_standard()
            .map_err(Error::spawn("standard streams"))?;
        let mut idmaps = crate::idmap::Idmaps::new(linux);
        let root = crate::rootfs::prepare(create.rootfs, &mut idmaps)?;
        let hooks = spec.hooks.as_ref();
        let has_runtime_hooks =
            hooks.is_some_and(|all| !(all.prestart.is_empty() && all.create_runtime.is_empty()));
        Ok(Self {
            id: create.id,
            tasks: Vec::new(),
            process: ProcessPlan::new(process, linux, create.seccomp, namespaces.has_user())?,
            root: RootPlan {
                mount: root,
                readonly: spec.root.as_ref().is_some_and(|root| root.readonly),
                propagation: root_propagation(&linux.rootfs_propagation)?,
            },
            mounts: mounts::plan(&spec.mounts, create.cgroup, idmaps)?,
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

/// What would otherwise be left out in silence.
fn refuse_unsupported(linux: &Linux) -> Result<(), Error> {
    let listener = linux
        .seccomp
        .as_ref()
        .is_some_and(|profile| !profile.listener_path.is_empty());
    let asked = [
        ("linux.netDevices", !linux.net_devices.is_empty()),
        ("linux.intelRdt", linux.intel_rdt.is_some()),
        ("linux.mountLabel", !linux.mount_label.is_empty()),
        ("linux.seccomp.listenerPath", listener),
    ];
    match asked.into_iter().find(|(_, is_asked)| *is_asked) {
        Some((member, _)) => Err(Error::Unsupported { member }),
        None => Ok(()),
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
