//! API versions: `1.24` to `1.51`.

use std::fmt;
use std::str::FromStr;

/// A version of the Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// 1.
    pub major: u16,
    /// 24..51.
    pub minor: u16,
}

impl ApiVersion {
    /// The oldest version we speak.
    pub const OLDEST: Self = Self::v1(24);
    /// The newest version we speak.
    pub const NEWEST: Self = Self::v1(51);

    /// Version `1.minor`.
    #[must_use]
    pub const fn v1(minor: u16) -> Self {
        Self { major: 1, minor }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is not `major.minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAVersion;

impl fmt::Display for NotAVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an API version")
    }
}

impl std::error::Error for NotAVersion {}

impl FromStr for ApiVersion {
    type Err = NotAVersion;
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let number = |digits: &str| {
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(NotAVersion);
            }
            digits.parse().map_err(|_| NotAVersion)
        };
        let (major, minor) = text.split_once('.').ok_or(NotAVersion)?;
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let old: ApiVersion = "1.9".parse().expect("a version");
        assert!(old < ApiVersion::OLDEST);
        assert_eq!("1.51".parse(), Ok(ApiVersion::NEWEST));
        for wrong in ["", "1", "1.", ".2", "1.2.3", "+1.2", "a.b"] {
            assert_eq!(wrong.parse::<ApiVersion>(), Err(NotAVersion), "{wrong}");
        }
    }
}
