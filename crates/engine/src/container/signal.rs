//! Signals by name or number, as users write them.

use crate::error::{Error, Result};

/// Name and number on x86_64 and aarch64, without `SIG`. See signal(7).
const NAMES: [(&str, i32); 34] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// First and last real-time signal that programs may use with glibc.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// SIGTERM.
pub(crate) const TERM: i32 = 15;
/// SIGKILL.
pub(crate) const KILL: i32 = 9;

/// `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.
///
/// # Errors
/// [`Error::Invalid`] with Docker's text.
pub(crate) fn parse(text: &str) -> Result<i32> {
    number(text).ok_or_else(|| Error::Invalid(format!("invalid signal: {text}")))
}

fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let offset = |rest: &str| {
        if rest.is_empty() {
            Some(0)
        } else {
            rest[1..].parse::<i32>().ok()
        }
    };
    let real_time = if let Some(rest) = name.strip_prefix("RTMIN") {
        (rest.is_empty() || rest.starts_with('+'))
            .then(|| offset(rest))?
            .map(|n| RTMIN + n)
    } else {
        let rest = name.strip_prefix("RTMAX")?;
        (rest.is_empty() || rest.starts_with('-'))
            .then(|| offset(rest))?
            .map(|n| RTMAX - n)
    };
    real_time.filter(|n| (RTMIN..=RTMAX).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, expect) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("rtmin", 34),
        ] {
            assert_eq!(parse(text).ok(), Some(expect), "{text}");
        }
        for text in ["", "0", "65", "SIGNONE", "RTMIN-1", "RTMAX+1", "RTMIN+99"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
