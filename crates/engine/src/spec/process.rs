//! The program of a container or an exec: arguments, environment, user, rights, limits.

use std::collections::BTreeMap;

use api::container::{HostConfig, Ulimit};
use oci::runtime::{Capabilities, ConsoleSize, Process, Rlimit, User};

use super::{Facts, Security, user::Resolved};
use crate::container::Record;
use crate::error::{Error, Result};

/// PATH of programs whose image and command line name none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The container's own process.
pub(crate) fn init_process(record: &Record, security: &Security, facts: &Facts) -> Result<Process> {
    let config = &record.config;
    let args: Vec<String> = [&config.entrypoint, &config.cmd]
        .into_iter()
        .flatten()
        .flat_map(|words| words.iter().cloned())
        .collect();
    if args.is_empty() {
        return Err(Error::Invalid("no command specified".into()));
    }
    let [height, width] = record.host.console_size;
    Ok(Process {
        terminal: config.tty,
        console_size: (config.tty && height > 0 && width > 0).then(|| ConsoleSize {
            height: u16::try_from(height).unwrap_or(u16::MAX),
            width: u16::try_from(width).unwrap_or(u16::MAX),
        }),
        user: user(&facts.user),
        env: environment(
            record,
            &config.env,
            config.tty,
            &facts.user,
            &facts.hostname,
        ),
        cwd: working_dir(&config.working_dir),
        capabilities: Some(capabilities(
            security,
            &record.host,
            &facts.user,
            &facts.own_capabilities,
        )?),
        rlimits: rlimits(&record.host.resources.ulimits, &facts.ulimits)?,
        no_new_privileges: security.no_new_privileges,
        oom_score_adj: (record.host.oom_score_adj != 0)
            .then(|| i32::try_from(record.host.oom_score_adj).unwrap_or_default()),
        args,
        ..Process::default()
    })
}

/// One more process in the container: what the exec asks for, within what the container has.
pub(crate) fn exec_process(
    record: &Record,
    config: &api::exec::ExecConfig,
    who: &Resolved,
    own_capabilities: &[String],
    hostname: &str,
) -> Result<Process> {
    let mut env = record.config.env.clone();
    env.extend(config.env.iter().cloned());
    let host = HostConfig {
        privileged: record.host.privileged || config.privileged,
        cap_add: record.host.cap_add.clone(),
        cap_drop: record.host.cap_drop.clone(),
        security_opt: record.host.security_opt.clone(),
        ..HostConfig::default()
    };
    let security = Security::parse(&host)?;
    let cwd = if config.working_dir.is_empty() {
        &record.config.working_dir
    } else {
        &config.working_dir
    };
    Ok(Process {
        terminal: config.tty,
        user: user(who),
        args: config.cmd.to_vec(),
        env: environment(record, &env, config.tty, who, hostname),
        cwd: working_dir(cwd),
        capabilities: Some(capabilities(&security, &host, who, own_capabilities)?),
        rlimits: rlimits(&record.host.resources.ulimits, &[])?,
        no_new_privileges: security.no_new_privileges && !config.privileged,
        oom_score_adj: (record.host.oom_score_adj != 0)
            .then(|| i32::try_from(record.host.oom_score_adj).unwrap_or_default()),
        ..Process::default()
    })
}

fn user(who: &Resolved) -> User {
    User {
        uid: who.uid,
        gid: who.gid,
        additional_gids: who.additional_gids.clone(),
        ..User::default()
    }
}

fn working_dir(asked: &str) -> String {
    if asked.is_empty() {
        "/".into()
    } else {
        asked.into()
    }
}

/// PATH, HOSTNAME and TERM of ours, then what image and user set (later wins), then HOME when nobody set it.
/// A bare `NAME` removes a variable.
fn environment(
    record: &Record,
    set: &[String],
    tty: bool,
    who: &Resolved,
    host: &str,
) -> Vec<String> {
    let mut list: Vec<String> = vec![format!("PATH={DEFAULT_PATH}")];
    let own = super::namespaces::hostname(record, host);
    list.push(format!(
        "HOSTNAME={}",
        if own.is_empty() { host } else { &own }
    ));
    if tty {
        list.push("TERM=xterm".into());
    }
    for variable in set {
        let name = variable
            .split_once('=')
            .map_or(variable.as_str(), |(name, _)| name);
        let has_name = |v: &String| v.split_once('=').is_some_and(|(n, _)| n == name);
        match (list.iter().position(has_name), variable.contains('=')) {
            (Some(at), true) => list[at] = variable.clone(),
            (None, true) => list.push(variable.clone()),
            (Some(at), false) => drop(list.remove(at)),
            (None, false) => {}
        }
    }
    if !list.iter().any(|v| v.starts_with("HOME=")) {
        list.push(format!("HOME={}", who.home));
    }
    list
}

