//! Error numbers in the words that container users know.

use std::fmt;

use rustix::io::Errno;

/// An error number whose text has no capital letter and no number: `permission denied`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(pub Errno);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::io::Error::from(self.0).to_string();
        let words = text.split(" (os error").next().unwrap_or(&text);
        let mut letters = words.chars();
        if let Some(first) = letters.next() {
            write!(f, "{}", first.to_lowercase())?;
        }
        f.write_str(letters.as_str())
    }
}

impl std::error::Error for Refusal {}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_speaks_in_lower_case_without_numbers() {
        assert_eq!(
            Refusal(Errno::NOENT).to_string(),
            "no such file or directory"
        );
        assert_eq!(Refusal(Errno::NOEXEC).to_string(), "exec format error");
    }
}
