//! The container's cgroup: where it is, and the device rules that every container has.

use cgroup::Controller;
use oci::runtime::{DeviceRule, Linux, LinuxResources};

/// Where the cgroup is. A relative path counts from the roots of the hierarchies; without one it is the container's id.
///
/// Spec: OCI runtime config-linux, "Cgroups Path".
pub(crate) fn path(linux: &Linux, id: &str) -> String {
    let wanted = match linux.cgroups_path.as_str() {
        "" => id,
        path => path,
    };
    let parts: Vec<&str> = wanted
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    format!("/{}", parts.join("/"))
}

/// The limits that a container's cgroup gets: the spec's, and rules for the devices that every container has.
pub(crate) fn of(linux: &Linux) -> LinuxResources {
    let mut resources = linux.resources.clone().unwrap_or_default();
    let has_devices = cgroup::host().is_ok_and(|host| host.has(Controller::Devices));
    if has_devices || !resources.devices.is_empty() {
        allow_devices(&mut resources);
    }
    resources
}

/// Major and minor of the devices that the spec promises to every container; `None` is any.
const DEVICES: [(i64, Option<i64>); 8] = [
    (1, Some(3)), // null
    (1, Some(5)), // zero
    (1, Some(7)), // full
    (1, Some(8)), // random
    (1, Some(9)), // urandom
    (5, Some(0)), // tty
    (5, Some(2)), // ptmx
    (136, None),  // pts
];

/// Nothing is allowed that is not named; then what the spec says; then what every container has, and making nodes
/// (which is not using them).
fn allow_devices(resources: &mut LinuxResources) {
    if resources.devices.is_empty() {
        resources.devices.push(DeviceRule {
            access: "rwm".to_owned(),
            ..DeviceRule::default()
        });
    }
    for kind in ["c", "b"] {
        resources.devices.push(DeviceRule {
            allow: true,
            kind: kind.to_owned(),
            access: "m".to_owned(),
            ..DeviceRule::default()
        });
    }
    for (major, minor) in DEVICES {
        resources.devices.push(DeviceRule {
            allow: true,
            kind: "c".to_owned(),
            major: Some(major),
            minor,
            access: "rwm".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(given: &str) -> String {
        let linux = Linux {
            cgroups_path: given.to_owned(),
            ..Linux::default()
        };
        path(&linux, "c1")
    }

    #[test]
    fn paths_are_made_absolute_and_plain() {
        assert_eq!(path_of(""), "/c1");
        assert_eq!(path_of("/a/b"), "/a/b");
        assert_eq!(path_of("a//b/."), "/a/b");
    }

    #[test]
    fn a_container_without_rules_may_use_the_common_devices_only() {
        let mut resources = LinuxResources::default();
        allow_devices(&mut resources);
        assert!(!resources.devices[0].allow);
        assert!(resources.devices[1..].iter().all(|rule| rule.allow));
    }
}
