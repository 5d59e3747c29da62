//! Labels of security modules that the program is executed under.

use std::fs::File;
use std::io::Write;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat};

use crate::failure::{Failure, Step, Tried};
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

/// `PROC_SUPER_MAGIC`, and the number of a procfs's own folder.
const PROC: (i64, u64) = (0x9fa0, 1);

/// The same inside a container that others have had in their hands: through its /proc, if that is a procfs, and through
/// nothing that is mounted or linked in it (CVE-2025-52881).
pub(super) fn open_inside(process: &ProcessPlan<'_>) -> Step<Labels> {
    if process.apparmor.is_empty() && process.selinux.is_empty() {
        return Ok(Labels::default());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = openat(CWD, c"/proc", flags, Mode::empty()).tried(|| "open /proc".to_owned())?;
    let system = fstatfs(&proc).tried(|| "look at /proc".to_owned())?;
    let stat = fstat(&proc).tried(|| "look at /proc".to_owned())?;
    if (system.f_type as i64, stat.st_ino) != PROC {
        return Err(Failure::new("/proc is not a procfs"));
    }
    let file = |path: &str| {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        sys::open::openat2(&proc, path, flags, Mode::empty(), resolve)
            .map(File::from)
            .tried(|| format!("open /proc/{path}"))
    };
    let mut labels = Labels::default();
    if !process.apparmor.is_empty() {
        let own = file("self/attr/apparmor/exec");
        labels.apparmor = Some(own.or_else(|_| file("self/attr/exec"))?);
    }
    if !process.selinux.is_empty() {
        labels.selinux = Some(file("self/attr/exec")?);
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
