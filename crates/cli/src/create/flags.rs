//! The flags that run and create share.

use serde_json::{Value, json};

use crate::{
    flags::{Flag, Kind, flag},
    values::{self, quote},
};

/// Every option of a container.
pub(crate) const CONTAINER: &[Flag] = &[
    flag(
        "add-host",
        Kind::List,
        "Add a line to the container's hosts file (host:ip)",
    )
    .check(super::network::extra_host_is_valid),
    flag(
        "annotation",
        Kind::Map,
        "Add an annotation (passed on to the OCI runtime)",
    )
    .default("map[]")
    .check(annotation_is_valid),
    flag("attach", Kind::List, "Attach to STDIN, STDOUT or STDERR")
        .short('a')
        .check(attach_is_valid),
    flag(
        "blkio-weight",
        Kind::Uint16,
        "Block IO weight, 10 to 1000, or 0 for none",
    )
    .default("0"),
    flag(
        "blkio-weight-device",
        Kind::List,
        "Block IO weight of a device",
    )
    .default("[]")
    .check(super::devices::weight_is_valid),
    flag("cap-add", Kind::List, "Add Linux capabilities"),
    flag("cap-drop", Kind::List, "Drop Linux capabilities"),
    flag(
        "cgroup-parent",
        Kind::String,
        "Parent cgroup of the container",
    ),
    flag(
        "cgroupns",
        Kind::String,
        "Cgroup namespace (host|private)\n'host':    the host's\n'private': its own\n'':        as the engine is configured",
    ),
    flag(
        "cidfile",
        Kind::String,
        "Write the container's id to this file",
    ),
    flag("cpu-count", Kind::Int, "CPU count (Windows only)"),
    flag("cpu-percent", Kind::Int, "CPU percent (Windows only)"),
    flag(
        "cpu-period",
        Kind::Int,
        "Length of the CPU quota's period in microseconds",
    ),
    flag(
        "cpu-quota",
        Kind::Int,
        "CPU time per period in microseconds",
    ),
    flag(
        "cpu-rt-period",
        Kind::Int,
        "Length of the CPU real-time period in microseconds",
    ),
    flag(
        "cpu-rt-runtime",
        Kind::Int,
        "CPU real-time budget per period in microseconds",
    ),
    flag("cpu-shares", Kind::Int, "CPU shares (relative weight)").short('c'),
    flag("cpus", Kind::Decimal, "Number of CPUs"),
    flag("cpuset-cpus", Kind::String, "CPUs to run on (0-3, 0,1)"),
    flag(
        "cpuset-mems",
        Kind::String,
        "Memory nodes to use (0-3, 0,1)",
    ),
    flag("device", Kind::List, "Add a host device").check(super::devices::device_is_valid),
    flag(
        "device-cgroup-rule",
        Kind::List,
        "Add a rule to the allowed devices",
    )
    .check(super::devices::rule_is_valid),
    flag(
        "device-read-bps",
        Kind::List,
        "Limit reads from a device (bytes per second)",
    )
    .default("[]")
    .check(super::devices::bps_is_valid),
    flag(
        "device-read-iops",
        Kind::List,
        "Limit reads from a device (operations per second)",
    )
    .default("[]")
    .check(super::devices::iops_is_valid),
    flag(
        "device-write-bps",
        Kind::List,
        "Limit writes to a device (bytes per second)",
    )
    .default("[]")
    .check(super::devices::bps_is_valid),
    flag(
        "device-write-iops",
        Kind::List,
        "Limit writes to a device (operations per second)",
    )
    .default("[]")
    .check(super::devices::iops_is_valid),
    flag("dns", Kind::List, "DNS servers").check(super::network::ip_is_valid),
    flag("dns-opt", Kind::List, "DNS options").hidden(),
    flag("dns-option", Kind::List, "DNS options"),
    flag("dns-search", Kind::List, "DNS search domains"),
    flag("domainname", Kind::String, "NIS domain name"),
    flag("entrypoint", Kind::String, "Replace the image's entrypoint"),
    flag("env", Kind::List, "Set environment variables")
        .short('e')
        .check(env_is_valid),
    flag(
        "env-file",
        Kind::List,
        "Read environment variables from a file",
    ),
    flag("expose", Kind::List, "Expose a port or a range of ports"),
    flag("gpus", Kind::Named("gpu-request"), "GPUs (not supported)"),
    flag("group-add", Kind::List, "Join more groups"),
    flag("health-cmd", Kind::String, "Command that checks health"),
    flag(
        "health-interval",
        Kind::Duration,
        "Time between checks (ms|s|m|h)",
    )
    .default("0s"),
    flag(
        "health-retries",
        Kind::Int,
        "Failures in a row until unhealthy",
    ),
    flag(
        "health-start-interval",
        Kind::Duration,
        "Time between checks during the start period (ms|s|m|h)",
    )
    .default("0s"),
    flag(
        "health-start-period",
        Kind::Duration,
        "Time to start up before failures count (ms|s|m|h)",
    )
    .default("0s"),
    flag(
        "health-timeout",
        Kind::Duration,
        "The longest a check may take (ms|s|m|h)",
    )
    .default("0s"),
    flag("hostname", Kind::String, "Host name").short('h'),
    flag(
        "init",
        Kind::Bool,
        "Run an init that passes signals on and reaps processes",
    ),
    flag(
        "interactive",
        Kind::Bool,
        "Keep STDIN open even if not attached",
    )
    .short('i'),
    flag(
        "io-maxbandwidth",
        Kind::Bytes,
        "IO bandwidth of the system drive (Windows only)",
    ),
    flag(
        "io-maxiops",
        Kind::Uint,
        "IO operations of the system drive (Windows only)",
    ),
    flag("ip", Kind::String, "IPv4 address (such as 172.30.100.104)"),
    flag("ip6", Kind::String, "IPv6 address (such as 2001:db8::33)"),
    flag("ipc", Kind::String, "IPC namespace"),
    flag("isolation", Kind::String, "Isolation technology"),
    flag("kernel-memory", Kind::Bytes, "Kernel memory limit"),
    flag("label", Kind::List, "Set metadata")
        .short('l')
        .check(label_is_valid),
    flag("label-file", Kind::List, "Read labels from a file"),
    flag("link", Kind::List, "Link to another container"),
    flag("link-local-ip", Kind::List, "Link-local addresses").check(super::network::ip_is_valid),
    flag("log-driver", Kind::String, "Log driver"),
    flag("log-opt", Kind::List, "Log driver options"),
    flag(
        "mac-address",
        Kind::String,
        "MAC address (such as 92:d0:c6:0a:29:33)",
    ),
    flag("memory", Kind::Bytes, "Memory limit").short('m'),
    flag("memory-reservation", Kind::Bytes, "Memory soft limit"),
    flag(
        "memory-swap",
        Kind::Bytes,
        "Limit of memory plus swap: '-1' for unlimited swap",
    ),
    flag("memory-swappiness", Kind::Int, "Swappiness (0 to 100)").default("-1"),
    flag("mount", Kind::Named("mount"), "Attach a filesystem mount")
        .check(super::mounts::mount_is_valid),
    flag("name", Kind::String, "Name of the container"),
    flag("network", Kind::Named("network"), "Connect to a network"),
    flag("network-alias", Kind::List, "Alias in the network"),
    flag(
        "no-healthcheck",
        Kind::Bool,
        "Switch the image's health check off",
    ),
    flag("oom-kill-disable", Kind::Bool, "Switch the OOM killer off"),
    flag(
        "oom-score-adj",
        Kind::Int,
        "Preference of the host's OOM killer (-1000 to 1000)",
    ),
    flag("pid", Kind::String, "PID namespace"),
    flag("pids-limit", Kind::Int, "Most processes (-1 for unlimited)"),
    flag("privileged", Kind::Bool, "Give extended privileges"),
    flag("publish", Kind::List, "Publish ports to the host").short('p'),
    flag(
        "publish-all",
        Kind::Bool,
        "Publish all exposed ports to random ports",
    )
    .short('P'),
    flag(
        "read-only",
        Kind::Bool,
        "Mount the root filesystem read-only",
    ),
    flag(
        "restart",
        Kind::String,
        "Restart policy when the container exits",
    )
    .default("no"),
    flag(
        "rm",
        Kind::Bool,
        "Remove the container and its anonymous volumes when it exits",
    ),
    flag("runtime", Kind::String, "Runtime of the container"),
    flag("security-opt", Kind::List, "Security options"),
    flag("shm-size", Kind::Bytes, "Size of /dev/shm"),
    flag(
        "stop-signal",
        Kind::String,
        "Signal that stops the container",
    ),
    flag("stop-timeout", Kind::Int, "Seconds until a stop kills"),
    flag("storage-opt", Kind::List, "Storage driver options"),
    flag("sysctl", Kind::Map, "Kernel parameters")
        .default("map[]")
        .check(sysctl_is_valid),
    flag("tmpfs", Kind::List, "Mount a tmpfs"),
    flag("tty", Kind::Bool, "Allocate a pseudo-TTY").short('t'),
    flag("ulimit", Kind::Named("ulimit"), "Resource limits")
        .default("[]")
        .check(super::devices::ulimit_is_valid),
    flag(
        "user",
        Kind::String,
        "User name or id (format: <name|uid>[:<group|gid>])",
    )
    .short('u'),
    flag("userns", Kind::String, "User namespace"),
    flag("uts", Kind::String, "UTS namespace"),
    flag("volume", Kind::List, "Mount a volume or a folder").short('v'),
    flag(
        "volume-driver",
        Kind::String,
        "Volume driver of the container",
    ),
    flag(
        "volumes-from",
        Kind::List,
        "Mount the volumes of other containers",
    ),
    flag("workdir", Kind::String, "Working directory").short('w'),
];

