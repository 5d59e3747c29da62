//! Names of units out of a spec's `cgroupsPath`.

use crate::error::{Error, Result};

/// A scope, and the slice that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    slice: String,
    name: String,
}

/// Where containers are that name no slice.
const DEFAULT_SLICE: &str = "system.slice";

impl Unit {
    /// Reads `SLICE:PREFIX:NAME`, which is the scope `PREFIX-NAME.scope` in `SLICE`. An empty path is that of a container
    /// by its id: `prefix` and `id` make the name.
    ///
    /// # Errors
    /// `Unit` for anything else, and for names that systemd does not take.
    pub fn parse(path: &str, prefix: &str, id: &str) -> Result<Self> {
        let wrong = |reason| Error::Unit {
            path: path.to_owned(),
            reason,
        };
        let (slice, prefix, name) = if path.is_empty() {
            ("", prefix, id)
        } else {
            let mut parts = path.split(':');
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(slice), Some(prefix), Some(name), None) => (slice, prefix, name),
                _ => {
                    return Err(wrong(
                        "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups",
                    ));
                }
            }
        };
        let slice = if slice.is_empty() {
            DEFAULT_SLICE
        } else {
            slice
        };
        if !slice.ends_with(".slice") {
            return Err(wrong("the slice's name does not end in .slice"));
        }
        if name.ends_with(".slice") {
            return Err(wrong("a slice has no processes of its own: name a scope"));
        }
        let name = format!("{prefix}-{name}.scope");
        if !is_plain(slice) || !is_plain(&name) {
            return Err(wrong("systemd takes no such name"));
        }
        Ok(Self {
            slice: slice.to_owned(),
            name,
        })
    }

    /// The scope's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The slice's name.
    #[must_use]
    pub fn slice(&self) -> &str {
        &self.slice
    }
}

/// As systemd has it (`unit_name_is_valid`).
fn is_plain(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || ":-_.\\".contains(c);
    name.len() < 256 && name.chars().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_slice_prefix_and_name() {
        let read = |path| {
            let unit = Unit::parse(path, "estiva", "c1").expect(path);
            (unit.slice().to_owned(), unit.name().to_owned())
        };
        let pair = |slice: &str, name: &str| (slice.to_owned(), name.to_owned());
        assert_eq!(read(""), pair("system.slice", "estiva-c1.scope"));
        assert_eq!(read(":docker:1"), pair("system.slice", "docker-1.scope"));
        let path = "machine.slice:libpod:ab";
        assert_eq!(read(path), pair("machine.slice", "libpod-ab.scope"));
    }

    #[test]
    fn what_systemd_would_not_take_is_refused() {
        for bad in [
            "/a/b",
            "a.slice:b",
            "a:b:c",
            "a.slice:b:c.slice",
            "a.slice:b:c/d",
            "a:b:c:d",
        ] {
            assert!(Unit::parse(bad, "estiva", "c1").is_err(), "{bad}");
        }
    }
}
