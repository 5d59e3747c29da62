//! Digests, and the two ids of a layer that are made of them.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// How the bytes were hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 64 hex digits.
    Sha256,
    /// SHA-512, 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// The name before the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hex digits follow the colon.
    #[must_use]
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// Why a text is no digest; the words are those of Docker's tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `algorithm:hex`.
    #[error("invalid checksum digest format")]
    Format,
    /// The number of digits does not fit the algorithm.
    #[error("invalid checksum digest length")]
    Length,
    /// An algorithm nobody here computes.
    #[error("unsupported digest algorithm")]
    Algorithm,
}

impl DigestError {
    /// Always the caller's mistake.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        fault::Kind::Invalid
    }
}

/// The name of some bytes: `sha256:` or `sha512:` and lower-case hex. Spec: OCI image-spec, `descriptor.md`, "Digests".
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Box<str>);

impl Digest {
    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::sha256();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digest whose SHA-256 sum these bytes are.
    #[must_use]
    pub fn from_sha256(sum: &[u8; 32]) -> Self {
        Self::encode(Algorithm::Sha256, sum)
    }

    /// Which function made it.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha256:") {
            Algorithm::Sha256
        } else {
            Algorithm::Sha512
        }
    }

    /// The hex digits alone.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// The first twelve hex digits, as tables show it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// The whole text, `algorithm:hex`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn encode(algorithm: Algorithm, sum: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(8 + algorithm.hex_len());
        text.push_str(algorithm.name());
        text.push(':');
        for byte in sum {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        Self(text.into())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text.split_once(':').ok_or(DigestError::Format)?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ if !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+._-".contains(&b)) =>
            {
                return Err(DigestError::Algorithm);
            }
            _ => return Err(DigestError::Format),
        };
        if !hex
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Err(DigestError::Format);
        }
        if hex.len() != algorithm.hex_len() {
            return Err(DigestError::Length);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

// --- Hasher ---

/// Computes a [`Digest`] of bytes as they pass.
#[derive(Debug, Clone)]
pub struct Hasher(State);

#[derive(Debug, Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// A hasher for the given function.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Box::default()),
        })
    }

    /// A SHA-256 hasher.
    #[must_use]
    pub fn sha256() -> Self {
        Self::new(Algorithm::Sha256)
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all bytes so far.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => Digest::encode(Algorithm::Sha256, &state.finalize()),
            State::Sha512(state) => Digest::encode(Algorithm::Sha512, &state.finalize()),
        }
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// --- DiffId, ChainId ---

/// The digest of one layer's *uncompressed* tar; not what travels on the wire. Spec: OCI image-spec, `config.md`, "Layer DiffID".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

/// The name of a layer on top of all those below it. Spec: OCI image-spec, `config.md`, "Layer ChainID".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(pub Digest);

impl ChainId {
    /// The chain of one layer: its diff id itself.
    #[must_use]
    pub fn base(diff: &DiffId) -> Self {
        Self(diff.0.clone())
    }

    /// The chain that has `diff` on top of this one.
    #[must_use]
    pub fn child(&self, diff: &DiffId) -> Self {
        Self(Digest::of(format!("{} {}", self.0, diff.0).as_bytes()))
    }

    /// The chain `diff` makes on `parent`.
    #[must_use]
    pub fn on(parent: Option<&Self>, diff: &DiffId) -> Self {
        match parent {
            Some(parent) => parent.child(diff),
            None => Self::base(diff),
        }
    }

    /// The chain of each layer, the lowest first; as many as there are diff ids.
    #[must_use]
    pub fn chain(diffs: &[DiffId]) -> Vec<Self> {
        let mut chain: Vec<Self> = Vec::with_capacity(diffs.len());
        for diff in diffs {
            chain.push(Self::on(chain.last(), diff));
        }
        chain
    }

    /// The chain of the topmost layer; `None` without layers.
    #[must_use]
    pub fn top(diffs: &[DiffId]) -> Option<Self> {
        Self::chain(diffs).pop()
    }
}

macro_rules! digest_newtype {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                text.parse().map(Self)
            }
        }
    };
}

digest_newtype!(DiffId);
digest_newtype!(ChainId);

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_sums_come_out() {
        assert_eq!(Digest::of(b"").as_str(), EMPTY);
        let mut wide = Hasher::new(Algorithm::Sha512);
        wide.update(b"abc");
        let wide = wide.finish();
        assert!(wide.as_str().starts_with("sha512:ddaf35a193617aba"));
        assert_eq!(wide.as_str().parse(), Ok(wide.clone()));
        assert_eq!(wide.algorithm(), Algorithm::Sha512);
        assert_eq!(wide.hex().len(), 128);
    }

    #[test]
    fn only_exact_digests_parse() {
        let check =
            |text: &str, expect| assert_eq!(text.parse::<Digest>().unwrap_err(), expect, "{text}");
        check("", DigestError::Format);
        check("sha256", DigestError::Format);
        check(":abc", DigestError::Format);
        check("sha256:abc", DigestError::Length);
        check("md5:abc", DigestError::Algorithm);
        check(&EMPTY.to_uppercase(), DigestError::Algorithm);
        check(&EMPTY.replace('e', "E"), DigestError::Format);
        check(&EMPTY.replace('e', "/"), DigestError::Format);
        check("sha256:../../etc/passwd", DigestError::Format);
        assert_eq!(EMPTY.parse::<Digest>().unwrap().short(), "e3b0c44298fc");
    }

    #[test]
    fn a_chain_is_a_fold_over_diff_ids() {
        let a = DiffId(Digest::of(b"a"));
        let b = DiffId(Digest::of(b"b"));
        let chain = ChainId::chain(&[a.clone(), b.clone()]);
        assert_eq!(chain[0].0, a.0);
        assert_eq!(
            chain[1].0,
            Digest::of(format!("{} {}", a.0, b.0).as_bytes())
        );
        assert_eq!(ChainId::top(&[]), None);
    }
}
