//! From `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's `VOLUME`s to one list of mounts, decided once at creation.
//!
//! Pure: the volumes that must exist are made afterwards from the result.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use api::container::{ContainerConfig, HostConfig, Mount};

use super::record::{MountKind, MountRecord};
use crate::error::{Error, Result};

const PROPAGATIONS: [&str; 6] = [
    "private", "rprivate", "shared", "rshared", "slave", "rslave",
];

/// A mount before its volume is made: `source` is empty for volumes.
type Planned = MountRecord;

/// Decides all mounts. `inherited` are the mounts of `--volumes-from` containers, already turned to their mode.
/// Later ways win nothing: one target in two places is an error, except that image volumes and inherited mounts yield.
///
/// # Errors
/// [`Error::Invalid`] in Docker's words.
pub(crate) fn plan(
    config: &ContainerConfig,
    host: &HostConfig,
    inherited: Vec<MountRecord>,
) -> Result<Vec<Planned>> {
    let mut explicit: Vec<Planned> = Vec::new();
    for bind in &host.binds {
        explicit.push(parse_bind(bind)?);
    }
    for mount in &host.mounts {
        explicit.push(parse_mount(mount)?);
    }
    for (target, options) in &host.tmpfs {
        let target = clean_target(target).map_err(Error::Invalid)?;
        explicit.push(tmpfs(&target, options));
    }
    let mut seen = BTreeSet::new();
    for mount in &explicit {
        if !seen.insert(mount.destination.clone()) {
            return Err(Error::Invalid(format!(
                "Duplicate mount point: {}",
                mount.destination
            )));
        }
    }
    let mut list: BTreeMap<String, Planned> = BTreeMap::new();
    for target in config.volumes.keys() {
        let destination = clean_target(target).map_err(|why| wrong_config("volume", &why))?;
        list.insert(destination.clone(), volume(None, &destination));
    }
    for mount in inherited.into_iter().chain(explicit) {
        list.insert(mount.destination.clone(), mount);
    }
    Ok(list.into_values().collect())
}

/// A volume mount as it would be asked for plainly; without a name it is anonymous.
fn volume(name: Option<&str>, destination: &str) -> Planned {
    MountRecord {
        kind: MountKind::Volume,
        volume: name.map(str::to_owned),
        anonymous: name.is_none(),
        source: PathBuf::new(),
        destination: destination.to_owned(),
        writable: true,
        mode: String::new(),
        propagation: String::new(),
        subpath: None,
        tmpfs_options: Vec::new(),
        create_source: false,
        non_recursive: false,
        read_only_non_recursive: false,
        copy_up: true,
    }
}

fn bind(source: &str, destination: &str) -> Planned {
    MountRecord {
        kind: MountKind::Bind,
        source: source.into(),
        propagation: "rprivate".into(),
        anonymous: false,
        copy_up: false,
        ..volume(None, destination)
    }
}

fn tmpfs(destination: &str, options: &str) -> Planned {
    MountRecord {
        kind: MountKind::Tmpfs,
        anonymous: false,
        copy_up: false,
        tmpfs_options: options
            .split(',')
            .filter(|o| !o.is_empty())
            .map(str::to_owned)
            .collect(),
        ..volume(None, destination)
    }
}

/// A mount that says too little, or what cannot be.
fn wrong_config(kind: &str, why: &str) -> Error {
    Error::Invalid(format!("invalid mount config for type {kind:?}: {why}"))
}

