//! The runtime spec's `config.json`, Linux part, and the `state` document.
//!
//! Spec: OCI runtime-spec 1.3, `config.md` and `config-linux.md`. Members that we do not know are ignored, absent ones
//! take their Rust default, and defaults are not written.

mod linux;
mod process;
mod resources;
mod seccomp;
mod state;

pub use linux::{
    Device, IdMapping, IntelRdt, Linux, MemoryPolicy, Namespace, NamespaceKind, NetDevice,
    Personality, TimeOffset,
};
pub use process::{
    Capabilities, ConsoleSize, CpuAffinity, IoPriority, Process, Rlimit, Scheduler, User,
};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, LinuxResources, Memory, Network,
    Pids, Rdma, ThrottleDevice, WeightDevice,
};
pub use seccomp::{LinuxSeccomp, SeccompAction, SeccompArg, SeccompOperator, SeccompSyscall};
pub use state::{ContainerProcessState, State, Status};

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of the runtime spec that these types speak.
pub const VERSION: &str = "1.3.0";

/// Whether a flag is at its default; keeps `false` out of what we write.
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A container's `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// The spec's version that the document follows.
    pub oci_version: String,
    /// The program; absent for a container that is only created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// Host name, in a UTS namespace of its own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// NIS domain name, in a UTS namespace of its own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    /// Mounts beyond the root, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Programs run at points of the container's life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// Free metadata.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What only Linux has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// The root file system of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Root {
    /// Its folder; relative to the bundle or absolute.
    pub path: PathBuf,
    /// Mount it read-only.
    #[serde(skip_serializing_if = "is_false")]
    pub readonly: bool,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mount {
    /// Where, in the container.
    pub destination: PathBuf,
    /// The file system's type; `bind` or empty for bind mounts.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What: a device, a name, or the folder to bind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Options as in fstab(5), and the spec's own (`rro`, `idmap`, `tmpcopyup`, …).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// User ids as seen through an idmapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids as seen through an idmapped mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
}

/// Programs run at points of the container's life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hooks {
    /// After the namespaces exist, before pivot, in the runtime's namespaces; deprecated by the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prestart: Vec<Hook>,
    /// As `prestart`, run after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_runtime: Vec<Hook>,
    /// Before pivot, in the container's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_container: Vec<Hook>,
    /// Right before the program is executed, in the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start_container: Vec<Hook>,
    /// After the program is executed, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststart: Vec<Hook>,
    /// After the container is deleted, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
}

/// One hook program; it reads the container's [`State`] on stdin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hook {
    /// Absolute path of the program.
    pub path: PathBuf,
    /// Its arguments, with argv\[0\].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its whole environment, `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Seconds after which it is killed and counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_spec_and_unknown_members_are_ignored() {
        let text = r#"{
            "ociVersion": "1.2.1",
            "process": {
                "terminal": true, "consoleSize": {"height": 24, "width": 80},
                "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3, 4]},
                "args": ["sh"], "env": ["A=b"], "cwd": "/",
                "capabilities": {"bounding": ["CAP_KILL"]},
                "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 2, "soft": 1}],
                "noNewPrivileges": true, "oomScoreAdj": -5,
                "scheduler": {"policy": "SCHED_OTHER", "nice": 5},
                "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0},
                "execCPUAffinity": {"initial": "0", "final": "0-1"}
            },
            "root": {"path": "rootfs", "readonly": true},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]}],
            "hooks": {"createRuntime": [{"path": "/bin/true", "timeout": 3}]},
            "linux": {
                "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"}],
                "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
                "timeOffsets": {"boottime": {"secs": -5, "nanosecs": 7}},
                "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438}],
                "resources": {
                    "devices": [{"allow": false, "access": "rwm"}],
                    "memory": {"limit": 1, "disableOOMKiller": true, "kernelTCP": 9},
                    "cpu": {"shares": 2, "realtimePeriod": 4},
                    "pids": {"limit": -1},
                    "blockIO": {"weight": 10, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 5}]},
                    "hugepageLimits": [{"pageSize": "2MB", "limit": 3}],
                    "network": {"classID": 7},
                    "unified": {"memory.high": "1"}
                },
                "seccomp": {
                    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
                    "architectures": ["SCMP_ARCH_X86_64"],
                    "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}]
                },
                "maskedPaths": ["/proc/kcore"]
            },
            "somethingNew": {"x": 1}
        }"#;
        let spec: Spec = serde_json::from_str(text).expect("a valid spec");
        let written = serde_json::to_value(&spec).expect("a spec is JSON");
        let mut given: serde_json::Value = serde_json::from_str(text).expect("valid JSON");
        given
            .as_object_mut()
            .expect("an object")
            .remove("somethingNew");
        assert_eq!(written, given);
    }

    #[test]
    fn an_empty_spec_writes_nothing_but_its_version() {
        assert_eq!(
            serde_json::to_string(&Spec::default()).expect("a spec is JSON"),
            r#"{"ociVersion":""}"#
        );
    }
}
