//! Devices of the driver `local`: options `type`, `device` and `o`, mounted on `_data` while the volume is used.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::net::IpAddr;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount as sys_mount, mount_change,
    mount_remount, unmount as sys_unmount,
};

use crate::error::{Error, Result};
use crate::name::VolumeName;
use crate::record::Volume;

/// Checks the options of a volume to be made.
pub(crate) fn check(name: &VolumeName, options: &BTreeMap<String, String>) -> Result<()> {
    let name = || name.to_string();
    for (option, value) in options {
        match option.as_str() {
            "type" | "device" | "o" => {}
            "size" => return Err(Error::Quota { name: name() }),
            _ => {
                return Err(Error::Option {
                    name: name(),
                    option: option.clone(),
                });
            }
        }
        if value.contains('\0') {
            return Err(Error::Option {
                name: name(),
                option: option.clone(),
            });
        }
    }
    for (option, needs) in [
        ("device", "type"),
        ("type", "device"),
        ("o", "device"),
        ("o", "type"),
    ] {
        if options.contains_key(option) && !options.contains_key(needs) {
            return Err(Error::MissingOption {
                name: name(),
                option: needs,
            });
        }
    }
    Ok(())
}

/// Mounts the device of a volume that has one and is not mounted yet.
pub(crate) fn mount(volume: &Volume) -> Result<()> {
    let Some(device) = volume.options.get("device") else {
        return Ok(());
    };
    let target = &volume.mountpoint;
    if is_mounted(target) {
        return Ok(());
    }
    let kind = volume.options.get("type").map_or("", String::as_str);
    let options = Options::parse(volume.options.get("o").map_or("", String::as_str));
    if let Some(address) = options.host_name(kind) {
        return Err(Error::Address {
            name: volume.name.to_string(),
            address: address.to_owned(),
        });
    }
    let failed = |errno: Errno| Error::Mount {
        device: device.clone(),
        target: target.clone(),
        flags: u64::from(options.flags.bits()),
        data: options.data.clone(),
        source: errno.into(),
    };
    let data = CString::new(options.data.as_str()).map_err(|_| failed(Errno::INVAL))?;
    sys_mount(
        device.as_str(),
        target,
        kind,
        options.flags,
        Some(data.as_c_str()),
    )
    .map_err(failed)?;
    if let Err(errno) = finish(target, &options) {
        // Half mounted is not mounted; the first error is the one to tell.
        let _ = sys_unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        return Err(failed(errno));
    }
    Ok(())
}

/// A bind mount takes its other flags only afterwards, and the propagation is always a call of its own.
fn finish(target: &Path, options: &Options) -> rustix::io::Result<()> {
    let others = options.flags - MountFlags::BIND - MountFlags::REC;
    if options.flags.contains(MountFlags::BIND) && !others.is_empty() {
        mount_remount(target, others | MountFlags::BIND, "")?;
    }
    let propagation = options
        .propagation
        .unwrap_or(MountPropagationFlags::PRIVATE);
    mount_change(target, propagation)
}

/// Unmounts the device of a volume that has one and is mounted.
pub(crate) fn unmount(volume: &Volume) -> Result<()> {
    if !volume.has_device() || !is_mounted(&volume.mountpoint) {
        return Ok(());
    }
    // Containers have mounts of their own; only this name goes, however busy.
    sys_unmount(
        &volume.mountpoint,
        UnmountFlags::DETACH | UnmountFlags::NOFOLLOW,
    )
    .map_err(|errno| Error::Unmount {
        name: volume.name.to_string(),
        source: errno.into(),
    })
}

/// Whether something is mounted at this very path. See statx(2), STATX_ATTR_MOUNT_ROOT, Linux 5.8.
pub(crate) fn is_mounted(path: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(CWD, path, flags, StatxFlags::empty())
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// The option `o`, split into what the kernel takes as flags and what the file system reads itself.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    flags: MountFlags,
    propagation: Option<MountPropagationFlags>,
    data: String,
}

