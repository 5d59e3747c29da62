//! Which namespaces a container gets, shares or leaves alone.

use std::path::PathBuf;

use api::container::HostConfig;
use oci::runtime::{Namespace, NamespaceKind};

use crate::container::Record;
use crate::error::{Error, Result};

/// Pids of the containers that this one joins; `None` when it joins none.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Joined {
    pub(crate) network: Option<i32>,
    pub(crate) pid: Option<i32>,
    pub(crate) ipc: Option<i32>,
}

/// Paths of namespaces that were made ahead of the container.
#[derive(Debug, Default, Clone)]
pub(crate) struct Made {
    pub(crate) network: Option<PathBuf>,
    /// That which `network` belongs to.
    pub(crate) user: Option<PathBuf>,
}

impl Made {
    pub(crate) fn of(namespace: Option<&network::namespace::Namespace>) -> Self {
        Self {
            network: namespace.map(|n| n.path().into()),
            user: namespace.and_then(|n| n.owner_path()).map(PathBuf::from),
        }
    }
}

/// A namespace as the user asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode<'a> {
    /// One of its own.
    Private,
    /// The host's.
    Host,
    /// That of another container.
    Container(&'a str),
}

/// Reads `host`, `container:ID`, `private` or nothing.
///
/// # Errors
/// [`Error::Invalid`] naming the option and the value.
pub(crate) fn mode<'a>(option: &str, value: &'a str) -> Result<Mode<'a>> {
    match value {
        "" | "private" | "shareable" | "default" | "none" => Ok(Mode::Private),
        "host" => Ok(Mode::Host),
        _ => match value.strip_prefix("container:") {
            Some(target) if !target.is_empty() => Ok(Mode::Container(target)),
            _ => Err(Error::Invalid(format!("invalid {option} mode: {value}"))),
        },
    }
}

/// The network as the user asks for it: every name of a network means a namespace of its own.
fn network_mode(host: &HostConfig) -> Mode<'_> {
    match host.network_mode.as_str() {
        "host" => Mode::Host,
        value => value
            .strip_prefix("container:")
            .map_or(Mode::Private, Mode::Container),
    }
}

/// The network is the container's own.
pub(crate) fn has_private_network(host: &HostConfig) -> bool {
    network_mode(host) == Mode::Private
}

/// The container's host name: its own, or the host's where it shares that.
pub(crate) fn hostname(record: &Record, host_name: &str) -> String {
    let host = &record.host;
    if host.uts_mode == "host" {
        return String::new();
    }
    if !record.config.hostname.is_empty() {
        return record.config.hostname.clone();
    }
    if host.network_mode == "host" {
        host_name.to_owned()
    } else {
        record.id[..12].to_owned()
    }
}

/// All namespaces of the spec.
pub(crate) fn all(
    host: &HostConfig,
    has_user: bool,
    joined: &Joined,
    made: &Made,
    unified: bool,
) -> Result<Vec<Namespace>> {
    let mut list = vec![Namespace::new(NamespaceKind::Mount)];
    if has_user {
        list.push(Namespace::new(NamespaceKind::User));
    }
    let mut add = |kind, file: &str, mode: Mode<'_>, pid: Option<i32>| match (mode, pid) {
        (Mode::Private, _) => list.push(Namespace::new(kind)),
        (Mode::Container(_), Some(pid)) => list.push(Namespace {
            kind,
            path: Some(PathBuf::from(format!("/proc/{pid}/ns/{file}"))),
        }),
        (Mode::Host | Mode::Container(_), _) => {}
    };
    add(
        NamespaceKind::Network,
        "net",
        network_mode(host),
        joined.network,
    );
    add(
        NamespaceKind::Pid,
        "pid",
        mode("pid", &host.pid_mode)?,
        joined.pid,
    );
    add(
        NamespaceKind::Ipc,
        "ipc",
        mode("ipc", &host.ipc_mode)?,
        joined.ipc,
    );
    add(
        NamespaceKind::Uts,
        "uts",
        mode("uts", &host.uts_mode)?,
        None,
    );
    // With a user namespace, /sys/fs/cgroup can only be mounted in a cgroup namespace of its own.
    if has_user || cgroup_is_private(host, unified) {
        add(NamespaceKind::Cgroup, "cgroup", Mode::Private, None);
    }
    // They were made, and maybe given links, ahead of the container.
    for own in &mut list {
        match own.kind {
            NamespaceKind::Network if own.path.is_none() => own.path.clone_from(&made.network),
            NamespaceKind::User => own.path.clone_from(&made.user),
            _ => {}
        }
    }
    Ok(list)
}

/// The cgroup namespace: private on v2, the host's on v1 unless asked for, as in Docker.
pub(crate) fn cgroup_is_private(host: &HostConfig, unified: bool) -> bool {
    match host.cgroupns_mode.as_str() {
        "private" => true,
        "host" => false,
        _ => unified && !host.privileged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_private_host_or_another_containers() {
        assert_eq!(mode("pid", "").ok(), Some(Mode::Private));
        assert_eq!(mode("pid", "host").ok(), Some(Mode::Host));
        assert_eq!(mode("pid", "container:x").ok(), Some(Mode::Container("x")));
        assert!(mode("pid", "container:").is_err());
        assert!(mode("pid", "hots").is_err());
    }

    #[test]
    fn a_joined_namespace_is_named_by_the_other_containers_pid() {
        let host = HostConfig {
            network_mode: "container:a".into(),
            ..HostConfig::default()
        };
        let joined = Joined {
            network: Some(7),
            ..Joined::default()
        };
        let list = all(&host, false, &joined, &Made::default(), true).expect("valid modes");
        assert!(list.contains(&Namespace {
            kind: NamespaceKind::Network,
            path: Some("/proc/7/ns/net".into())
        }));
        assert!(list.contains(&Namespace::new(NamespaceKind::Cgroup)));
    }

    #[test]
    fn a_container_with_a_network_of_its_own_gets_the_namespace_that_was_made_for_it() {
        let made = Made {
            network: Some("/proc/1/fd/9".into()),
            user: None,
        };
        let there = made.network.as_deref();
        for (mode, expect) in [("bridge", there), ("mine", there), ("host", None)] {
            let host = HostConfig {
                network_mode: mode.into(),
                ..HostConfig::default()
            };
            let list = all(&host, false, &Joined::default(), &made, true).expect("valid modes");
            let found = list.iter().find(|n| n.kind == NamespaceKind::Network);
            assert_eq!(found.and_then(|n| n.path.as_deref()), expect, "{mode}");
        }
    }
}
