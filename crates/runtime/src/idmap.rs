//! User namespaces: ids mapped for a container, and namespaces held only for their maps.

use std::os::fd::{AsFd, OwnedFd};

use oci::runtime::{IdMapping, Linux};
use rustix::fs::{Mode, OFlags};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use sys::namespace::Namespaces;
use sys::process::{Clone, Fork, clone3, exit_now};

use crate::errno::Refusal;
use crate::error::Error;

/// Writes the id maps of a process in a new user namespace. See `user_namespaces(7)`.
pub(crate) fn write_maps(pid: i32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<(), Error> {
    write_map(pid, "uid_map", uids)?;
    write_map(pid, "gid_map", gids)
}

fn write_map(pid: i32, file: &'static str, mappings: &[IdMapping]) -> Result<(), Error> {
    if mappings.is_empty() {
        return Ok(());
    }
    let text: String = mappings
        .iter()
        .map(|map| format!("{} {} {}\n", map.container_id, map.host_id, map.size))
        .collect();
    // One write: the kernel takes a map once and whole.
    std::fs::write(format!("/proc/{pid}/{file}"), text).map_err(|error| Error::Spawn {
        what: file,
        source: Refusal::from(error),
    })
}

/// User namespaces for idmapped mounts, each made when it is first asked for.
#[derive(Debug)]
pub(crate) struct Idmaps<'a> {
    linux: &'a Linux,
    made: Vec<(Vec<IdMapping>, Vec<IdMapping>, OwnedFd)>,
}

impl<'a> Idmaps<'a> {
    pub(crate) fn new(linux: &'a Linux) -> Self {
        Self {
            linux,
            made: Vec::new(),
        }
    }

    /// A namespace with these maps, or the container's when they are empty.
    pub(crate) fn get(
        &mut self,
        uids: &[IdMapping],
        gids: &[IdMapping],
    ) -> Result<&OwnedFd, Error> {
        let (uids, gids) = if uids.is_empty() && gids.is_empty() {
            (
                self.linux.uid_mappings.as_slice(),
                self.linux.gid_mappings.as_slice(),
            )
        } else {
            (uids, gids)
        };
        if uids.is_empty() || gids.is_empty() {
            return Err(Error::invalid("mount", "an idmapped mount needs mappings"));
        }
        let at = match self
            .made
            .iter()
            .position(|(u, g, _)| u == uids && g == gids)
        {
            Some(at) => at,
            None => {
                let fd = make(Namespaces::USER, "user", uids, gids)?;
                self.made.push((uids.to_vec(), gids.to_vec(), fd));
                self.made.len() - 1
            }
        };
        Ok(&self.made[at].2)
    }
}

/// Makes a network namespace that belongs to a new user namespace with these maps, for a container that will join both.
/// It has no link up. For single-threaded processes only.
///
/// # Errors
/// See [`Error`]; nothing is left.
pub fn private_network(uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd, Error> {
    make(Namespaces::USER | Namespaces::NETWORK, "net", uids, gids)
}

/// A namespace outlives the process that it was made with, as long as a descriptor of it is open.
fn make(
    namespaces: Namespaces,
    file: &str,
    uids: &[IdMapping],
    gids: &[IdMapping],
) -> Result<OwnedFd, Error> {
    let how = Clone {
        namespaces,
        ..Clone::default()
    };
    let made = clone3(&how).map_err(|error| Error::Spawn {
        what: "make a user namespace",
        source: Refusal::from(error),
    })?;
    match made {
        Fork::Child => loop {
            // Until it is killed; a signal may wake it.
            if rustix::event::poll(&mut [], None).is_ok() {
                exit_now(0);
            }
        },
        Fork::Parent { pid, pidfd } => {
            let result = write_maps(pid, uids, gids).and_then(|()| {
                let path = format!("/proc/{pid}/ns/{file}");
                rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(Error::spawn("open the new user namespace"))
            });
            // It may be gone already when it was killed by another; waiting is what counts.
            let _ = sys::process::send_signal(pidfd.as_fd(), 9);
            let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
            result
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_made_once() {
        let map = IdMapping {
            container_id: 0,
            host_id: 100_000,
            size: 65_536,
        };
        let linux = Linux {
            uid_mappings: vec![map],
            gid_mappings: vec![map],
            ..Linux::default()
        };
        let mut idmaps = Idmaps::new(&linux);
        idmaps.get(&[], &[]).expect("a user namespace as root");
        idmaps.get(&[map], &[map]).expect("the same");
        assert_eq!(idmaps.made.len(), 1);
    }

    #[test]
    fn no_mappings_at_all_is_refused() {
        let linux = Linux::default();
        assert!(Idmaps::new(&linux).get(&[], &[]).is_err());
    }
}
