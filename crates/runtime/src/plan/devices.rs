//! Device nodes: the six that every container has, and those the spec adds.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci::runtime::{Linux, Spec};
use rustix::fs::{Dev, FileType, makedev};
use rustix::thread::{Gid, Uid};

use crate::errno::Refusal;
use crate::error::Error;

/// The nodes to make. Empty with `keeps_dev`: the container's `/dev` is a folder bound from outside.
#[derive(Debug)]
pub(crate) struct DevicePlan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) keeps_dev: bool,
}

/// One device node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) path: PathBuf,
    pub(crate) kind: FileType,
    pub(crate) device: Dev,
    pub(crate) mode: u32,
    pub(crate) owner: (Uid, Gid),
    /// The host's node as a detached mount, where the container may not make nodes itself.
    pub(crate) bound: Option<OwnedFd>,
}

/// Spec: OCI runtime config-linux, "Default Devices".
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

pub(crate) fn plan(spec: &Spec, linux: &Linux, user_namespace: bool) -> Result<DevicePlan, Error> {
    let keeps_dev = spec.mounts.iter().any(|mount| {
        mount.destination == Path::new("/dev")
            && (mount.kind == "bind" || mount.options.iter().any(|o| o == "bind" || o == "rbind"))
    });
    let mut nodes = Vec::new();
    if !keeps_dev {
        for (path, major, minor) in DEFAULT {
            nodes.push(Node {
                path: path.into(),
                kind: FileType::CharacterDevice,
                device: makedev(major, minor),
                mode: 0o666,
                owner: (Uid::ROOT, Gid::ROOT),
                bound: None,
            });
        }
    }
    for device in &linux.devices {
        let node = from_spec(device)?;
        nodes.retain(|each: &Node| each.path != node.path);
        nodes.push(node);
    }
    if user_namespace {
        for node in &mut nodes {
            node.bound = Some(bind(&node.path)?);
        }
    }
    Ok(DevicePlan { nodes, keeps_dev })
}

fn from_spec(device: &oci::runtime::Device) -> Result<Node, Error> {
    let member = || format!("linux.devices {}", device.path.display());
    let number = |value: i64| {
        u32::try_from(value).map_err(|_| Error::invalid(member(), "a device number is negative"))
    };
    let kind = match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        other => return Err(Error::invalid(member(), format!("unknown type {other:?}"))),
    };
    Ok(Node {
        path: device.path.clone(),
        kind,
        device: if kind == FileType::Fifo {
            0
        } else {
            makedev(number(device.major)?, number(device.minor)?)
        },
        mode: device.file_mode.unwrap_or(0o666) & 0o7777,
        owner: (
            Uid::from_raw(device.uid.unwrap_or(0)),
            Gid::from_raw(device.gid.unwrap_or(0)),
        ),
        bound: None,
    })
}

fn bind(path: &Path) -> Result<OwnedFd, Error> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    open_tree(
        rustix::fs::CWD,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )
    .map_err(|errno| Error::Mount {
        from: path.display().to_string(),
        to: path.to_owned(),
        what: "open the device".to_owned(),
        source: Refusal(errno),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::runtime::{Device, Mount};

    #[test]
    fn a_device_of_the_spec_replaces_a_default_one() {
        let linux = Linux {
            devices: vec![Device {
                path: "/dev/null".into(),
                kind: "c".to_owned(),
                major: 1,
                minor: 5,
                ..Device::default()
            }],
            ..Linux::default()
        };
        let plan = plan(&Spec::default(), &linux, false).expect("valid");
        let null: Vec<_> = plan
            .nodes
            .iter()
            .filter(|node| node.path == Path::new("/dev/null"))
            .collect();
        assert_eq!(null.len(), 1);
        assert_eq!(null[0].device, makedev(1, 5));
    }

    #[test]
    fn a_bound_dev_is_kept_as_it_is() {
        let spec = Spec {
            mounts: vec![Mount {
                destination: "/dev".into(),
                kind: "bind".to_owned(),
                source: "/dev".to_owned(),
                ..Mount::default()
            }],
            ..Spec::default()
        };
        let plan = plan(&spec, &Linux::default(), false).expect("valid");
        assert!(plan.keeps_dev && plan.nodes.is_empty());
    }
}
