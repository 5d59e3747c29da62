//! Image references as people write them, and the full names they stand for.
//!
//! ```text
//! reference = [domain "/"] path [":" tag] ["@" digest]      alpine:3.20  ==  docker.io/library/alpine:3.20
//! ```
//! Grammar: distribution/reference, `reference.go`.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const MAX_PATH: usize = 255;
const MAX_TAG: usize = 128;

/// The full name of an image: domain, path, and a tag or digest or both or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no reference; the words are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository has upper-case letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// Nothing there.
    #[error("repository name must have at least one component")]
    Empty,
    /// The path is too long.
    #[error("repository name must not be more than {MAX_PATH} characters")]
    TooLong,
    /// It reads like an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// The tag does not follow the grammar.
    #[error("invalid tag format")]
    Tag,
    /// The digest is none.
    #[error(transparent)]
    Digest(#[from] crate::digest::DigestError),
}

impl ReferenceError {
    /// Always the caller's mistake.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        fault::Kind::Invalid
    }
}

impl Reference {
    /// The registry's name, such as `docker.io`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's path on its registry, such as `library/alpine`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, when there is one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when there is one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether it is a repository only.
    #[must_use]
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The repository in full, such as `docker.io/library/alpine`.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The repository as people write it, such as `alpine`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.repository();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The reference as people write it, such as `alpine:3.20`.
    #[must_use]
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_name();
        self.push_rest(&mut text);
        text
    }

    /// The same with `latest` when it has neither tag nor digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.is_name_only() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// The same repository under another tag, without a digest.
    ///
    /// # Errors
    /// When `tag` is none.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Tag);
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// The same repository by digest, without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The repository alone.
    #[must_use]
    pub fn name_only(&self) -> Self {
        Self {
            tag: None,
            digest: None,
            ..self.clone()
        }
    }

    fn push_rest(&self, text: &mut String) {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
    }
}

impl fmt::Display for Reference {
    /// The full form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.repository();
        self.push_rest(&mut text);
        f.write_str(&text)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Reads the familiar or the full form.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() == 64 && text.bytes().all(is_lower_hex) {
            return Err(ReferenceError::LooksLikeId(text.to_owned()));
        }
        if text.is_empty() {
            return Err(ReferenceError::Format);
        }
        let (domain, rest) = split_domain(text);
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        // In the path no colon is legal, so the first one begins the tag.
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let path = if domain == DEFAULT_DOMAIN && !path.contains('/') && !path.is_empty() {
            format!("{OFFICIAL}{path}")
        } else {
            path.to_owned()
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(path));
        }
        if !is_domain(domain)
            || !path.split('/').all(is_component)
            || tag.is_some_and(|tag| !is_tag(tag))
        {
            return Err(ReferenceError::Format);
        }
        if path.len() > MAX_PATH {
            return Err(ReferenceError::TooLong);
        }
        let digest = digest.map(parse_digest).transpose()?;
        Ok(Self {
            domain: domain.to_owned(),
            path,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// The first component is a domain only when it looks like one: a dot, a colon, `localhost`, or upper case.
fn split_domain(text: &str) -> (&str, &str) {
    let Some((first, rest)) = text.split_once('/') else {
        return (DEFAULT_DOMAIN, text);
    };
    let is_domain = first.contains(['.', ':'])
        || first == "localhost"
        || first.bytes().any(|b| b.is_ascii_uppercase());
    match first {
        _ if !is_domain => (DEFAULT_DOMAIN, text),
        LEGACY_DOMAIN => (DEFAULT_DOMAIN, rest),
        _ => (first, rest),
    }
}

/// A malformed digest breaks the grammar; a well-formed one of the wrong length or function has its own words.
fn parse_digest(text: &str) -> Result<Digest, ReferenceError> {
    let hex = text.split_once(':').map_or("", |(_, hex)| hex);
    if hex.len() < 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ReferenceError::Format);
    }
    Ok(text.parse()?)
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn is_tag(tag: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    !tag.is_empty()
        && tag.len() <= MAX_TAG
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(legal)
}

/// `host[:port]`, where host is dotted names or an IPv6 address in brackets.
fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, rest)) => {
            let legal =
                !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            let port = rest.strip_prefix(':');
            return legal && (rest.is_empty() || port.is_some_and(is_port));
        }
        None => match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// Letters and digits in lower case, held together by `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !is_word(*first) || !is_word(*last) {
        return false;
    }
    bytes
        .split(|b| is_word(*b))
        .filter(|separator| !separator.is_empty())
        .all(|separator| {
            matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn familiar_and_full_forms_meet() {
        let check = |text: &str, full: &str, familiar: &str| {
            let reference: Reference = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(reference.to_string(), full);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(full.parse(), Ok(reference), "the full form reads back");
        };
        check("alpine", "docker.io/library/alpine", "alpine");
        check(
            "alpine:3.20",
            "docker.io/library/alpine:3.20",
            "alpine:3.20",
        );
        check(
            "index.docker.io/alpine",
            "docker.io/library/alpine",
            "alpine",
        );
        check("docker.io/alpine", "docker.io/library/alpine", "alpine");
        check("me/app:v1", "docker.io/me/app:v1", "me/app:v1");
        check("localhost/app", "localhost/app", "localhost/app");
        check(
            "localhost:5000/a/b:c",
            "localhost:5000/a/b:c",
            "localhost:5000/a/b:c",
        );
        check("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a");
        check("ghcr.io/o/r", "ghcr.io/o/r", "ghcr.io/o/r");
        check("UPPER/app", "UPPER/app", "UPPER/app");
        check("a__b--c.d", "docker.io/library/a__b--c.d", "a__b--c.d");
        let by_digest = format!("alpine:1@sha256:{HEX}");
        check(
            &by_digest,
            &format!("docker.io/library/{by_digest}"),
            &by_digest,
        );
        assert_eq!(
            "x".parse::<Reference>().unwrap().or_latest().familiar(),
            "x:latest"
        );
    }

    #[test]
    fn refusals_use_dockers_words() {
        let check = |text: &str, expect: &str| {
            assert_eq!(
                text.parse::<Reference>().unwrap_err().to_string(),
                expect,
                "{text}"
            )
        };
        check("", "invalid reference format");
        check(
            "Alpine",
            "invalid reference format: repository name (library/Alpine) must be lowercase",
        );
        check(
            "a/B:tag",
            "invalid reference format: repository name (a/B) must be lowercase",
        );
        check(
            HEX,
            &format!("invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        );
        check(
            "a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
            "invalid checksum digest length",
        );
        check(
            &format!("a/{}", "b".repeat(300)),
            "repository name must not be more than 255 characters",
        );
        for text in [
            "a b", "a:", "a:b:c", ":x", "a//b", "/a", "a/", "-a", "a-", "a___b", "a..b", "a@x",
            "a:-x", "../a", "a/../b", "é",
        ] {
            check(text, "invalid reference format");
        }
    }
}
