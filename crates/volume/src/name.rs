//! The names that volumes can have.

use std::fmt;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::{Error, Result};

/// A volume's name: a letter or digit, then at least one of letters, digits, `_`, `.` and `-`. It is always a plain file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName(String);

impl VolumeName {
    /// Checks a name.
    ///
    /// # Errors
    /// When no volume can have it.
    pub fn parse(text: &str) -> Result<VolumeName> {
        let name = || text.to_owned();
        let letters = |rest: &[u8]| {
            rest.iter()
                .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b))
        };
        match text.as_bytes() {
            [_] => Err(Error::ShortName { name: name() }),
            bytes if bytes.len() > 255 => Err(Error::LongName {
                name: text.chars().take(64).collect::<String>() + "…",
            }),
            [first, rest @ ..] if first.is_ascii_alphanumeric() && letters(rest) => {
                Ok(VolumeName(name()))
            }
            _ => Err(Error::Name { name: name() }),
        }
    }

    /// A new name for a volume that nobody named: 64 hexadecimal digits.
    #[must_use]
    pub fn anonymous() -> VolumeName {
        VolumeName(random_hex::<32>())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `2 * BYTES` random hexadecimal digits.
pub(crate) fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0u8; BYTES];
    let filled = getrandom(&mut bytes, GetRandomFlags::empty())
        .expect("the kernel gives up to 256 random bytes at once, uninterrupted");
    assert_eq!(filled, BYTES, "the kernel fills small requests wholly");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_file_names() {
        for good in ["ab", "A-1", "0.x", "a_b", &"x".repeat(255)] {
            assert!(VolumeName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".new-1",
            "a/b",
            "-ab",
            "_ab",
            "a b",
            "é1",
            "a\0",
            &"x".repeat(256),
        ] {
            assert!(VolumeName::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(VolumeName::anonymous().as_str().len(), 64);
        assert_ne!(VolumeName::anonymous(), VolumeName::anonymous());
    }

    #[test]
    fn the_refusal_is_docker_s() {
        let error = VolumeName::parse("a/b").expect_err("no file name");
        assert_eq!(
            error.to_string(),
            "create a/b: \"a/b\" includes invalid characters for a local volume name, only \
             \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
        );
    }
}
