//! Kernel parameters: only those that belong to a namespace of the container's own.

use std::path::PathBuf;

use oci::runtime::{Linux, NamespaceKind};
use sys::namespace::Namespaces;

use super::namespaces::NamespacePlan;
use crate::error::Error;

/// Files below `/proc/sys` and what is written to them.
pub(crate) fn plan<'a>(
    linux: &'a Linux,
    namespaces: &NamespacePlan,
) -> Result<Vec<(PathBuf, &'a str)>, Error> {
    linux
        .sysctl
        .iter()
        .map(|(name, value)| {
            let path = path_of(name);
            let Some(kind) = owner(&path) else {
                return Err(Error::invalid(
                    "linux.sysctl",
                    format!("{name:?} is not a parameter of a namespace"),
                ));
            };
            if !namespaces.new.contains(kind) && !is_joined(linux, kind) {
                return Err(Error::invalid(
                    "linux.sysctl",
                    format!("{name:?} would change the host: its namespace is shared"),
                ));
            }
            Ok((PathBuf::from(path), value.as_str()))
        })
        .collect()
}

/// Whether the namespace is joined, and is not the runtime's own under another name.
fn is_joined(linux: &Linux, kind: Namespaces) -> bool {
    let (kind, own) = match kind {
        Namespaces::NETWORK => (NamespaceKind::Network, "/proc/self/ns/net"),
        Namespaces::IPC => (NamespaceKind::Ipc, "/proc/self/ns/ipc"),
        _ => (NamespaceKind::Uts, "/proc/self/ns/uts"),
    };
    let Some(path) = linux.namespace(kind).and_then(|each| each.path.as_ref()) else {
        return false;
    };
    match (rustix::fs::stat(path), rustix::fs::stat(own)) {
        (Ok(joined), Ok(own)) => (joined.st_dev, joined.st_ino) != (own.st_dev, own.st_ino),
        _ => false,
    }
}

/// `net.ipv4.ip_forward` is a path with dots for slashes, unless the first separator is a slash; then a dot is part of
/// a name, and the other way round a slash stands for a dot in one (`net.ipv4.conf.eth0/5.forwarding`).
fn path_of(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'.' => name
            .chars()
            .map(|letter| match letter {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

/// Which namespace a parameter belongs to.
fn owner(path: &str) -> Option<Namespaces> {
    const IPC: [&str; 10] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
        "kernel/auto_msgmni",
        "kernel/msg_next_id",
    ];
    if path.split('/').any(|part| part == ".." || part.is_empty()) {
        return None;
    }
    if path.starts_with("net/") {
        return Some(Namespaces::NETWORK);
    }
    if path.starts_with("fs/mqueue/") || IPC.contains(&path) {
        return Some(Namespaces::IPC);
    }
    (path == "kernel/domainname" || path == "kernel/hostname").then_some(Namespaces::UTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::runtime::Namespace;

    fn check(name: &str, kinds: &[NamespaceKind]) -> bool {
        let mut kinds = kinds.to_vec();
        kinds.push(NamespaceKind::Mount);
        let linux = Linux {
            namespaces: kinds.into_iter().map(Namespace::new).collect(),
            sysctl: [(name.to_owned(), "1".to_owned())].into(),
            ..Linux::default()
        };
        let namespaces = NamespacePlan::new(&linux).expect("valid");
        plan(&linux, &namespaces).is_ok()
    }

    #[test]
    fn only_parameters_of_own_namespaces_pass() {
        assert!(check("net.ipv4.ip_forward", &[NamespaceKind::Network]));
        assert!(!check("net.ipv4.ip_forward", &[]));
        assert!(check("kernel.shmmax", &[NamespaceKind::Ipc]));
        assert!(!check("kernel.core_pattern", &[NamespaceKind::Ipc]));
        assert!(!check(
            "net/../kernel/core_pattern",
            &[NamespaceKind::Network]
        ));
    }

    #[test]
    fn dots_in_names_are_written_as_slashes() {
        assert_eq!(
            path_of("net.ipv4.conf.eth0/5.forwarding"),
            "net/ipv4/conf/eth0.5/forwarding"
        );
        assert_eq!(path_of("net/ipv4/conf/eth0.5/x"), "net/ipv4/conf/eth0.5/x");
    }
}
