//! From a container's record to an OCI runtime spec. Pure: whatever must be looked up comes in as [`Facts`].

mod devices;
mod mounts;
pub(crate) mod namespaces;
mod process;
pub(crate) mod resources;
pub(crate) mod security;
pub(crate) mod user;

pub(crate) use namespaces::Joined;
pub(crate) use process::exec_process;
pub(crate) use security::{Seccomp, Security};

use std::path::PathBuf;

use api::container::HostConfig;
use oci::runtime::{Linux, LinuxResources, Root, Spec};

use crate::container::Record;
use crate::error::{Error, Result};
use crate::host::Host;

/// What a spec needs besides the record: looked up on the host or in other containers just before.
#[derive(Debug)]
pub(crate) struct Facts {
    /// As whom the program runs.
    pub(crate) user: user::Resolved,
    /// Pids of the containers whose namespaces are joined.
    pub(crate) joined: Joined,
    /// The network namespace made for the container, if it has one of its own.
    pub(crate) network: Option<PathBuf>,
    /// The host runs on pure cgroup v2.
    pub(crate) unified_cgroups: bool,
    /// Capabilities that this daemon itself has, by name.
    pub(crate) own_capabilities: Vec<String>,
    /// Where to bind /dev/shm from, when it is shared.
    pub(crate) shm_dir: Option<PathBuf>,
    /// The container's folder with hostname, hosts and resolv.conf.
    pub(crate) folder: PathBuf,
    /// The container's cgroup.
    pub(crate) cgroup: String,
    /// Limits of containers that name none, as (name, soft, hard).
    pub(crate) ulimits: Vec<(String, i64, i64)>,
    /// Size of /dev/shm when the container names none.
    pub(crate) shm_size: i64,
    /// The host's own name.
    pub(crate) hostname: String,
}

/// Builds the spec, without seccomp (that travels compiled, see [`Seccomp`]).
///
/// # Errors
/// Invalid requests, in Docker's words; nothing has been done then.
pub(crate) fn build(record: &Record, facts: &Facts) -> Result<Spec> {
    let host = &record.host;
    let security = Security::parse(host)?;
    let devices = devices::Devices::of(host)?;
    let mut resources: LinuxResources = resources::to_oci(&host.resources)?;
    resources.devices = devices.rules;
    let net_is_private = namespaces::has_private_network(host);
    let (masked_paths, readonly_paths) = security.hidden_paths(host);
    Ok(Spec {
        oci_version: oci::runtime::VERSION.into(),
        process: Some(process::init_process(record, &security, facts)?),
        root: Some(Root {
            path: "rootfs".into(),
            readonly: host.readonly_rootfs,
        }),
        hostname: namespaces::hostname(record, &facts.hostname),
        domainname: record.config.domainname.clone(),
        mounts: mounts::all(record, facts)?,
        hooks: None,
        annotations: host.annotations.clone(),
        linux: Some(Linux {
            sysctl: process::sysctls(host, net_is_private)?,
            resources: Some(resources),
            cgroups_path: facts.cgroup.clone(),
            namespaces: namespaces::all(
                host,
                &facts.joined,
                facts.network.as_deref(),
                facts.unified_cgroups,
            )?,
            devices: devices.nodes,
            rootfs_propagation: mounts::rootfs_propagation(record),
            masked_paths,
            readonly_paths,
            ..Linux::default()
        }),
    })
}

/// Refuses early what [`build`] would refuse at the start.
///
/// # Errors
/// As [`build`].
pub(crate) fn check(host: &HostConfig, facts: &Host) -> Result<()> {
    let security = Security::parse(host)?;
    security.capabilities(host, &facts.capabilities)?;
    devices::Devices::of(host)?;
    resources::to_oci(&host.resources)?;
    process::rlimits(&host.resources.ulimits, &[])?;
    process::sysctls(host, namespaces::has_private_network(host))?;
    for (option, mode) in [
        ("pid", &host.pid_mode),
        ("ipc", &host.ipc_mode),
        ("uts", &host.uts_mode),
    ] {
        namespaces::mode(option, mode)?;
    }
    if !["", "host"].contains(&host.userns_mode.as_str()) {
        return Err(Error::Invalid(format!(
            "invalid userns mode: {}",
            host.userns_mode
        )));
    }
    Ok(())
}
