//! User namespaces: who gets one, and which ids of the host stand behind it.
//!
//! Asked for by the container (`--userns private`) or by the daemon for all (`--userns-remap`, with `--userns host` as the way
//! out). Nothing on disk changes owner: layers, volumes and our own files are mounted with their ids shifted, so a container's
//! root owns what root owns in its image, and is nobody outside.

use std::collections::HashSet;

use api::container::HostConfig;
use oci::IdMap;
use oci::runtime::IdMapping;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Ids of one container, as many as images use.
const SIZE: u32 = 65_536;
/// The first id given to containers that get ids of their own: above what distributions give to users and services.
const FIRST: u32 = 0x1000_0000;
/// What root of the host is on a shifted disk: an id that no image uses.
const HOST_ROOT: u32 = 4_000_000_000;
/// How many containers can have ids of their own.
const SLOTS: u32 = 0x4000;

/// What the daemon gives to containers that ask for nothing (`--userns-remap`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Remap {
    /// The host's own ids.
    #[default]
    Off,
    /// To each container ids of its own (`default`).
    Each,
    /// To all of them the same, as in Docker: those that `/etc/subuid` and `/etc/subgid` give to a user.
    Same(Ids),
}

/// The ids of the host behind a container's 0 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ids {
    /// The user that root of the container is outside.
    pub uid: u32,
    /// The group that root of the container is outside.
    pub gid: u32,
}

impl Ids {
    /// For layers, volumes and our own files: the container's ids, and a place for root of the host, as whom overlay makes
    /// files before it gives them to their owner.
    pub(crate) fn on_disk(self) -> IdMap {
        let host_root = IdMapping {
            container_id: HOST_ROOT,
            host_id: 0,
            size: 1,
        };
        IdMap {
            uids: [self.uids(), vec![host_root]].concat(),
            gids: [self.gids(), vec![host_root]].concat(),
        }
    }

    pub(crate) fn uids(self) -> Vec<IdMapping> {
        mapping(self.uid)
    }

    pub(crate) fn gids(self) -> Vec<IdMapping> {
        mapping(self.gid)
    }
}

fn mapping(host_id: u32) -> Vec<IdMapping> {
    vec![IdMapping {
        container_id: 0,
        host_id,
        size: SIZE,
    }]
}

/// The ids a new container gets, if any; `taken` are those of the containers there are.
///
/// # Errors
/// An unknown mode; what cannot go together with a user namespace, in Docker's words; no ids left.
pub(crate) fn decide(
    host: &HostConfig,
    remap: Remap,
    taken: impl Iterator<Item = Ids>,
) -> Result<Option<Ids>> {
    let wanted = match host.userns_mode.as_str() {
        "host" => return Ok(None),
        "" => remap,
        "private" => match remap {
            Remap::Off => Remap::Each,
            other => other,
        },
        other => return Err(Error::Invalid(format!("invalid userns mode: {other}"))),
    };
    if wanted == Remap::Off {
        return Ok(None);
    }
    let shares = |what: &str| {
        Err(Error::Conflict(format!(
            "cannot share the host's {what} namespace when user namespaces are enabled"
        )))
    };
    if host.privileged {
        return Err(Error::Conflict(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode".into(),
        ));
    }
    if host.network_mode == "host" {
        return shares("network");
    }
    if host.pid_mode == "host" {
        return Err(Error::Conflict(
            "cannot share the host PID namespace when user namespaces are enabled".into(),
        ));
    }
    if [&host.network_mode, &host.pid_mode, &host.ipc_mode]
        .iter()
        .any(|mode| mode.starts_with("container:"))
    {
        return Err(Error::Conflict(
            "a container with a user namespace of its own cannot join another's namespaces: use --userns host for both".into(),
        ));
    }
    match wanted {
        Remap::Same(ids) => Ok(Some(ids)),
        _ => free(taken).map(Some),
    }
}

/// Ids that no other container has.
fn free(taken: impl Iterator<Item = Ids>) -> Result<Ids> {
    let taken: HashSet<u32> = taken.map(|ids| ids.uid).collect();
    (0..SLOTS)
        .map(|slot| FIRST + slot * SIZE)
        .find(|first| !taken.contains(first))
        .map(|first| Ids {
            uid: first,
            gid: first,
        })
        .ok_or_else(|| {
            Error::Conflict("all ids for user namespaces are taken: remove containers".into())
        })
}

/// Reads `--userns-remap`: nothing, `default`, or a user's name with a group's after a colon if it is another.
///
/// # Errors
/// No line of the user in `subuid`, or of the group in `subgid`, gives at least 65536 ids.
pub fn parse_remap(text: &str, subuid: &str, subgid: &str) -> std::result::Result<Remap, String> {
    if text.is_empty() {
        return Ok(Remap::Off);
    }
    if text == "default" {
        return Ok(Remap::Each);
    }
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    let range = |name: &str, file: &str, content: &str| {
        content
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .filter_map(|rest| rest.split_once(':'))
            .find_map(|(first, count)| {
                let count: u32 = count.trim().parse().ok()?;
                (count >= SIZE).then(|| first.trim().parse().ok())?
            })
            .ok_or_else(|| {
                format!("--userns-remap: {file} gives {name:?} no {SIZE} ids: add a line such as {name}:100000:{SIZE}, or use \"default\"")
            })
    };
    Ok(Remap::Same(Ids {
        uid: range(user, "/etc/subuid", subuid)?,
        gid: range(group, "/etc/subgid", subgid)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(mode: &str) -> HostConfig {
        HostConfig {
            userns_mode: mode.into(),
            ..HostConfig::default()
        }
    }

    #[test]
    fn nobody_gets_a_user_namespace_who_has_not_asked() {
        let none = || std::iter::empty();
        assert_eq!(decide(&host(""), Remap::Off, none()).ok(), Some(None));
        assert_eq!(decide(&host("host"), Remap::Each, none()).ok(), Some(None));
        assert!(decide(&host("hots"), Remap::Off, none()).is_err());
        let loud = HostConfig {
            privileged: true,
            ..host("private")
        };
        assert!(decide(&loud, Remap::Off, none()).is_err());
    }

    #[test]
    fn ids_are_given_once() {
        let mut taken = Vec::new();
        for _ in 0..3 {
            let ids = decide(&host("private"), Remap::Off, taken.iter().copied())
                .expect("valid")
                .expect("asked for");
            assert!(!taken.contains(&ids));
            taken.push(ids);
        }
        taken.remove(1);
        let again = free(taken.iter().copied()).expect("one is free");
        assert_eq!(again.uid, FIRST + SIZE);
    }

    #[test]
    fn a_users_ids_are_those_that_subuid_gives() {
        let subuid = "ann:100000:65536\nbob:1:10\nbob:300000:65536\n";
        let subgid = "bob:400000:65536\nann:x:y\n";
        let both = Ids {
            uid: 300_000,
            gid: 400_000,
        };
        assert_eq!(parse_remap("bob", subuid, subgid), Ok(Remap::Same(both)));
        assert!(
            parse_remap("ann", subuid, subgid)
                .unwrap_err()
                .contains("/etc/subgid")
        );
        assert!(parse_remap("ann:bob", subuid, subgid).is_ok());
        assert_eq!(parse_remap("default", "", ""), Ok(Remap::Each));
    }
}
