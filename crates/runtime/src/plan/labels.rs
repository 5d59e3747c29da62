//! Labels of security modules that a spec may only ask for where the kernel has the module.

use std::fs;

use oci::runtime::{Linux, Process};

use crate::error::Error;

/// `SELINUX_MAGIC`.
const SELINUX: i64 = 0xf97c_ff8c;

/// Refuses labels that nobody would enforce.
pub(crate) fn check(process: &Process, linux: &Linux) -> Result<(), Error> {
    let asked = [
        ("process.selinuxLabel", &process.selinux_label),
        ("linux.mountLabel", &linux.mount_label),
    ];
    for (member, label) in asked {
        if !label.is_empty() && !has_selinux() {
            return Err(Error::invalid(
                member,
                "selinux label is specified in config, but selinux is disabled or not supported",
            ));
        }
    }
    if !process.apparmor_profile.is_empty() && !has_apparmor() {
        return Err(Error::invalid(
            "process.apparmorProfile",
            "apparmor: config provided but apparmor not supported",
        ));
    }
    Ok(())
}

/// Whether the kernel has SELinux, and somebody has set it up.
fn has_selinux() -> bool {
    rustix::fs::statfs("/sys/fs/selinux").is_ok_and(|found| found.f_type == SELINUX)
}

/// Whether the kernel has AppArmor, and it is on.
fn has_apparmor() -> bool {
    fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_refused_where_nobody_enforces_it() {
        let process = Process {
            apparmor_profile: "some".to_owned(),
            ..Process::default()
        };
        assert_eq!(check(&process, &Linux::default()).is_ok(), has_apparmor());
        let linux = Linux {
            mount_label: "system_u:object_r:container_file_t:s0".to_owned(),
            ..Linux::default()
        };
        assert_eq!(check(&Process::default(), &linux).is_ok(), has_selinux());
        check(&Process::default(), &Linux::default()).expect("nothing is asked for");
    }
}
