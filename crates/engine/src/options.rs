//! What the daemon was asked to be: the engine's settings, with dockerd's names.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Settings of one engine; `bin/estiva` fills them from the command line and the config file.
#[derive(Debug, Clone)]
pub struct Options {
    /// Durable state (`--data-root`), mode 0700.
    pub data_root: PathBuf,
    /// Volatile state (`--exec-root`), on a tmpfs.
    pub exec_root: PathBuf,
    /// Parent of every container's cgroup that names none (`--cgroup-parent`), `/estiva` by default.
    pub cgroup_parent: String,
    /// Log driver of containers that name none (`--log-driver`), `json-file` by default.
    pub log_driver: String,
    /// Options of that driver (`--log-opt`).
    pub log_options: BTreeMap<String, String>,
    /// Seconds between the stop signal and SIGKILL when nothing else says so (`--default-stop-timeout`... 10).
    pub stop_timeout_secs: u32,
    /// Mirrors, shown by `info` (`--registry-mirror`); used when the registry client arrives.
    pub registry_mirrors: Vec<String>,
    /// Registries spoken to without TLS, shown by `info` (`--insecure-registry`).
    pub insecure_registries: Vec<String>,
    /// The daemon's own labels (`--label`).
    pub labels: Vec<String>,
    /// `--debug`.
    pub debug: bool,
    /// Run every container under our own pid 1 (`--init`).
    pub init: bool,
    /// Size of /dev/shm in bytes (`--default-shm-size`), 64 MiB by default.
    pub shm_size: i64,
    /// Limits of every container that names none (`--default-ulimit`), as (name, soft, hard).
    pub ulimits: Vec<(String, i64, i64)>,
    /// The seccomp profile of containers that name none (`--seccomp-profile`); `None` is the built-in one.
    pub seccomp_profile: Option<String>,
    /// `--no-new-privileges` for every container.
    pub no_new_privileges: bool,
    /// User namespaces of containers that ask for nothing (`--userns-remap`).
    pub userns_remap: crate::Remap,
}

impl Options {
    /// The defaults for a data root and an exec root.
    #[must_use]
    pub fn new(data_root: PathBuf, exec_root: PathBuf) -> Self {
        Self {
            data_root,
            exec_root,
            cgroup_parent: "/estiva".into(),
            log_driver: "json-file".into(),
            log_options: BTreeMap::new(),
            stop_timeout_secs: 10,
            registry_mirrors: Vec::new(),
            insecure_registries: Vec::new(),
            labels: Vec::new(),
            debug: false,
            init: false,
            shm_size: 64 << 20,
            ulimits: Vec::new(),
            seccomp_profile: None,
            no_new_privileges: false,
            userns_remap: crate::Remap::Off,
        }
    }

    /// Refuses settings that no container could be made with.
    ///
    /// # Errors
    /// The log driver or its options.
    pub fn validate(&self) -> crate::Result<()> {
        logs::validate(&self.log_driver, &self.log_options)?;
        Ok(())
    }
}
