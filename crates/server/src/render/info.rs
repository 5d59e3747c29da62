//! `info`: what this engine and its host are.

use api::system::{
    Commit, Component, IndexConfig, Info, PlatformName, Plugins, RegistryConfig, RuntimeInfo,
    SwarmInfo, Version,
};
use api::version::ApiVersion;
use engine::Options;
use engine::host::Host;
use engine::system::Counts;

use super::container::{DRIVER, bytes};

/// What is looked up anew for each answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Daemon {
    pub(crate) descriptors: usize,
    pub(crate) tasks: usize,
    pub(crate) limits: cgroup::Features,
    pub(crate) forwards: bool,
    pub(crate) now_unix_nanos: i64,
}

/// The answer of `version`.
pub(crate) fn version(host: &Host) -> Version {
    let own = env!("CARGO_PKG_VERSION");
    let details = [
        ("ApiVersion", ApiVersion::NEWEST.to_string()),
        ("MinAPIVersion", ApiVersion::OLDEST.to_string()),
        ("Arch", go_arch().to_owned()),
        ("Os", "linux".to_owned()),
        ("KernelVersion", host.kernel.clone()),
        ("Experimental", "false".to_owned()),
    ];
    Version {
        platform: PlatformName {
            name: "Estiva".into(),
        },
        components: vec![Component {
            name: "Engine".into(),
            version: own.into(),
            details: details.map(|(key, value)| (key.to_owned(), value)).into(),
        }],
        version: own.into(),
        api_version: ApiVersion::NEWEST.to_string(),
        min_api_version: ApiVersion::OLDEST.to_string(),
        os: "linux".into(),
        arch: go_arch().into(),
        kernel_version: host.kernel.clone(),
        ..Version::default()
    }
}

/// The machine in Go's words.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The answer of `info`.
pub(crate) fn info(
    id: &str,
    host: &Host,
    options: &Options,
    counts: &Counts,
    daemon: &Daemon,
) -> Info {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let limits = &daemon.limits;
    Info {
        id: id.to_owned(),
        containers: count(counts.containers),
        containers_running: count(counts.running),
        containers_paused: count(counts.paused),
        containers_stopped: count(counts.stopped),
        images: count(counts.images),
        driver: DRIVER.into(),
        driver_status: vec![["Mount API".into(), "fsopen".into()]],
        plugins: Plugins {
            volume: vec!["local".into()],
            network: ["bridge", "host", "ipvlan", "macvlan", "null"]
                .map(String::from)
                .into(),
            authorization: Vec::new(),
            log: ["json-file", "local", "none"].map(str::to_owned).into(),
        },
        memory_limit: limits.memory,
        swap_limit: limits.swap,
        cpu_cfs_period: limits.cpu_quota,
        cpu_cfs_quota: limits.cpu_quota,
        cpu_shares: limits.cpu_shares,
        cpu_set: limits.cpuset,
        pids_limit: limits.pids,
        oom_kill_disable: limits.oom_kill_disable,
        ipv4_forwarding: daemon.forwards,
        debug: options.debug,
        n_fd: count(daemon.descriptors),
        n_goroutines: count(daemon.tasks),
        system_time: crate::when::rfc3339(daemon.now_unix_nanos),
        logging_driver: options.log_driver.clone(),
        cgroup_driver: "cgroupfs".into(),
        cgroup_version: limits.version.to_string(),
        kernel_version: host.kernel.clone(),
        operating_system: host.os.clone(),
        os_version: host.os_version.clone(),
        os_type: "linux".into(),
        architecture: std::env::consts::ARCH.into(),
        index_server_address: "https://index.docker.io/v1/".into(),
        registry_config: Some(registries(options)),
        ncpu: count(host.cpus),
        mem_total: bytes(host.memory_bytes),
        docker_root_dir: options.data_root.display().to_string(),
        name: host.name(),
        labels: options.labels.clone(),
        server_version: env!("CARGO_PKG_VERSION").into(),
        runtimes: [(
            "estiva".to_owned(),
            RuntimeInfo {
                path: "estiva-runtime".into(),
                ..RuntimeInfo::default()
            },
        )]
        .into(),
        default_runtime: "estiva".into(),
        swarm: SwarmInfo {
            local_node_state: "inactive".into(),
            ..SwarmInfo::default()
        },
        live_restore_enabled: true,
        init_binary: "estiva".into(),
        runc_commit: own_commit(),
        containerd_commit: own_commit(),
        init_commit: own_commit(),
        security_options: security(options),
        cdi_spec_dirs: Vec::new(),
        ..Info::default()
    }
}

fn own_commit() -> Commit {
    Commit {
        id: env!("CARGO_PKG_VERSION").into(),
        ..Commit::default()
    }
}

fn security(options: &Options) -> Vec<String> {
    let profile = options.seccomp_profile.as_deref().unwrap_or("builtin");
    let mut list = vec![
        format!("name=seccomp,profile={profile}"),
        "name=cgroupns".to_owned(),
    ];
    if options.no_new_privileges {
        list.push("name=no-new-privileges".into());
    }
    list
}

fn registries(options: &Options) -> RegistryConfig {
    let docker_io = IndexConfig {
        name: "docker.io".into(),
        mirrors: options.registry_mirrors.clone(),
        secure: true,
        official: true,
    };
    RegistryConfig {
        insecure_registry_cidrs: options
            .insecure_registries
            .iter()
            .filter(|r| r.contains('/'))
            .cloned()
            .collect(),
        index_configs: [("docker.io".to_owned(), docker_io)].into(),
        mirrors: options.registry_mirrors.clone(),
    }
}
