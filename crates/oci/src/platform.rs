//! Platforms: operating system, architecture and its variant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an image runs on. Spec: OCI image-spec, `image-index.md`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// GOARCH name.
    #[serde(default)]
    pub architecture: String,
    /// GOOS name.
    #[serde(default)]
    pub os: String,
    /// Windows build.
    #[serde(
        default,
        rename = "os.version",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features the OS must have.
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// CPU variant, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a text names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A part has characters no platform has.
    #[error(
        "{part:?} is an invalid component of {text:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+$\""
    )]
    Component {
        /// The part.
        part: String,
        /// The whole text.
        text: String,
    },
    /// One word that is neither an OS nor an architecture known here.
    #[error("{0:?}: unknown operating system or architecture")]
    Unknown(String),
    /// More than `os/arch/variant`.
    #[error("{0:?}: cannot parse platform specifier")]
    Shape(String),
}

impl PlatformError {
    /// Always the caller's mistake.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        fault::Kind::Invalid
    }
}

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
];
const ARCHITECTURES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
    "ppc64le", "riscv64", "s390x", "wasm",
];

impl Platform {
    /// This machine's platform.
    #[must_use]
    pub fn host() -> Self {
        Self {
            architecture: std::env::consts::ARCH.to_owned(),
            os: std::env::consts::OS.to_owned(),
            variant: (std::env::consts::ARCH == "arm").then(|| "v7".to_owned()),
            ..Self::default()
        }
        .normalized()
    }

    /// The same platform under the names Docker uses: `x86_64` is `amd64`, `aarch64/v8` is `arm64`.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        self.os = self.os.to_ascii_lowercase();
        if self.os == "macos" {
            "darwin".clone_into(&mut self.os);
        }
        let variant = self
            .variant
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let architecture = self.architecture.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "v1") | ("x86_64" | "x86-64", "") => ("amd64", ""),
            ("x86_64" | "x86-64", v) => ("amd64", v),
            ("i386" | "i686" | "x86", _) => ("386", ""),
            ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
            ("aarch64" | "arm64", v) => ("arm64", v),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            ("powerpc64le", v) => ("ppc64le", v),
            ("loongarch64", v) => ("loong64", v),
            (a, v) => (a, v),
        };
        let variant = (!variant.is_empty()).then(|| variant.to_owned());
        self.architecture = architecture.to_owned();
        self.variant = variant;
        self
    }

    /// How well this machine runs an image made for `image`: `None` not at all, otherwise the smaller the better.
    /// Empty fields of the image (some old ones have none) match anything.
    #[must_use]
    pub fn rank(&self, image: &Self) -> Option<u32> {
        let host = self.clone().normalized();
        let image = image.clone().normalized();
        if !image.os.is_empty() && image.os != host.os {
            return None;
        }
        if image.architecture.is_empty() {
            return Some(100);
        }
        let level = |p: &Self| {
            p.variant
                .as_deref()
                .and_then(|v| v.strip_prefix('v')?.split('.').next()?.parse().ok())
        };
        match (host.architecture.as_str(), image.architecture.as_str()) {
            ("arm", "arm") => below(level(&host).unwrap_or(7), level(&image).unwrap_or(7)),
            ("arm64", "arm") => below(8, level(&image).unwrap_or(7)).map(|r| r + 20),
            ("arm64", "arm64") => below(level(&host).unwrap_or(8), level(&image).unwrap_or(8)),
            ("amd64", "amd64") => below(level(&host).unwrap_or(1), level(&image).unwrap_or(1)),
            ("amd64", "386") => Some(20),
            (h, i) if h == i => Some(u32::from(host.variant != image.variant)),
            _ => None,
        }
    }

    /// Whether this machine (or the asked-for platform) runs an image made for `image`.
    #[must_use]
    pub fn accepts(&self, image: &Self) -> bool {
        self.rank(image).is_some()
    }
}

/// A CPU runs what was made for its own level and those below it.
fn below(host: u32, image: u32) -> Option<u32> {
    host.checked_sub(image)
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// `os`, `arch`, `os/arch` or `os/arch/variant`; what is left out is the host's.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        for part in &parts {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
            if part.is_empty() || !part.bytes().all(legal) {
                return Err(PlatformError::Component {
                    part: (*part).to_owned(),
                    text: text.to_owned(),
                });
            }
        }
        let make = |os: &str, arch: &str, variant: Option<&str>| {
            Self {
                os: os.to_owned(),
                architecture: arch.to_owned(),
                variant: variant.map(str::to_owned),
                ..Self::default()
            }
            .normalized()
        };
        match parts[..] {
            [word] => {
                let host = Self::host();
                let as_arch = make(&host.os, word, None);
                if SYSTEMS.contains(&word.to_ascii_lowercase().as_str()) {
                    Ok(make(word, &host.architecture, host.variant.as_deref()))
                } else if ARCHITECTURES.contains(&as_arch.architecture.as_str()) {
                    Ok(as_arch)
                } else {
                    Err(PlatformError::Unknown(word.to_owned()))
                }
            }
            [os, arch] => Ok(make(os, arch, None)),
            [os, arch, variant] => Ok(make(os, arch, Some(variant))),
            _ => Err(PlatformError::Shape(text.to_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_normalised() {
        let check = |text: &str, expect: &str| assert_eq!(p(text).to_string(), expect, "{text}");
        check("linux/amd64", "linux/amd64");
        check("linux/x86_64", "linux/amd64");
        check("linux/aarch64", "linux/arm64");
        check("linux/arm64/v8", "linux/arm64");
        check("linux/arm", "linux/arm/v7");
        check("linux/arm/v6", "linux/arm/v6");
        check("linux/armhf", "linux/arm/v7");
        check(
            "windows",
            &format!("windows/{}", Platform::host().architecture),
        );
        check("s390x", "linux/s390x");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "linux/", "a b/c", "banana", "a/b/c/d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_machine_takes_its_own_and_lesser_variants() {
        assert!(p("linux/arm/v7").accepts(&p("linux/arm/v6")));
        assert!(!p("linux/arm/v6").accepts(&p("linux/arm/v7")));
        assert!(p("linux/arm64").accepts(&p("linux/arm/v7")));
        assert!(p("linux/amd64").accepts(&p("linux/386")));
        assert!(!p("linux/amd64").accepts(&p("linux/amd64/v3")));
        assert!(!p("linux/amd64").accepts(&p("linux/arm64")));
        assert!(!p("linux/amd64").accepts(&p("windows/amd64")));
        assert!(
            p("linux/arm64").rank(&p("linux/arm64")) < p("linux/arm64").rank(&p("linux/arm/v7"))
        );
        assert!(p("linux/amd64").accepts(&Platform::default()));
    }
}
