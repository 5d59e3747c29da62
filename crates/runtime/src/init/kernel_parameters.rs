//! Kernel parameters of the container's namespaces.

use std::path::PathBuf;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};

use crate::failure::{Failure, Step, Tried};

/// `PROC_SUPER_MAGIC`.
const PROC: i64 = 0x9fa0;

/// Writes them through the host's own procfs, whose namespaced files show the namespaces of whoever opens them: the
/// container's root cannot put anything else in their place (CVE-2025-52881).
pub(super) fn write(parameters: &[(PathBuf, &str)]) -> Step {
    if parameters.is_empty() {
        return Ok(());
    }
    let folder = openat(
        CWD,
        c"/proc/sys",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .tried(|| "open /proc/sys".to_owned())?;
    if rustix::fs::fstatfs(&folder)
        .tried(|| "look at /proc/sys".to_owned())?
        .f_type as i64
        != PROC
    {
        return Err(Failure::new("/proc/sys is not in a procfs"));
    }
    for (path, value) in parameters {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = sys::open::openat2(&folder, path, flags, Mode::empty(), resolve)
            .tried(|| format!("open sysctl {}", path.display()))?;
        rustix::io::write(&file, value.as_bytes())
            .tried(|| format!("write sysctl {} = {value:?}", path.display()))?;
    }
    Ok(())
}
