//! Which namespaces are made, and which are joined.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci::runtime::{IdMapping, Linux, NamespaceKind};
use rustix::fs::{Mode, OFlags};
use sys::namespace::Namespaces;

use crate::errno::Refusal;
use crate::error::Error;

/// The container's namespaces.
#[derive(Debug)]
pub(crate) struct NamespacePlan {
    /// Made anew.
    pub(crate) new: Namespaces,
    /// Joined, besides those below.
    pub(crate) join: Vec<(Namespaces, OwnedFd)>,
    /// Joined, and entered only by being born in it.
    pub(crate) join_pid: Option<OwnedFd>,
    /// Joined last, and where it was found: from then on paths are those of others.
    pub(crate) join_mount: Option<(PathBuf, OwnedFd)>,
    /// Joined; whoever joins it keeps rights over what belongs to it only.
    pub(crate) join_user: Option<OwnedFd>,
    /// Ids of a new user namespace.
    pub(crate) uid_mappings: Vec<IdMapping>,
    /// Group ids of a new user namespace.
    pub(crate) gid_mappings: Vec<IdMapping>,
}

/// The kind as the kernel numbers it.
pub(crate) fn flag(kind: NamespaceKind) -> Namespaces {
    match kind {
        NamespaceKind::Pid => Namespaces::PID,
        NamespaceKind::Network => Namespaces::NETWORK,
        NamespaceKind::Mount => Namespaces::MOUNT,
        NamespaceKind::Ipc => Namespaces::IPC,
        NamespaceKind::Uts => Namespaces::UTS,
        NamespaceKind::User => Namespaces::USER,
        NamespaceKind::Cgroup => Namespaces::CGROUP,
        NamespaceKind::Time => Namespaces::TIME,
    }
}

impl NamespacePlan {
    pub(crate) fn new(linux: &Linux) -> Result<Self, Error> {
        let mut plan = Self {
            new: Namespaces::empty(),
            join: Vec::new(),
            join_pid: None,
            join_mount: None,
            join_user: None,
            uid_mappings: Vec::new(),
            gid_mappings: Vec::new(),
        };
        let mut seen = Namespaces::empty();
        for namespace in &linux.namespaces {
            let kind = flag(namespace.kind);
            if seen.contains(kind) {
                return Err(Error::invalid(
                    "linux.namespaces",
                    format!("{:?} is there twice", namespace.kind),
                ));
            }
            seen |= kind;
            match &namespace.path {
                None => plan.new |= kind,
                Some(path) => plan.join(namespace.kind, path)?,
            }
        }
        if plan.new.contains(Namespaces::USER) && !plan.owns_mounts() {
            return Err(Error::invalid(
                "linux.namespaces",
                "a container with a user namespace of its own needs a mount namespace of its own, too: it has no rights \
                 over the mounts of others",
            ));
        }
        if plan.new.contains(Namespaces::USER) {
            plan.uid_mappings.clone_from(&linux.uid_mappings);
            plan.gid_mappings.clone_from(&linux.gid_mappings);
        } else if !(linux.uid_mappings.is_empty() && linux.gid_mappings.is_empty())
            && plan.join_user.is_none()
        {
            return Err(Error::invalid(
                "linux.uidMappings",
                "they need a user namespace",
            ));
        }
        Ok(plan)
    }

    fn join(&mut self, kind: NamespaceKind, path: &Path) -> Result<(), Error> {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(
            |errno| Error::Namespace {
                path: path.to_owned(),
                source: Refusal(errno),
            },
        )?;
        match kind {
            NamespaceKind::Pid => self.join_pid = Some(fd),
            NamespaceKind::User => self.join_user = Some(fd),
            NamespaceKind::Mount => self.join_mount = Some((path.to_owned(), fd)),
            other => self.join.push((flag(other), fd)),
        }
        Ok(())
    }

    /// The same of a spec.
    pub(crate) fn owns_mounts_by(linux: &Linux) -> bool {
        linux
            .namespace(NamespaceKind::Mount)
            .is_some_and(|each| each.path.is_none())
    }

    /// Whether nobody else sees the container's mounts.
    pub(crate) fn owns_mounts(&self) -> bool {
        self.new.contains(Namespaces::MOUNT)
    }

    /// Whether the container lives in a user namespace other than ours.
    pub(crate) fn has_user(&self) -> bool {
        self.new.contains(Namespaces::USER) || self.join_user.is_some()
    }

    /// Whether they must be joined by a helper that bears the first process: see `create::stand_in`.
    pub(crate) fn needs_stand_in(&self) -> bool {
        self.join_user.is_some()
            || (self.has_user() && !(self.join.is_empty() && self.join_pid.is_none()))
    }

    /// What clone3 is asked for. The cgroup and time namespaces are made by the child itself: a cgroup namespace must
    /// not be made before its cgroup is entered, and the clocks of a time namespace are set before anyone is in it.
    pub(crate) fn at_clone(&self) -> Namespaces {
        self.new - Namespaces::CGROUP - Namespaces::TIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::runtime::Namespace;

    fn with(kinds: &[NamespaceKind]) -> Result<NamespacePlan, Error> {
        NamespacePlan::new(&Linux {
            namespaces: kinds.iter().copied().map(Namespace::new).collect(),
            ..Linux::default()
        })
    }

    #[test]
    fn new_ones_are_made_by_the_clone_but_for_cgroup_and_time() {
        let plan = with(&[
            NamespaceKind::Mount,
            NamespaceKind::Pid,
            NamespaceKind::Cgroup,
            NamespaceKind::Time,
        ])
        .expect("valid");
        assert_eq!(plan.at_clone(), Namespaces::MOUNT | Namespaces::PID);
    }

    #[test]
    fn one_twice_or_a_user_namespace_among_the_mounts_of_others_is_refused() {
        assert!(!with(&[NamespaceKind::Pid]).expect("valid").owns_mounts());
        assert!(with(&[NamespaceKind::User]).is_err());
        assert!(with(&[NamespaceKind::Mount, NamespaceKind::Mount]).is_err());
    }

    #[test]
    fn a_namespace_that_is_not_there_is_named() {
        let linux = Linux {
            namespaces: vec![
                Namespace::new(NamespaceKind::Mount),
                Namespace {
                    kind: NamespaceKind::Network,
                    path: Some("/nowhere/net".into()),
                },
            ],
            ..Linux::default()
        };
        let error = NamespacePlan::new(&linux).expect_err("it is not there");
        assert_eq!(
            fault::chain(&error),
            "open namespace /nowhere/net: no such file or directory"
        );
    }
}
