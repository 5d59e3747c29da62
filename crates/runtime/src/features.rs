//! What this runtime knows, for `features`.
//!
//! Spec: OCI runtime, "Features Structure". It tells what this program was built to do, not what the kernel beneath has.

use oci::runtime::NamespaceKind;
use serde_json::{Value, json};

use crate::plan::{capability, namespaces, options};
use crate::seccomp;

/// The document.
#[must_use]
pub fn features() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": oci::runtime::VERSION,
        "hooks": [
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart",
            "poststop",
        ],
        "mountOptions": options::known(),
        "linux": {
            "namespaces": kinds(),
            "capabilities": capability::known(),
            "cgroup": {
                "v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": true,
            },
            "seccomp": seccomp::features(),
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
            "memoryPolicy": {
                "modes": crate::plan::schedule::POLICIES,
                "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
            },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true },
        },
        "annotations": {},
    })
}

fn kinds() -> Vec<String> {
    let all = [
        NamespaceKind::Cgroup,
        NamespaceKind::Ipc,
        NamespaceKind::Mount,
        NamespaceKind::Network,
        NamespaceKind::Pid,
        NamespaceKind::Time,
        NamespaceKind::User,
        NamespaceKind::Uts,
    ];
    debug_assert!(all.iter().all(|kind| !namespaces::flag(*kind).is_empty()));
    all.iter()
        .filter_map(|kind| serde_json::to_value(kind).ok()?.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mount_option_listed_is_one_that_is_understood() {
        for word in options::known() {
            let parsed = options::parse(&[(*word).to_owned()]);
            assert!(parsed.own.is_empty(), "{word}");
        }
    }

    #[test]
    fn the_lists_are_sorted_and_of_the_specs_words() {
        let document = features();
        assert_eq!(document["linux"]["namespaces"][3], "network");
        assert_eq!(document["linux"]["capabilities"][0], "CAP_CHOWN");
        let words = options::known();
        assert!(words.is_sorted());
        let flags = &document["linux"]["seccomp"]["knownFlags"];
        assert!(flags.as_array().is_some_and(|flags| !flags.is_empty()));
    }
}
