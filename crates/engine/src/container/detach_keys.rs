//! `--detach-keys`: `ctrl-p,ctrl-q`, single letters, `ctrl-` with a letter or one of `@ [ \ ] ^ _`.

use crate::error::{Error, Result};

/// `ctrl-p,ctrl-q`.
pub(crate) const DEFAULT: [u8; 2] = [16, 17];

/// The bytes that a terminal sends for the keys.
///
/// # Errors
/// [`Error::Invalid`] with Docker's text.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>> {
    let bad = || Error::Invalid(format!("Invalid detach keys ({text}) provided"));
    let keys = text.split(',').map(key);
    keys.collect::<Option<_>>().ok_or_else(bad)
}

/// The keys of a client: its own or the default; none without a terminal.
///
/// # Errors
/// As [`parse`].
pub(crate) fn of(text: &str, tty: bool) -> Result<Vec<u8>> {
    match (text, tty) {
        ("", false) => Ok(Vec::new()),
        (keys, false) => parse(keys).map(|_| Vec::new()),
        ("", true) => Ok(DEFAULT.to_vec()),
        (keys, true) => parse(keys),
    }
}

fn key(text: &str) -> Option<u8> {
    if let [single] = text.as_bytes() {
        return Some(*single);
    }
    match text.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [sign @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')] => Some(sign - b'@'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bytes() {
        assert_eq!(parse("ctrl-p,ctrl-q").ok(), Some(DEFAULT.to_vec()));
        assert_eq!(parse("a,ctrl-[,ctrl-@").ok(), Some(vec![b'a', 27, 0]));
        for text in ["", "ctrl-", "ctrl-1", "ab", "a,,b"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