/// `[source:]target[:mode]`.
fn parse_bind(text: &str) -> Result<Planned> {
    let bad = || Error::Invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [target] => ("", target, ""),
        [target, mode] if target.starts_with('/') && is_mode(mode) => ("", target, mode),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(bad()),
    };
    if target.is_empty() || (parts.len() > 1 && parts[0].is_empty()) {
        return Err(bad());
    }
    let kind = match source.starts_with('/') {
        true => "bind",
        false => "volume",
    };
    let destination = clean_target(target).map_err(|why| {
        let cause = wrong_config(kind, &why);
        Error::Invalid(format!("{}: {cause}", bad()))
    })?;
    let mut mount = match source {
        "" => volume(None, &destination),
        _ if source.starts_with('/') => MountRecord {
            create_source: true,
            ..bind(source, &destination)
        },
        _ => volume(Some(volume_name(source)?), &destination),
    };
    mount.mode = mode.to_owned();
    for word in mode.split(',').filter(|w| !w.is_empty()) {
        match word {
            "rw" => mount.writable = true,
            "ro" => mount.writable = false,
            "nocopy" if mount.kind == MountKind::Volume => mount.copy_up = false,
            // SELinux labels and macOS consistency: accepted, without effect where there is neither.
            "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            _ if PROPAGATIONS.contains(&word) && mount.kind == MountKind::Bind => {
                mount.propagation = word.into()
            }
            _ => return Err(Error::Invalid(format!("invalid mode: {mode}"))),
        }
    }
    Ok(mount)
}

fn parse_mount(asked: &Mount) -> Result<Planned> {
    let bad = |why: &str| wrong_config(&asked.kind, why);
    if !["bind", "volume", "tmpfs"].contains(&asked.kind.as_str()) {
        return Err(bad("mount type unknown"));
    }
    if asked.target.is_empty() {
        return Err(bad("field Target must not be empty"));
    }
    let destination = clean_target(&asked.target).map_err(|why| bad(&why))?;
    let mut mount = match asked.kind.as_str() {
        "bind" => {
            if asked.source.is_empty() {
                return Err(bad("field Source must not be empty"));
            }
            if !asked.source.starts_with('/') {
                return Err(bad(&format!(
                    "invalid mount path: '{}' mount path must be absolute",
                    asked.source
                )));
            }
            let mut mount = bind(&asked.source, &destination);
            if let Some(options) = &asked.bind_options {
                if !options.propagation.is_empty() {
                    if !PROPAGATIONS.contains(&options.propagation.as_str()) {
                        return Err(bad(&format!(
                            "invalid propagation mode: {}",
                            options.propagation
                        )));
                    }
                    mount.propagation.clone_from(&options.propagation);
                }
                mount.non_recursive = options.non_recursive;
                mount.create_source = options.create_mountpoint;
                mount.read_only_non_recursive = options.read_only_non_recursive;
            }
            mount
        }
        "volume" => {
            let name = (!asked.source.is_empty())
                .then(|| volume_name(&asked.source))
                .transpose()?;
            let mut mount = volume(name, &destination);
            if let Some(options) = &asked.volume_options {
                mount.copy_up = !options.no_copy;
                mount.subpath = (!options.subpath.is_empty()).then(|| options.subpath.clone());
            }
            mount
        }
        _ => {
            if !asked.source.is_empty() {
                return Err(bad("field Source must not be specified"));
            }
            let mut mount = tmpfs(&destination, "");
            if let Some(options) = &asked.tmpfs_options {
                if options.size_bytes > 0 {
                    mount
                        .tmpfs_options
                        .push(format!("size={}", options.size_bytes));
                }
                if options.mode != 0 {
                    mount.tmpfs_options.push(format!("mode={:o}", options.mode));
                }
                mount
                    .tmpfs_options
                    .extend(options.options.iter().map(|pair| pair.join("=")));
            }
            mount
        }
    };
    mount.writable = !asked.read_only;
    Ok(mount)
}

