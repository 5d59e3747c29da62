//! The bundle: a folder with a `config.json`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use oci::runtime::Spec;

use crate::error::Error;

/// The largest `config.json` that is read.
const MOST_BYTES: u64 = 64 << 20;

/// A bundle that has been read and checked.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) path: PathBuf,
    pub(crate) rootfs: PathBuf,
    pub(crate) spec: Spec,
}

impl Bundle {
    /// Reads a bundle and enters it: relative sources of mounts count from there. `config` is read in the place of its
    /// `config.json`.
    pub(crate) fn enter(folder: Option<&str>, config: Option<PathBuf>) -> Result<Self, Error> {
        let folder = Path::new(folder.unwrap_or("."));
        rustix::process::chdir(folder)
            .map_err(|errno| Error::file("enter the bundle", folder)(errno.into()))?;
        let path = std::env::current_dir().map_err(Error::file("find", folder))?;
        let spec = read(config.as_deref().unwrap_or(Path::new("config.json")))?;
        check(&spec)?;
        let root = spec.root.as_ref().ok_or_else(|| Error::Spec {
            member: "root",
            reason: "it is missing".to_owned(),
        })?;
        let rootfs = path.join(&root.path);
        let is_folder = fs::metadata(&rootfs)
            .map_err(Error::file("stat the rootfs", &rootfs))?
            .is_dir();
        if !is_folder {
            return Err(Error::Spec {
                member: "root.path",
                reason: format!("{} is no folder", rootfs.display()),
            });
        }
        Ok(Self { path, rootfs, spec })
    }
}

fn read(path: &Path) -> Result<Spec, Error> {
    let size = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::NoSpec {
                path: path.to_owned(),
            });
        }
        other => other.map_err(Error::file("stat", path))?.len(),
    };
    if size > MOST_BYTES {
        return Err(Error::Spec {
            member: "config.json",
            reason: format!("it has {size} bytes; {MOST_BYTES} are read at most"),
        });
    }
    let text = fs::read(path).map_err(Error::file("read", path))?;
    crate::json::read(&text, path)
}

/// Spec: OCI runtime, "Specification version": one that is not supported must be refused.
fn check(spec: &Spec) -> Result<(), Error> {
    let major = spec.oci_version.split('.').next();
    let plain = spec.oci_version.split('.').count() >= 3;
    if major != Some("1") || !plain {
        return Err(Error::Spec {
            member: "ociVersion",
            reason: format!(
                "{:?} is not a version that is understood (1.0.0 to {})",
                spec.oci_version,
                oci::runtime::VERSION
            ),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_the_first_major_are_understood() {
        let with = |version: &str| {
            check(&Spec {
                oci_version: version.to_owned(),
                ..Spec::default()
            })
        };
        for good in ["1.0.0", "1.0.2-dev", "1.3.0"] {
            with(good).expect(good);
        }
        for bad in ["", "2.0.0", "0.9.0", "one", "1"] {
            assert!(with(bad).is_err(), "{bad:?}");
        }
    }
}
