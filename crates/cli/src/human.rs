//! Sizes and spans of time as people read them, in Docker's words.

/// A size with four significant digits in powers of 1000, such as `1.98MB`, with `precision` digits.
#[must_use]
pub(crate) fn size_with_precision(bytes: f64, precision: usize) -> String {
    scaled(
        bytes,
        1000.0,
        &["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"],
        precision,
    )
}

/// A size in powers of 1000 with four significant digits (`1.984MB`).
#[must_use]
pub(crate) fn size(bytes: f64) -> String {
    size_with_precision(bytes, 4)
}

/// A size in powers of 1024 with four significant digits (`1.984MiB`).
#[must_use]
pub(crate) fn size_binary(bytes: f64) -> String {
    scaled(
        bytes,
        1024.0,
        &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        4,
    )
}

fn scaled(mut value: f64, base: f64, units: &[&str], precision: usize) -> String {
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", general(value, precision), units[unit])
}

/// A number as C's `%.{precision}g` writes it (for values in everyday range).
#[must_use]
pub(crate) fn general(value: f64, precision: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let exponential = format!("{:.*e}", precision.saturating_sub(1), value);
    let (digits, exponent) = exponential.split_once('e').unwrap_or((&exponential, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= i32::try_from(precision).unwrap_or(i32::MAX) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(digits), exponent.abs());
    }
    let decimals =
        usize::try_from(i32::try_from(precision).unwrap_or(0) - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}"))
}

/// A span of time in rough words, such as `About a minute` or `3 weeks`.
#[must_use]
pub(crate) fn duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Go rounds hours to the nearest whole one.
    let hours = (seconds as f64 / 3600.0 + 0.5).floor() as i64;
    match seconds {
        i64::MIN..1 => "Less than a second".into(),
        1 => "1 second".into(),
        _ if seconds < 60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// The first `length` characters, the last of them `…` when something was cut.
#[must_use]
pub(crate) fn ellipsis(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(length.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// An id without its algorithm, twelve digits long.
#[must_use]
pub(crate) fn short_id(id: &str) -> String {
    let id = id.split_once(':').map_or(id, |(_, digits)| digits);
    id.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_digits_asked_for() {
        assert_eq!(size_with_precision(1_980_000.0, 3), "1.98MB");
        assert_eq!(size(1024.0), "1.024kB");
        assert_eq!(size(0.0), "0B");
        assert_eq!(size_binary(1_048_576.0), "1MiB");
        assert_eq!(size_binary(430_080.0), "420KiB");
        assert_eq!(size_with_precision(999_999.0, 3), "1e+03kB");
    }

    #[test]
    fn spans_are_named_as_docker_names_them() {
        assert_eq!(duration(0), "Less than a second");
        assert_eq!(duration(59), "59 seconds");
        assert_eq!(duration(61), "About a minute");
        assert_eq!(duration(46 * 60), "46 minutes");
        assert_eq!(duration(3700), "About an hour");
        assert_eq!(duration(47 * 3600), "47 hours");
        assert_eq!(duration(49 * 3600), "2 days");
        assert_eq!(duration(20 * 86400), "2 weeks");
        assert_eq!(duration(90 * 86400), "3 months");
        assert_eq!(duration(800 * 86400), "2 years");
    }

    #[test]
    fn long_text_is_cut_with_an_ellipsis() {
        assert_eq!(ellipsis("abcdef", 4), "abc…");
        assert_eq!(ellipsis("abcd", 4), "abcd");
    }
}