/// Capability sets. Inheritable and ambient stay empty (CVE-2022-24769); a user that is not root has only the bounding set.
fn capabilities(
    security: &Security,
    host: &HostConfig,
    who: &Resolved,
    own: &[String],
) -> Result<Capabilities> {
    let bounding = security.capabilities(host, own)?;
    let held = if who.uid == 0 {
        bounding.clone()
    } else {
        Vec::new()
    };
    Ok(Capabilities {
        bounding,
        effective: held.clone(),
        permitted: held,
        ..Capabilities::default()
    })
}

pub(super) fn rlimits(asked: &[Ulimit], defaults: &[(String, i64, i64)]) -> Result<Vec<Rlimit>> {
    let mut list = Vec::new();
    for ulimit in asked {
        list.push(rlimit(&ulimit.name, ulimit.soft, ulimit.hard)?);
    }
    for (name, soft, hard) in defaults {
        if !asked.iter().any(|u| u.name == *name) {
            list.push(rlimit(name, *soft, *hard)?);
        }
    }
    Ok(list)
}

fn rlimit(name: &str, soft: i64, hard: i64) -> Result<Rlimit> {
    const NAMES: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    if !NAMES.contains(&name) {
        return Err(Error::Invalid(format!("invalid ulimit type: {name}")));
    }
    if hard != -1 && (soft > hard || soft == -1) {
        return Err(Error::Invalid(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )));
    }
    // -1 is "unlimited", which the kernel writes as all ones.
    #[expect(clippy::cast_sign_loss, reason = "-1 becomes RLIM_INFINITY on purpose")]
    let value = |limit: i64| limit as u64;
    Ok(Rlimit {
        kind: format!("RLIMIT_{}", name.to_uppercase()),
        soft: value(soft),
        hard: value(hard),
    })
}

/// Who may send pings without rights.
pub(crate) const PING_GROUPS: &str = "net.ipv4.ping_group_range";

/// The asked sysctls, refused where they would reach out of the container, with Docker's two defaults.
pub(crate) fn sysctls(host: &HostConfig, net_is_private: bool) -> Result<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    if net_is_private {
        map.insert("net.ipv4.ip_unprivileged_port_start".into(), "0".into());
        map.insert(PING_GROUPS.into(), "0 2147483647".into());
    }
    for (name, value) in &host.sysctls {
        let in_ipc = name.starts_with("fs.mqueue.")
            || [
                "kernel.msgmax",
                "kernel.msgmnb",
                "kernel.msgmni",
                "kernel.sem",
                "kernel.shmall",
                "kernel.shmmax",
                "kernel.shmmni",
                "kernel.shm_rmid_forced",
            ]
            .contains(&name.as_str());
        let in_net = name.starts_with("net.");
        if in_ipc && host.ipc_mode == "host" {
            return Err(Error::Invalid(format!(
                "sysctl '{name}' not allowed in host ipc namespace"
            )));
        }
        if in_net && host.network_mode == "host" {
            return Err(Error::Invalid(format!(
                "sysctl '{name}' not allowed in host network namespace"
            )));
        }
        if !in_ipc && !in_net && name != "kernel.domainname" {
            return Err(Error::Invalid(format!(
                "sysctl '{name}' is not whitelisted: it is not in a namespace of the container"
            )));
        }
        map.insert(name.clone(), value.clone());
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sysctl_that_reaches_out_of_the_container_is_refused() {
        let with = |name: &str, net: &str| HostConfig {
            sysctls: [(name.to_owned(), "1".to_owned())].into(),
            network_mode: net.into(),
            ..HostConfig::default()
        };
        assert!(sysctls(&with("net.core.somaxconn", "none"), true).is_ok());
        assert!(sysctls(&with("net.core.somaxconn", "host"), false).is_err());
        assert!(sysctls(&with("kernel.panic", "none"), true).is_err());
    }

    #[test]
    fn unlimited_is_all_ones_and_soft_above_hard_is_refused() {
        assert_eq!(rlimit("core", -1, -1).expect("valid").hard, u64::MAX);
        assert!(rlimit("nofile", 20, 10).is_err());
        assert!(rlimit("files", 1, 1).is_err());
    }
}