impl Options {
    fn parse(text: &str) -> Options {
        let mut options = Options {
            flags: MountFlags::empty(),
            propagation: None,
            data: String::new(),
        };
        for word in text.split(',').filter(|word| !word.is_empty()) {
            if let Some((flag, set)) = flag(word) {
                options.flags.set(flag, set);
            } else if let Some(propagation) = propagation(word) {
                options.propagation = Some(propagation);
            } else {
                if !options.data.is_empty() {
                    options.data.push(',');
                }
                options.data.push_str(word);
            }
        }
        options
    }

    /// The host name of a file server; the kernel takes only addresses.
    fn host_name(&self, kind: &str) -> Option<&str> {
        if !kind.starts_with("nfs") && kind != "cifs" {
            return None;
        }
        let address = self
            .data
            .split(',')
            .find_map(|word| word.strip_prefix("addr="))?;
        address.parse::<IpAddr>().is_err().then_some(address)
    }
}

fn flag(word: &str) -> Option<(MountFlags, bool)> {
    // MS_REC is no flag of a mount, but rides along with a bind.
    let rbind = MountFlags::BIND | MountFlags::REC;
    Some(match word {
        "defaults" | "loud" => (MountFlags::empty(), true),
        "ro" => (MountFlags::RDONLY, true),
        "rw" => (MountFlags::RDONLY, false),
        "suid" => (MountFlags::NOSUID, false),
        "nosuid" => (MountFlags::NOSUID, true),
        "dev" => (MountFlags::NODEV, false),
        "nodev" => (MountFlags::NODEV, true),
        "exec" => (MountFlags::NOEXEC, false),
        "noexec" => (MountFlags::NOEXEC, true),
        "sync" => (MountFlags::SYNCHRONOUS, true),
        "async" => (MountFlags::SYNCHRONOUS, false),
        "dirsync" => (MountFlags::DIRSYNC, true),
        "atime" => (MountFlags::NOATIME, false),
        "noatime" => (MountFlags::NOATIME, true),
        "diratime" => (MountFlags::NODIRATIME, false),
        "nodiratime" => (MountFlags::NODIRATIME, true),
        "relatime" => (MountFlags::RELATIME, true),
        "norelatime" => (MountFlags::RELATIME, false),
        "strictatime" => (MountFlags::STRICTATIME, true),
        "nostrictatime" => (MountFlags::STRICTATIME, false),
        "bind" => (MountFlags::BIND, true),
        "rbind" => (rbind, true),
        _ => return None,
    })
}

fn propagation(word: &str) -> Option<MountPropagationFlags> {
    use MountPropagationFlags as Flags;
    Some(match word {
        "private" => Flags::PRIVATE,
        "rprivate" => Flags::PRIVATE | Flags::REC,
        "shared" => Flags::SHARED,
        "rshared" => Flags::SHARED | Flags::REC,
        "slave" => Flags::DOWNSTREAM,
        "rslave" => Flags::DOWNSTREAM | Flags::REC,
        "unbindable" => Flags::UNBINDABLE,
        "runbindable" => Flags::UNBINDABLE | Flags::REC,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_into_flags_and_data() {
        let options = Options::parse("ro,nosuid,size=1m,suid,uid=1000,rshared");
        assert_eq!(options.flags, MountFlags::RDONLY);
        assert_eq!(options.data, "size=1m,uid=1000");
        assert_eq!(
            options.propagation,
            Some(MountPropagationFlags::SHARED | MountPropagationFlags::REC)
        );
    }

    #[test]
    fn file_servers_are_named_by_address() {
        assert_eq!(
            Options::parse("addr=nas.local,rw").host_name("nfs"),
            Some("nas.local")
        );
        assert_eq!(Options::parse("addr=10.0.0.5,rw").host_name("nfs4"), None);
        assert_eq!(Options::parse("addr=x").host_name("ext4"), None);
    }

    #[test]
    fn options_that_need_others_say_so() {
        let name = VolumeName::parse("vol").expect("a name");
        let check = |options: &[(&str, &str)]| {
            let options = options
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            check(&name, &options).map_err(|error| error.to_string())
        };
        assert_eq!(
            check(&[("type", "tmpfs")]),
            Err("create vol: missing required option: \"device\"".to_owned())
        );
        assert_eq!(
            check(&[("colour", "red")]),
            Err("create vol: invalid option: \"colour\"".to_owned())
        );
        assert_eq!(
            check(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]),
            Ok(())
        );
    }
}
