//! Names that users give to containers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Docker's rule for names: a letter or digit, then letters, digits, `_`, `.` and `-`.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// A container's name, without a leading slash; at least two characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerName(String);

impl ContainerName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerName {
    type Err = Error;

    /// Takes a name with or without its leading slash.
    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.strip_prefix('/').unwrap_or(text);
        if name.len() >= 2 && is_name(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::ContainerName {
                name: text.to_owned(),
            })
        }
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for ContainerName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ContainerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContainerName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ContainerName> for String {
    fn from(name: ContainerName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_names_follow_dockers_rule() {
        for good in ["ab", "/ab", "a.b-c_d", "0x", "Web.1"] {
            assert!(good.parse::<ContainerName>().is_ok(), "{good}");
        }
        for bad in ["", "/", "a", "-ab", "a b", "a/b", "//ab", "ä1", "a\n"] {
            assert!(bad.parse::<ContainerName>().is_err(), "{bad}");
        }
        assert_eq!(
            "a/b"
                .parse::<ContainerName>()
                .expect_err("a slash")
                .to_string(),
            "Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        );
    }
}
