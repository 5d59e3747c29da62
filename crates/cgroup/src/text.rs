//! The few text shapes of cgroup files: a number, `key value` lines, `8:0 rbytes=1` lines.

/// A single number; `max` and v1's "no limit" (close to i64::MAX, rounded to pages) give `None`.
pub(crate) fn limit(text: &str) -> Option<u64> {
    let value = text.trim().parse::<u64>().ok()?;
    (value < 0x7fff_ffff_ffff_0000).then_some(value)
}

/// A single number; 0 if it is none.
pub(crate) fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

/// The `key value` lines of a flat keyed file.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

/// The value of one key of a flat keyed file.
pub(crate) fn value(text: &str, key: &str) -> Option<u64> {
    pairs(text).find(|(k, _)| *k == key).map(|(_, v)| v)
}

/// A device number of the form `8:16`.
pub(crate) fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_mean_no_limit_are_none() {
        assert_eq!(limit("9223372036854771712\n"), None);
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("4096\n"), Some(4096));
    }

    #[test]
    fn keys_are_whole_words() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(value(text, "oom_kill"), Some(3));
        assert_eq!(value(text, "oom"), None);
    }
}
