//! The program and its rights, laid out for the child.

use std::ffi::CString;

use oci::runtime::{Linux, LinuxSeccomp, Process};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{Gid, Uid};

use super::capability::{self, Rights};
use super::schedule::{self, Schedule};
use crate::error::Error;
use crate::listener;

/// What runs, as whom, with which rights; for `create` and for `exec`.
#[derive(Debug)]
pub(crate) struct ProcessPlan<'a> {
    pub(crate) args: Vec<CString>,
    pub(crate) env: Vec<CString>,
    /// `PATH` of `env`.
    pub(crate) path: &'a str,
    pub(crate) has_home: bool,
    /// The program as given, for messages.
    pub(crate) program: &'a str,
    pub(crate) cwd: &'a str,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Vec<Gid>,
    pub(crate) umask: u32,
    pub(crate) rights: Rights,
    pub(crate) no_new_privileges: bool,
    pub(crate) rlimits: Vec<(Resource, Rlimit, &'a str)>,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) schedule: Schedule,
    pub(crate) personality: Option<u32>,
    pub(crate) seccomp: Option<(&'a [u8], sys::seccomp::Flags)>,
    pub(crate) apparmor: &'a str,
    pub(crate) selinux: &'a str,
    pub(crate) console_size: Option<(u16, u16)>,
}

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl<'a> ProcessPlan<'a> {
    pub(crate) fn new(
        process: &'a Process,
        linux: &'a Linux,
        seccomp: Option<&'a [u8]>,
        user_namespace: bool,
    ) -> Result<Self, Error> {
        let program = process
            .args
            .first()
            .ok_or_else(|| Error::invalid("process.args", "it is empty"))?;
        if !process.cwd.starts_with('/') {
            return Err(Error::invalid(
                "process.cwd",
                format!("{:?} is not an absolute path", process.cwd),
            ));
        }
        super::labels::check(process, linux)?;
        // In a user namespace of its own the process begins with every capability.
        let available = if user_namespace {
            u64::MAX
        } else {
            sys::caps::get()
                .map_err(|error| Error::Spawn {
                    what: "read our own capabilities",
                    source: error.into(),
                })?
                .permitted
        };
        let value_of = |name: &str| {
            process
                .env
                .iter()
                .rev()
                .find_map(|each| each.strip_prefix(name)?.strip_prefix('='))
        };
        Ok(Self {
            args: c_strings("process.args", &process.args)?,
            env: c_strings("process.env", &process.env)?,
            path: value_of("PATH").unwrap_or(DEFAULT_PATH),
            has_home: value_of("HOME").is_some(),
            program,
            cwd: &process.cwd,
            uid: Uid::from_raw(process.user.uid),
            gid: Gid::from_raw(process.user.gid),
            groups: process
                .user
                .additional_gids
                .iter()
                .map(|gid| Gid::from_raw(*gid))
                .collect(),
            umask: process.user.umask.unwrap_or(0o022),
            rights: capability::rights(process.capabilities.as_ref(), available),
            no_new_privileges: process.no_new_privileges,
            rlimits: rlimits(process)?,
            oom_score_adj: process.oom_score_adj,
            schedule: schedule::plan(process, linux)?,
            personality: personality(linux)?,
            seccomp: match seccomp {
                Some(program) => Some((program, seccomp_flags(linux, program)?)),
                None => None,
            },
            apparmor: &process.apparmor_profile,
            selinux: &process.selinux_label,
            console_size: process.console_size.map(|size| (size.height, size.width)),
        })
    }
}

fn c_strings(member: &str, strings: &[String]) -> Result<Vec<CString>, Error> {
    strings
        .iter()
        .map(|each| {
            CString::new(each.as_str())
                .map_err(|_| Error::invalid(member, format!("{each:?} holds a zero byte")))
        })
        .collect()
}

fn rlimits(process: &Process) -> Result<Vec<(Resource, Rlimit, &str)>, Error> {
    let limit = |value: u64| (value != u64::MAX).then_some(value);
    process
        .rlimits
        .iter()
        .map(|each| {
            let resource = resource(&each.kind).ok_or_else(|| {
                Error::invalid("process.rlimits", format!("unknown type {:?}", each.kind))
            })?;
            let value = Rlimit {
                current: limit(each.soft),
                maximum: limit(each.hard),
            };
            Ok((resource, value, each.kind.as_str()))
        })
        .collect()
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name.strip_prefix("RLIMIT_")? {
        "AS" => Resource::As,
        "CORE" => Resource::Core,
        "CPU" => Resource::Cpu,
        "DATA" => Resource::Data,
        "FSIZE" => Resource::Fsize,
        "LOCKS" => Resource::Locks,
        "MEMLOCK" => Resource::Memlock,
        "MSGQUEUE" => Resource::Msgqueue,
        "NICE" => Resource::Nice,
        "NOFILE" => Resource::Nofile,
        "NPROC" => Resource::Nproc,
        "RSS" => Resource::Rss,
        "RTPRIO" => Resource::Rtprio,
        "RTTIME" => Resource::Rttime,
        "SIGPENDING" => Resource::Sigpending,
        "STACK" => Resource::Stack,
        _ => return None,
    })
}

