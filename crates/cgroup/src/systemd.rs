//! Groups that systemd makes: a scope of its own for each container, asked for over D-Bus.
//!
//! ```text
//! we: start a process that only waits ── StartTransientUnit(scope, its pid) ──► systemd: makes the group, moves it there
//!     wait for JobRemoved ◄── done ──
//!     find the group in /proc/PID/cgroup, set the limits there too, have the container born there
//!     end the waiting process: the container holds the scope now
//! ```
//! systemd is told of the limits as the unit's properties, because it writes them again whenever it is reloaded; the
//! others it does not know stay ours. When the last process has ended the scope goes by itself.

mod bus;
mod properties;
mod unit;
mod wire;

use std::path::Path;

use oci::runtime::LinuxResources;

use crate::error::{Error, Result};
pub use bus::Trouble;
use bus::{Bus, Call};
pub use unit::Unit;
use wire::Value;

/// There while systemd runs the machine. See sd_booted(3).
const BOOTED: &str = "/run/systemd/system";
/// Where systemd itself listens; who is root needs no message bus between.
const SOCKET: &str = "/run/systemd/private";

const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Whether systemd runs this machine.
#[must_use]
pub fn is_running() -> bool {
    Path::new(BOOTED).is_dir()
}

/// Makes a scope with one process in it, and waits until it is there. Gives the path of its group.
///
/// `extra` are more properties, as annotations have them: a name, and a value as GVariant text.
///
/// # Errors
/// `NoSystemd` where systemd does not run the machine; `Systemd` with what it says.
pub fn start(
    unit: &Unit,
    description: &str,
    pid: i32,
    resources: &LinuxResources,
    extra: &[(String, String)],
) -> Result<String> {
    let name = unit.name();
    let mut properties = properties::of_scope(unit, description, pid);
    properties.extend(properties::of_limits(resources));
    for (property, text) in extra {
        properties.push(properties::parse(property, text)?);
    }
    let call = || Call {
        interface: MANAGER,
        member: "StartTransientUnit",
        body: wire::Body::new()
            .text(name)
            .text("replace")
            .properties(&properties)
            .no_units(),
    };
    let mut bus = connect()?;
    let failed = |source| Error::Systemd {
        what: "make",
        unit: name.to_owned(),
        source,
    };
    let reply = match bus.call(call()) {
        // One that failed, and that nobody has collected.
        Err(error) if error.is("org.freedesktop.systemd1.UnitExists") => {
            let reset = Call {
                interface: MANAGER,
                member: "ResetFailedUnit",
                body: wire::Body::new().text(name),
            };
            bus.call(reset).map_err(failed)?;
            bus.call(call()).map_err(failed)?
        }
        other => other.map_err(failed)?,
    };
    bus.await_job(&reply).map_err(failed)?;
    path_of(pid)
}

/// Changes the limits of a unit until it ends.
///
/// # Errors
/// As for [`start`].
pub fn update(name: &str, resources: &LinuxResources) -> Result<()> {
    let properties = properties::of_limits(resources);
    if properties.is_empty() {
        return Ok(());
    }
    let call = Call {
        interface: MANAGER,
        member: "SetUnitProperties",
        body: wire::Body::new()
            .text(name)
            .flag(true)
            .properties(&properties),
    };
    connect()?
        .call(call)
        .map(drop)
        .map_err(|source| Error::Systemd {
            what: "change",
            unit: name.to_owned(),
            source,
        })
}

/// Ends a unit with all that is in it, and waits until it has gone. One that has gone already is no error.
///
/// # Errors
/// As for [`start`].
pub fn stop(name: &str) -> Result<()> {
    let call = Call {
        interface: MANAGER,
        member: "StopUnit",
        body: wire::Body::new().text(name).text("replace"),
    };
    let mut bus = connect()?;
    let stopped = match bus.call(call) {
        Err(error) if error.is("org.freedesktop.systemd1.NoSuchUnit") => return Ok(()),
        Err(error) => Err(error),
        Ok(reply) => bus.await_job(&reply),
    };
    stopped.map_err(|source| Error::Systemd {
        what: "end",
        unit: name.to_owned(),
        source,
    })
}

fn connect() -> Result<Bus> {
    if !is_running() {
        return Err(Error::NoSystemd);
    }
    Bus::connect(Path::new(SOCKET)).map_err(|source| Error::Systemd {
        what: "speak to",
        unit: "systemd".to_owned(),
        source,
    })
}

/// The group of a process, in the hierarchy that systemd keeps.
fn path_of(pid: i32) -> Result<String> {
    let file = format!("/proc/{pid}/cgroup");
    let text = std::fs::read_to_string(&file).map_err(|source| Error::Mounts {
        path: file.clone().into(),
        source,
    })?;
    own_line(&text).ok_or(Error::Path { path: file })
}

fn own_line(text: &str) -> Option<String> {
    let line = |wanted: &str| {
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (label, path) = rest.split_once(':')?;
            (label == wanted).then(|| path.to_owned())
        })
    };
    line("name=systemd").or_else(|| line(""))
}

/// Properties that every call of this kind takes: name and value.
type Properties = Vec<(String, Value)>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_that_of_the_hierarchy_that_systemd_keeps() {
        let unified = "0::/machine.slice/a.scope\n";
        assert_eq!(own_line(unified).as_deref(), Some("/machine.slice/a.scope"));
        let hybrid = "12:cpu,cpuacct:/x\n1:name=systemd:/s.slice/a.scope\n0::/y\n";
        assert_eq!(own_line(hybrid).as_deref(), Some("/s.slice/a.scope"));
        assert_eq!(own_line("3:pids:/z\n"), None);
    }

    #[test]
    fn without_systemd_it_says_so() {
        if is_running() {
            return;
        }
        let unit = Unit::parse("", "estiva", "x").expect("plain");
        let refused = start(&unit, "", 1, &LinuxResources::default(), &[]);
        assert!(matches!(refused, Err(Error::NoSystemd)));
    }
}