fn volume_name(name: &str) -> Result<&str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let bytes = name.as_bytes();
    if bytes.len() > 1 && bytes[0].is_ascii_alphanumeric() && bytes.iter().all(|&b| legal(b)) {
        return Ok(name);
    }
    Err(Error::Invalid(format!(
        "create {name}: {name:?} includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

/// Whether `-v` takes these words for a mode, not for a target.
fn is_mode(mode: &str) -> bool {
    let words = [
        "rw",
        "ro",
        "nocopy",
        "z",
        "Z",
        "consistent",
        "cached",
        "delegated",
    ];
    mode.split(',')
        .all(|word| words.contains(&word) || PROPAGATIONS.contains(&word))
}

/// The target as an absolute path without `.`, `..` and doubled slashes; never the root itself. An error is why not.
fn clean_target(target: &str) -> std::result::Result<String, String> {
    if !target.starts_with('/') {
        return Err(format!(
            "invalid mount path: '{target}' mount path must be absolute"
        ));
    }
    let mut clean = PathBuf::from("/");
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    if clean == Path::new("/") {
        return Err("invalid specification: destination can't be '/'".into());
    }
    Ok(clean.to_string_lossy().into_owned())
}

/// The mounts of another container as `--volumes-from ID[:mode]` takes them over.
///
/// # Errors
/// [`Error::Invalid`] for a mode that is none.
pub(crate) fn inherit(of: &[MountRecord], mode: Option<&str>) -> Result<Vec<MountRecord>> {
    let writable = match mode {
        None | Some("rw" | "z" | "Z") => None,
        Some("ro") => Some(false),
        Some(other) => return Err(Error::Invalid(format!("invalid mode: {other}"))),
    };
    Ok(of
        .iter()
        .filter(|m| m.kind != MountKind::Tmpfs)
        .map(|m| MountRecord {
            writable: writable.unwrap_or(m.writable),
            // The volume belongs to the other container: `rm -v` of this one leaves it.
            anonymous: false,
            copy_up: false,
            ..m.clone()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(binds: &[&str]) -> Result<Vec<Planned>> {
        let host = HostConfig {
            binds: binds.iter().map(|&b| b.to_owned()).collect(),
            ..HostConfig::default()
        };
        plan(&ContainerConfig::default(), &host, Vec::new())
    }

    #[test]
    fn the_forms_of_v() {
        let list =
            planned(&["/host:/a:ro,rshared", "data:/b", "/c", "data:/d:nocopy"]).expect("valid");
        let of = |at: &str| {
            list.iter()
                .find(|m| m.destination == at)
                .expect("planned")
                .clone()
        };
        assert_eq!(
            (of("/a").kind, of("/a").writable, &*of("/a").propagation),
            (MountKind::Bind, false, "rshared")
        );
        assert_eq!(
            (of("/b").kind, of("/b").volume.as_deref(), of("/b").copy_up),
            (MountKind::Volume, Some("data"), true)
        );
        assert!(of("/c").anonymous);
        assert!(!of("/d").copy_up);
    }

    #[test]
    fn wrong_forms_are_refused() {
        for bind in [
            "",
            ":",
            "a:b",
            "/a:/b:bogus",
            "/a:/",
            "x/y:/b",
            "/a:/b:ro:z",
            "a:/x",
        ] {
            assert!(planned(&[bind]).is_err(), "{bind:?}");
        }
        assert!(
            planned(&["/a:/t", "/b:/t/"]).is_err(),
            "two mounts on one target"
        );
    }

    #[test]
    fn a_refusal_names_the_kind_that_was_asked_for() {
        let check = |bind: &str, expect: &str| {
            let error = planned(&[bind]).expect_err(bind).to_string();
            assert!(error.ends_with(expect), "{error}");
        };
        check(
            "data:b",
            "'data:b': invalid mount config for type \"volume\": invalid mount path: 'b' mount path must be absolute",
        );
        check(
            "/a:/",
            "'/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        );
        check("/a:/b:bogus", "invalid mode: bogus");
        check("/a:/b:ro:z", "invalid volume specification: '/a:/b:ro:z'");
    }

    #[test]
    fn targets_are_cleaned() {
        assert_eq!(
            planned(&["/a:/x/../y//z/."]).expect("valid")[0].destination,
            "/y/z"
        );
    }

    #[test]
    fn an_explicit_mount_hides_the_images_volume() {
        let config = ContainerConfig {
            volumes: [("/data".to_owned(), Default::default())].into(),
            ..ContainerConfig::default()
        };
        let host = HostConfig {
            binds: vec!["/h:/data".into()],
            ..HostConfig::default()
        };
        let list = plan(&config, &host, Vec::new()).expect("valid");
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].kind, MountKind::Bind);
    }
}