fn personality(linux: &Linux) -> Result<Option<u32>, Error> {
    let wanted = linux.personality.as_ref();
    if let Some(flag) = wanted.and_then(|each| each.flags.first()) {
        return Err(Error::invalid(
            "linux.personality",
            format!("unknown flag {flag:?}: the specification has none yet"),
        ));
    }
    match wanted.map(|each| each.domain.as_str()) {
        None => Ok(None),
        Some("LINUX") => Ok(Some(0)),
        Some("LINUX32") => Ok(Some(sys::process::PER_LINUX32)),
        Some(other) => Err(Error::invalid(
            "linux.personality",
            format!("unknown domain {other:?}"),
        )),
    }
}

fn seccomp_flags(linux: &Linux, program: &[u8]) -> Result<sys::seccomp::Flags, Error> {
    use sys::seccomp::Flags;
    let Some(profile) = &linux.seccomp else {
        return Ok(Flags::empty());
    };
    let asks = listener::is_asked_by(program);
    if asks && profile.listener_path.is_empty() {
        return Err(Error::invalid(
            "linux.seccomp.listenerPath",
            "it is missing, and SCMP_ACT_NOTIFY asks whoever listens there",
        ));
    }
    if profile.listener_path.is_empty() && !profile.listener_metadata.is_empty() {
        return Err(Error::invalid(
            "linux.seccomp.listenerMetadata",
            "it is for the listener of listenerPath, which is missing",
        ));
    }
    let flags = named_flags(profile)?;
    Ok(match asks {
        true => flags | Flags::NEW_LISTENER,
        // The kernel takes it only beside a listener.
        false => flags - Flags::WAIT_KILLABLE_RECV,
    })
}

fn named_flags(profile: &LinuxSeccomp) -> Result<sys::seccomp::Flags, Error> {
    use sys::seccomp::Flags;
    if profile.flags.is_empty() {
        // As other runtimes do: the mitigation costs much and guards against a sandbox in one process only.
        return Ok(Flags::SPEC_ALLOW);
    }
    profile
        .flags
        .iter()
        .try_fold(Flags::empty(), |flags, name| {
            Ok(flags
                | match name.as_str() {
                    // With one thread there is nothing to synchronise.
                    "SECCOMP_FILTER_FLAG_TSYNC" => Flags::empty(),
                    "SECCOMP_FILTER_FLAG_LOG" => Flags::LOG,
                    "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Flags::SPEC_ALLOW,
                    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => Flags::WAIT_KILLABLE_RECV,
                    other => {
                        return Err(Error::invalid(
                            "linux.seccomp.flags",
                            format!("unknown flag {other:?}"),
                        ));
                    }
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> Process {
        Process {
            args: vec!["sh".to_owned()],
            cwd: "/".to_owned(),
            ..Process::default()
        }
    }

    fn refused(process: &Process) -> String {
        fault::chain(
            &ProcessPlan::new(process, &Linux::default(), None, false).expect_err("refused"),
        )
    }

    #[test]
    fn the_last_path_of_the_environment_counts() {
        let mut process = process();
        process.env = vec![
            "PATH=/a".to_owned(),
            "PATHS=/x".to_owned(),
            "PATH=/b".to_owned(),
        ];
        let linux = Linux::default();
        let plan = ProcessPlan::new(&process, &linux, None, false).expect("valid");
        assert_eq!((plan.path, plan.has_home), ("/b", false));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let mut none = process();
        none.args.clear();
        assert_eq!(refused(&none), "invalid process.args: it is empty");
        let mut relative = process();
        relative.cwd = "x".to_owned();
        assert!(refused(&relative).starts_with("invalid process.cwd"));
        let mut zero = process();
        zero.env = vec!["A=\0".to_owned()];
        assert!(refused(&zero).starts_with("invalid process.env"));
        let mut limit = process();
        limit.rlimits = vec![oci::runtime::Rlimit {
            kind: "RLIMIT_LUCK".to_owned(),
            hard: 1,
            soft: 1,
        }];
        assert!(refused(&limit).contains("RLIMIT_LUCK"));
    }
}