/// What run and create have beyond the container itself.
pub(crate) const EXTRA: &[Flag] = &[
    flag(
        "disable-content-trust",
        Kind::Bool,
        "Skip image verification",
    )
    .default("true"),
    flag(
        "platform",
        Kind::String,
        "Platform of the image, such as linux/amd64",
    ),
    flag(
        "pull",
        Kind::String,
        "Pull the image first (\"always\", \"missing\", \"never\")",
    )
    .default("missing"),
    flag("quiet", Kind::Bool, "Do not show the pull's progress").short('q'),
    flag(
        "use-api-socket",
        Kind::Bool,
        "Bind mount the API socket (not supported)",
    ),
];

fn attach_is_valid(text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" | "stdout" | "stderr" => Ok(()),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".into()),
    }
}

fn annotation_is_valid(text: &str) -> Result<(), String> {
    if text.starts_with('=') || text.is_empty() {
        return Err(format!("invalid annotation: {text}"));
    }
    Ok(())
}

/// Whether `text` can stand after `-e`.
pub(crate) fn env_is_valid(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('=') {
        return Err(format!("invalid environment variable: {text}"));
    }
    Ok(())
}

fn label_is_valid(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('=') {
        return Err(format!("invalid label '{text}': empty name"));
    }
    Ok(())
}

fn sysctl_is_valid(text: &str) -> Result<(), String> {
    const KNOWN: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let bad = || format!("sysctl '{text}' is not allowed");
    let (name, _) = text.split_once('=').ok_or_else(bad)?;
    if KNOWN.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.") {
        Ok(())
    } else {
        Err(bad())
    }
}

/// Reads `no`, `always`, `unless-stopped`, `on-failure[:N]`; the daemon checks the name.
///
/// # Errors
/// Docker's words for a bad count.
pub(crate) fn restart_policy(text: &str) -> Result<Value, String> {
    let (name, count) = match text.split_once(':') {
        None => (text, 0),
        Some((name, count)) if !count.contains(':') => {
            let number = values::int(count).map_err(|_| {
                "invalid restart policy format: maximum retry count must be an integer".to_owned()
            })?;
            (name, number)
        }
        Some(_) => {
            return Err(format!("invalid restart policy format: {}", quote(text)));
        }
    };
    if name.is_empty() && text.contains(':') {
        return Err("invalid restart policy format: no policy provided before colon".into());
    }
    Ok(json!({ "Name": name, "MaximumRetryCount": count }))
}
