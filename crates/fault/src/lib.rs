//! Error kinds that every face maps once, and the printer of error chains.
#![forbid(unsafe_code)]

use std::error::Error;

/// What an error means to whoever asked, whatever went wrong inside.
///
/// Each face maps it in one table: HTTP status, gRPC code, exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The named thing is not there (HTTP 404).
    NotFound,
    /// The thing is there, but its state or name stands against it (HTTP 409).
    Conflict,
    /// The request itself is wrong (HTTP 400).
    Invalid,
    /// The caller may not do this (HTTP 403).
    Denied,
    /// Not now: something needed is missing or busy (HTTP 503).
    Unavailable,
    /// Known, and not built (HTTP 501).
    Unimplemented,
    /// A fault of ours or of the machine (HTTP 500).
    Internal,
}

/// An error and all its causes on one line, `what: why: why`.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line.push_str(": ");
        line.push_str(&next.to_string());
        cause = next.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::{fmt, io};

    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("open x")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_chain_names_every_cause_in_order() {
        assert_eq!(
            chain(&Outer(io::Error::other("disk gone"))),
            "open x: disk gone"
        );
    }
}
