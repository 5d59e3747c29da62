//! Times as the API writes and reads them.

use jiff::Timestamp;

use crate::problem::Problem;

/// What Go writes for "never".
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 with as many decimals as there are; 0 is [`NEVER`].
pub(crate) fn rfc3339(unix_nanos: i64) -> String {
    if unix_nanos == 0 {
        return NEVER.to_owned();
    }
    instant(unix_nanos)
}

/// RFC 3339 of a time that may be the epoch itself.
pub(crate) fn instant(unix_nanos: i64) -> String {
    Timestamp::from_nanosecond(unix_nanos.into())
        .expect("64 bits of nanoseconds stay within the years 1677 to 2262")
        .to_string()
}

/// Reads `seconds[.nanoseconds]` since the epoch as nanoseconds; a date in RFC 3339 is read too.
pub(crate) fn parse(key: &str, text: &str) -> Result<i64, Problem> {
    seconds(text)
        .or_else(|| {
            text.parse::<Timestamp>()
                .ok()
                .and_then(|t| t.as_nanosecond().try_into().ok())
        })
        .ok_or_else(|| {
            Problem::invalid(format!(
                "invalid value for '{key}': failed to parse {text:?} as a time"
            ))
        })
}

fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole.strip_prefix('-').unwrap_or(whole)) || !is_number(fraction) {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9.9}").parse().ok()?;
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_docker_writes_them() {
        assert_eq!(rfc3339(0), NEVER);
        assert_eq!(instant(0), "1970-01-01T00:00:00Z");
        assert_eq!(
            rfc3339(1_795_218_942_143_208_229),
            "2026-11-20T23:55:42.143208229Z"
        );
        assert_eq!(rfc3339(1_795_218_942_000_000_000), "2026-11-20T23:55:42Z");
    }

    #[test]
    fn seconds_with_and_without_a_fraction_are_read() {
        let read = |text| parse("since", text).ok();
        assert_eq!(read("12"), Some(12_000_000_000));
        assert_eq!(read("12.5"), Some(12_500_000_000));
        assert_eq!(read("12.000000001"), Some(12_000_000_001));
        assert_eq!(read("1970-01-01T00:00:01Z"), Some(1_000_000_000));
        assert_eq!(read("x"), None);
        assert_eq!(read(""), None);
        assert_eq!(read("99999999999999999999"), None);
    }
}
