//! Rights: capabilities, seccomp, masked paths, what `--privileged` and `--security-opt` change.

use api::container::HostConfig;
use sys::caps::NAMES as CAPABILITIES;

use crate::error::{Error, Result};

/// Docker's default capabilities, without their `CAP_`.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// What a container may not see of /proc and /sys.
const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
/// Masked since Docker 25: power readings leak secrets (CVE-2020-8694).
const MASKED_POWERCAP: &str = "/sys/devices/virtual/powercap";
/// What a container may not write.
const READONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Which seccomp profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seccomp {
    /// The daemon's default.
    Default,
    /// None.
    Unconfined,
    /// This profile (Docker's JSON).
    Profile(String),
}

/// The parsed `--security-opt`s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Seccomp,
    systempaths_unconfined: bool,
    privileged: bool,
}

impl Security {
    /// Reads the options.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the option, also for AppArmor and SELinux profiles that this host cannot apply.
    pub(crate) fn parse(host: &HostConfig) -> Result<Self> {
        let mut security = Self {
            no_new_privileges: false,
            seccomp: if host.privileged {
                Seccomp::Unconfined
            } else {
                Seccomp::Default
            },
            systempaths_unconfined: false,
            privileged: host.privileged,
        };
        for option in &host.security_opt {
            security.take(option)?;
        }
        Ok(security)
    }

    fn take(&mut self, option: &str) -> Result<()> {
        let unknown = || Error::Invalid(format!("invalid --security-opt 2: {option:?}"));
        if option == "no-new-privileges" {
            self.no_new_privileges = true;
            return Ok(());
        }
        let (name, value) = option
            .split_once('=')
            .or_else(|| option.split_once(':'))
            .ok_or_else(unknown)?;
        match (name, value) {
            ("no-new-privileges", "true") => self.no_new_privileges = true,
            ("no-new-privileges", "false") => self.no_new_privileges = false,
            ("seccomp", "unconfined") => self.seccomp = Seccomp::Unconfined,
            ("seccomp", "builtin") => self.seccomp = Seccomp::Default,
            ("seccomp", profile) => self.seccomp = Seccomp::Profile(profile.to_owned()),
            ("systempaths", "unconfined") => self.systempaths_unconfined = true,
            ("apparmor", "unconfined") | ("label", "disable") => {}
            ("apparmor" | "label", _) => {
                return Err(Error::Invalid(format!(
                    "--security-opt {option}: the daemon cannot apply AppArmor or SELinux profiles yet; \
                     remove the option, or use {name}={}",
                    if name == "label" {
                        "disable"
                    } else {
                        "unconfined"
                    }
                )));
            }
            ("writable-cgroups", _) => {}
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// The bounding set by name: the defaults or everything, `--cap-add`, `--cap-drop`; never more than the daemon itself has
    /// unless it was asked for by name (then the runtime's refusal tells).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown capability.
    pub(crate) fn capabilities(&self, host: &HostConfig, own: &[String]) -> Result<Vec<String>> {
        let words =
            |list: &Option<api::Argv>| list.as_ref().map(|l| l.to_vec()).unwrap_or_default();
        let (add, drop) = (
            normalize("CapAdd", &words(&host.cap_add))?,
            normalize("CapDrop", &words(&host.cap_drop))?,
        );
        let holds = |name: &&str| own.iter().any(|o| o.trim_start_matches("CAP_") == *name);
        let mut set: Vec<&str> = if self.privileged || add.contains(&"ALL".to_owned()) {
            CAPABILITIES
                .iter()
                .copied()
                .filter(|name| holds(name))
                .collect()
        } else if drop.contains(&"ALL".to_owned()) {
            Vec::new()
        } else {
            DEFAULT_CAPABILITIES
                .iter()
                .copied()
                .filter(|name| holds(name))
                .collect()
        };
        if !self.privileged {
            for name in CAPABILITIES {
                if add.iter().any(|a| a == name) && !set.contains(&name) {
                    set.push(name);
                }
            }
            set.retain(|name| !drop.iter().any(|d| d == name) || add.iter().any(|a| a == name));
        }
        Ok(set.into_iter().map(|name| format!("CAP_{name}")).collect())
    }

    /// Masked and read-only paths.
    pub(crate) fn hidden_paths(&self, host: &HostConfig) -> (Vec<String>, Vec<String>) {
        if self.privileged || self.systempaths_unconfined {
            return (Vec::new(), Vec::new());
        }
        let own = |list: &[&str]| list.iter().map(|&p| p.to_owned()).collect::<Vec<_>>();
        let masked = host.masked_paths.clone().unwrap_or_else(|| {
            let mut list = own(&MASKED);
            list.push(MASKED_POWERCAP.into());
            list
        });
        (
            masked,
            host.readonly_paths
                .clone()
                .unwrap_or_else(|| own(&READONLY)),
        )
    }
}

/// `cap_net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN` are one.
fn normalize(field: &str, names: &[String]) -> Result<Vec<String>> {
    names
        .iter()
        .map(|name| {
            let upper = name.to_uppercase();
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned();
            if bare == "ALL" || CAPABILITIES.contains(&bare.as_str()) {
                Ok(bare)
            } else {
                Err(Error::Invalid(format!(
                    "invalid {field}: unknown capability: \"CAP_{bare}\""
                )))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(add: &[&str], drop: &[&str], privileged: bool) -> Vec<String> {
        let list = |names: &[&str]| Some(names.iter().copied().collect());
        let host = HostConfig {
            cap_add: list(add),
            cap_drop: list(drop),
            privileged,
            ..HostConfig::default()
        };
        let own: Vec<String> = CAPABILITIES
            .iter()
            .filter(|&&name| name != "SYS_RESOURCE")
            .map(|name| format!("CAP_{name}"))
            .collect();
        Security::parse(&host)
            .expect("valid")
            .capabilities(&host, &own)
            .expect("valid")
    }

    #[test]
    fn the_defaults_are_dockers() {
        assert_eq!(capabilities(&[], &[], false).len(), 14);
    }

    #[test]
    fn adding_and_dropping_by_any_spelling() {
        assert_eq!(
            capabilities(&["cap_sys_time"], &["ALL"], false),
            ["CAP_SYS_TIME"]
        );
        assert!(!capabilities(&[], &["chown"], false).contains(&"CAP_CHOWN".to_owned()));
    }

    #[test]
    fn privileged_is_what_the_daemon_has_and_no_more() {
        let all = capabilities(&[], &[], true);
        assert_eq!(all.len(), 40);
        assert!(!all.contains(&"CAP_SYS_RESOURCE".to_owned()));
        // Asked for by name, it is not silently left out.
        assert!(
            capabilities(&["SYS_RESOURCE"], &[], false).contains(&"CAP_SYS_RESOURCE".to_owned())
        );
    }

    #[test]
    fn unknown_names_and_options_are_refused() {
        assert!(normalize("CapAdd", &["NET_FLY".into()]).is_err());
        let host = HostConfig {
            security_opt: vec!["bogus".into()],
            ..HostConfig::default()
        };
        assert!(Security::parse(&host).is_err());
    }
}
