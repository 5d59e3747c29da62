//! Owner, mode, extended attributes and times, set in the order in which none undoes another: chown clears setuid
//! and capabilities, chmod reshapes an ACL, and each of them touches the change time.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::{self, Errno};

use super::Options;
use crate::tar::{Entry, Time};

/// What an entry says about the thing it makes.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) mtime: Time,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What is known of new things before they are touched, so that needless calls can be left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    /// Permission bits that creation takes away; `None` if that cannot be told (a default ACL).
    pub(super) umask: Option<u32>,
    /// Who owns what is created; `None` if that cannot be told.
    pub(super) owner: Option<(u32, u32)>,
}

/// A step that failed, in words for the error.
pub(super) type Failed = (&'static str, Errno);

impl Attributes {
    pub(super) fn of(entry: &Entry, options: &Options<'_>) -> Self {
        let (uid, gid) = options.owner.unwrap_or((entry.uid, entry.gid));
        let (uid_shift, gid_shift) = options.shift;
        Self {
            mode: entry.mode,
            owner: (uid.saturating_add(uid_shift), gid.saturating_add(gid_shift)),
            mtime: entry.mtime,
            xattrs: entry.xattrs.clone(),
        }
    }
}

impl Defaults {
    /// Asks the thread's umask, and whether things made in `dest` inherit a group or an ACL.
    pub(super) fn look(dest: BorrowedFd<'_>, is_fresh: bool) -> io::Result<Self> {
        if !is_fresh {
            return Ok(Self {
                umask: None,
                owner: None,
            });
        }
        let has_acl = rustix::fs::fgetxattr(dest, c"system.posix_acl_default", &mut [0; 0]).is_ok();
        let inherits_group = rustix::fs::fstat(dest)?.st_mode & 0o2000 != 0;
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        Ok(Self {
            umask: if has_acl { None } else { umask() },
            owner: (!inherits_group).then_some((uid, gid)),
        })
    }

    pub(super) fn needs_owner(&self, owner: (u32, u32)) -> bool {
        self.owner != Some(owner)
    }

    /// Whether a thing created with `asked` needs chmod to get `mode`.
    pub(super) fn needs_mode(&self, asked: u32, mode: u32) -> bool {
        self.umask
            .is_none_or(|umask| asked & 0o777 & !umask != mode)
    }
}

/// The umask can only be read by setting it, or here; without /proc it counts as unknown.
fn umask() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// Sets all on an open file or folder that was created with the mode `asked`.
pub(super) fn set_open(
    fd: BorrowedFd<'_>,
    asked: u32,
    attributes: &Attributes,
    defaults: Defaults,
) -> Result<(), Failed> {
    if defaults.needs_owner(attributes.owner) {
        let (uid, gid) = ids(attributes.owner);
        rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(|e| ("set owner", e))?;
    }
    if defaults.needs_mode(asked, attributes.mode) {
        let mode = Mode::from_raw_mode(attributes.mode);
        rustix::fs::fchmod(fd, mode).map_err(|e| ("set mode", e))?;
    }
    for (name, value) in wanted(&attributes.xattrs) {
        let set = rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty());
        tolerate(set).map_err(|e| ("set extended attribute", e))?;
    }
    rustix::fs::futimens(fd, &times(attributes.mtime)).map_err(|e| ("set time", e))
}

/// Sets all through an `O_PATH` handle, so for what cannot be opened: symlinks (whose mode is nobody's), devices, FIFOs.
///
/// Mode and extended attributes go by the handle's name in /proc: that names this very file, whatever stands at its
/// path by now, and a handle on a symlink is not followed.
pub(super) fn set_handle(
    handle: BorrowedFd<'_>,
    is_symlink: bool,
    attributes: &Attributes,
    defaults: Defaults,
) -> Result<(), Failed> {
    let here = AtFlags::EMPTY_PATH;
    if defaults.needs_owner(attributes.owner) {
        let (uid, gid) = ids(attributes.owner);
        rustix::fs::chownat(handle, c"", Some(uid), Some(gid), here)
            .map_err(|e| ("set owner", e))?;
    }
    let name = || format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    if !is_symlink && defaults.needs_mode(attributes.mode, attributes.mode) {
        let mode = Mode::from_raw_mode(attributes.mode);
        rustix::fs::chmod(name(), mode).map_err(|e| ("set mode", e))?;
    }
    for (key, value) in wanted(&attributes.xattrs) {
        let set = rustix::fs::setxattr(name(), key, value, XattrFlags::empty());
        tolerate(set).map_err(|e| ("set extended attribute", e))?;
    }
    rustix::fs::utimensat(handle, c"", &times(attributes.mtime), here).map_err(|e| ("set time", e))
}

/// Attributes that belong to the file. Overlay's own would let a layer pose as something else; labels of security
/// modules belong to the host.
fn wanted(xattrs: &[(Vec<u8>, Vec<u8>)]) -> impl Iterator<Item = (&[u8], &[u8])> {
    xattrs
        .iter()
        .map(|(name, value)| (&name[..], &value[..]))
        .filter(|(name, _)| is_portable(name))
}

/// Whether an attribute may travel in an archive.
pub(crate) fn is_portable(name: &[u8]) -> bool {
    let is_overlay = name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
    let is_known = [&b"user."[..], b"trusted.", b"system.posix_acl_"]
        .iter()
        .any(|space| name.starts_with(space));
    !is_overlay && (is_known || name == b"security.capability")
}

/// A file system without attributes, or a kind of file that cannot have them, is no reason to refuse an image.
fn tolerate(set: io::Result<()>) -> io::Result<()> {
    match set {
        Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        other => other,
    }
}

fn ids((uid, gid): (u32, u32)) -> (Uid, Gid) {
    (Uid::from_raw(uid), Gid::from_raw(gid))
}

fn times(mtime: Time) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.secs,
        tv_nsec: i64::from(mtime.nanos),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
