//! Labels of security modules that the program is executed under.

use std::fs::File;
use std::io::Write;

use crate::failure::{Step, Tried};
use crate::plan::ProcessPlan;

/// Files of our own process, opened while the host's /proc is there: the container's could be anything
/// (CVE-2019-16884).
#[derive(Debug, Default)]
pub(super) struct Labels {
    apparmor: Option<File>,
    selinux: Option<File>,
}

/// Opens what the plan needs.
pub(super) fn open(process: &ProcessPlan<'_>) -> Step<Labels> {
    let file = |path: &str| {
        File::options()
            .write(true)
            .open(path)
            .tried(|| format!("open {path}"))
    };
    let mut labels = Labels::default();
    if !process.apparmor.is_empty() {
        // The place of its own, Linux 5.8; the shared one before that.
        let own = file("/proc/self/attr/apparmor/exec");
        labels.apparmor = Some(own.or_else(|_| file("/proc/self/attr/exec"))?);
    }
    if !process.selinux.is_empty() {
        labels.selinux = Some(file("/proc/self/attr/exec")?);
    }
    Ok(labels)
}

/// Sets them; they take effect at the exec.
pub(super) fn set(labels: Labels, process: &ProcessPlan<'_>) -> Step {
    if let Some(mut file) = labels.apparmor {
        file.write_all(format!("exec {}", process.apparmor).as_bytes())
            .tried(|| format!("apply apparmor profile {:?}", process.apparmor))?;
    }
    if let Some(mut file) = labels.selinux {
        file.write_all(process.selinux.as_bytes())
            .tried(|| format!("apply selinux label {:?}", process.selinux))?;
    }
    Ok(())
}
