//! A container's scope under systemd, which cannot be without a process.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use cgroup::systemd::Unit;
use oci::runtime::{LinuxResources, Spec};
use rustix::process::{Signal, WaitId, WaitIdOptions, set_parent_process_death_signal, waitid};
use sys::process::{Fork, exit_now, fork};

use crate::error::Error;
use crate::signals;

/// Names of scopes that the spec does not name begin so.
const PREFIX: &str = "estiva";
/// Annotations that are properties of the scope.
const PROPERTY: &str = "org.systemd.property.";

/// The scope that a spec asks for.
pub(crate) fn unit(spec: &Spec, id: &str) -> Result<Unit, Error> {
    let path = spec
        .linux
        .as_ref()
        .map_or("", |linux| linux.cgroups_path.as_str());
    Unit::parse(path, PREFIX, id).map_err(|source| Error::Cgroup { source })
}

/// A process that waits in a scope until the container is there; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Placeholder {
    pid: i32,
    pidfd: OwnedFd,
}

impl Placeholder {
    fn start() -> Result<Self, Error> {
        let failed = |source| Error::Streams {
            what: "start a process to hold the scope",
            source,
        };
        match fork().map_err(failed)? {
            Fork::Child => {
                // Our parent may have ended already: then nobody else would end us, but nobody makes the scope either.
                let tied = set_parent_process_death_signal(Some(Signal::KILL));
                while tied.is_ok() && rustix::event::poll(&mut [], None).is_err() {}
                exit_now(0)
            }
            Fork::Parent { pid, pidfd } => Ok(Self { pid, pidfd }),
        }
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        // It is our child: it is there until we wait for it.
        let _ = sys::process::send_signal(self.pidfd.as_fd(), signals::KILL);
        let _ = rustix::io::retry_on_intr(|| {
            waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)
        });
    }
}

/// Makes the scope. Gives the path of its cgroup, and what holds it until the container is there.
pub(crate) fn make(
    unit: &Unit,
    id: &str,
    resources: &LinuxResources,
    annotations: &BTreeMap<String, String>,
) -> Result<(String, Placeholder), Error> {
    if !cgroup::systemd::is_running() {
        return Err(Error::Systemd);
    }
    let placeholder = Placeholder::start()?;
    let extra: Vec<(String, String)> = annotations
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PROPERTY)?.to_owned(), value.clone())))
        .collect();
    let description = format!("estiva container {id}");
    let path = cgroup::systemd::start(unit, &description, placeholder.pid, resources, &extra)
        .map_err(|source| Error::Cgroup { source })?;
    Ok((path, placeholder))
}
