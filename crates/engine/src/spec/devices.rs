//! Device nodes in the container, and the cgroup's rules about them.

use std::fs;
use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use api::container::{DeviceMapping, HostConfig};
use oci::runtime::{Device, DeviceRule};

use crate::error::{Error, Result};

/// Nodes to make and rules to keep.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    pub(crate) nodes: Vec<Device>,
    pub(crate) rules: Vec<DeviceRule>,
}

impl Devices {
    /// Docker's rules: nothing but the standard character devices, plus `--device` and `--device-cgroup-rule`; for
    /// `--privileged` everything the host has.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a device that is not there, or rules that are none.
    pub(crate) fn of(host: &HostConfig) -> Result<Self> {
        if host.privileged {
            return Ok(Self {
                nodes: host_devices(Path::new("/dev")),
                rules: vec![rule(true, "a", None, None, "rwm")],
            });
        }
        let mut devices = Self {
            nodes: Vec::new(),
            rules: standard_rules(),
        };
        for mapping in &host.resources.devices {
            devices.add(mapping)?;
        }
        for text in &host.resources.device_cgroup_rules {
            devices.rules.push(parse_rule(text)?);
        }
        Ok(devices)
    }

    fn add(&mut self, mapping: &DeviceMapping) -> Result<()> {
        let source = Path::new(&mapping.path_on_host);
        let inside = if mapping.path_in_container.is_empty() {
            PathBuf::from(source)
        } else {
            PathBuf::from(&mapping.path_in_container)
        };
        let access = if mapping.cgroup_permissions.is_empty() {
            "rwm"
        } else {
            &mapping.cgroup_permissions
        };
        let missing = |e: std::io::Error| {
            Error::Invalid(format!(
                "error gathering device information while adding custom device {:?}: {e}",
                mapping.path_on_host
            ))
        };
        let real = fs::canonicalize(source).map_err(missing)?;
        let found = if fs::metadata(&real).map_err(missing)?.is_dir() {
            host_devices(&real)
                .into_iter()
                .filter_map(|node| {
                    let below = node.path.strip_prefix(&real).ok()?;
                    Some(Device {
                        path: inside.join(below),
                        ..node.clone()
                    })
                })
                .collect()
        } else {
            device(&real, inside).into_iter().collect::<Vec<_>>()
        };
        if found.is_empty() {
            return Err(Error::Invalid(format!(
                "error gathering device information while adding custom device {:?}: not a device node",
                mapping.path_on_host
            )));
        }
        for node in found {
            self.rules.push(rule(
                true,
                &node.kind,
                Some(node.major),
                Some(node.minor),
                access,
            ));
            self.nodes.push(node);
        }
        Ok(())
    }
}

fn rule(
    allow: bool,
    kind: &str,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> DeviceRule {
    DeviceRule {
        allow,
        kind: kind.into(),
        major,
        minor,
        access: access.into(),
    }
}

fn standard_rules() -> Vec<DeviceRule> {
    let mut rules = vec![
        rule(false, "a", None, None, "rwm"),
        rule(true, "c", None, None, "m"),
        rule(true, "b", None, None, "m"),
    ];
    // null, zero, full, random, urandom, tty, console, ptmx, and every pty.
    for (major, minor) in [
        (1, 3),
        (1, 5),
        (1, 7),
        (1, 8),
        (1, 9),
        (5, 0),
        (5, 1),
        (5, 2),
    ] {
        rules.push(rule(true, "c", Some(major), Some(minor), "rwm"));
    }
    rules.push(rule(true, "c", Some(136), None, "rwm"));
    rules
}

/// `c 1:3 rwm`, with `*` for any number; `a` is everything.
fn parse_rule(text: &str) -> Result<DeviceRule> {
    let bad = || Error::Invalid(format!("invalid device cgroup rule format: '{text}'"));
    let mut words = text.split_whitespace();
    let (kind, numbers, access) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(kind), Some(numbers), Some(access), None) => (kind, numbers, access),
        _ => return Err(bad()),
    };
    let number = |word: &str| match word {
        "*" => Ok(None),
        _ => word
            .parse::<i64>()
            .ok()
            .filter(|n| *n >= 0)
            .map(Some)
            .ok_or_else(bad),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
    if !["a", "b", "c"].contains(&kind)
        || access.is_empty()
        || !access.bytes().all(|b| b"rwm".contains(&b))
    {
        return Err(bad());
    }
    Ok(rule(true, kind, number(major)?, number(minor)?, access))
}

/// Every device node below a folder of the host, without what the container has its own of.
fn host_devices(folder: &Path) -> Vec<Device> {
    const OWN: [&str; 6] = ["pts", "shm", "fd", "mqueue", "console", "ptmx"];
    let mut list = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return list;
    };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if OWN.iter().any(|own| name == *own) || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list.extend(host_devices(&path)),
            Ok(kind) if kind.is_char_device() || kind.is_block_device() => {
                list.extend(device(&path, path.clone()));
            }
            _ => {}
        }
    }
    list
}

fn device(real: &Path, inside: PathBuf) -> Option<Device> {
    let meta = fs::metadata(real).ok()?;
    let kind = match meta.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return None,
    };
    let rdev = meta.st_rdev();
    Some(Device {
        path: inside,
        kind: kind.into(),
        major: i64::from(rustix::fs::major(rdev)),
        minor: i64::from(rustix::fs::minor(rdev)),
        file_mode: Some(meta.st_mode() & 0o7777),
        uid: Some(meta.st_uid()),
        gid: Some(meta.st_gid()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_brings_its_node_and_its_rule() {
        let mut host = HostConfig::default();
        host.resources.devices.push(DeviceMapping {
            path_on_host: "/dev/null".into(),
            path_in_container: "/dev/nothing".into(),
            cgroup_permissions: "r".into(),
        });
        let devices = Devices::of(&host).expect("the device is there");
        assert_eq!(devices.nodes[0].path, Path::new("/dev/nothing"));
        assert_eq!((devices.nodes[0].major, devices.nodes[0].minor), (1, 3));
        assert_eq!(devices.rules.last().map(|r| r.access.as_str()), Some("r"));
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for path in ["/nowhere", "/etc/passwd"] {
            let mut host = HostConfig::default();
            host.resources.devices.push(DeviceMapping {
                path_on_host: path.into(),
                ..DeviceMapping::default()
            });
            assert!(Devices::of(&host).is_err(), "{path}");
        }
    }

    #[test]
    fn rules_are_read_or_refused() {
        assert_eq!(
            parse_rule("c 10:* rw").ok(),
            Some(rule(true, "c", Some(10), None, "rw"))
        );
        for text in ["", "c 1:3", "x 1:3 r", "c 1 r", "c 1:3 z", "c -1:3 r"] {
            assert!(parse_rule(text).is_err(), "{text}");
        }
    }
}
