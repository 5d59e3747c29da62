//! Signals by name and number.

use crate::error::Error;

/// In the kernel's order, from 1; on the architectures we run on they are the same.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

pub(crate) const KILL: i32 = 9;
pub(crate) const CHLD: i32 = 17;
pub(crate) const URG: i32 = 23;
pub(crate) const WINCH: i32 = 28;
pub(crate) const PIPE: i32 = 13;

/// Reads `9`, `KILL`, `SIGKILL`, `sigkill`, `RTMIN+3`, …
pub(crate) fn parse(word: &str) -> Result<i32, Error> {
    let unknown = || Error::Signal {
        word: word.to_owned(),
    };
    if let Ok(number) = word.parse::<i32>() {
        return (0..=64)
            .contains(&number)
            .then_some(number)
            .ok_or_else(unknown);
    }
    let upper = word.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|name| *name == bare) {
        return Ok(at as i32 + 1);
    }
    match bare {
        "IOT" => return Ok(6),
        "CLD" => return Ok(CHLD),
        "POLL" => return Ok(29),
        _ => {}
    }
    // As the C library counts: the first two are its own.
    let real_time = |name: &str, base: i32, sign: i32| {
        let rest = bare.strip_prefix(name)?;
        let offset: i32 = match rest {
            "" => 0,
            _ => rest.trim_start_matches(['+', '-']).parse().ok()?,
        };
        let number = base + sign * offset;
        (34..=64).contains(&number).then_some(number)
    };
    real_time("RTMIN", 34, 1)
        .or_else(|| real_time("RTMAX", 64, -1))
        .ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for (word, number) in [
            ("9", 9),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigterm", 15),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("RTMIN", 34),
            ("SYS", 31),
            ("WINCH", WINCH),
        ] {
            assert_eq!(parse(word).expect(word), number, "{word}");
        }
        for word in ["", "65", "-1", "NOPE", "RTMIN+99"] {
            assert!(parse(word).is_err(), "{word:?}");
        }
    }
}
