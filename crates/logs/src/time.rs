//! Nanoseconds since the epoch to RFC 3339 in UTC and back, without a date library on the hot path.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY_SECONDS: i64 = 86_400;

/// The time now, in nanoseconds since the epoch.
#[must_use]
pub fn unix_nanos_now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    }
}

/// The instant as Go's `RFC3339Nano` prints it in UTC: trailing zeros of the fraction are left out.
#[must_use]
pub fn format_rfc3339_nanos(unix_nanos: i64) -> String {
    format(unix_nanos, |fraction| fraction.trim_end_matches('0'))
}

/// The instant with all nine digits of its fraction, as `logs -t` prints it: lines stand below each other, and sort.
#[must_use]
pub fn format_rfc3339_nine_digits(unix_nanos: i64) -> String {
    format(unix_nanos, |fraction| fraction)
}

fn format(unix_nanos: i64, shorten: impl FnOnce(&str) -> &str) -> String {
    let seconds = unix_nanos.div_euclid(1_000_000_000);
    let nanos = unix_nanos.rem_euclid(1_000_000_000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS));
    let of_day = seconds.rem_euclid(DAY_SECONDS);
    let mut text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    );
    let fraction = format!("{nanos:09}");
    let fraction = shorten(&fraction);
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text.push('Z');
    text
}

/// Nanoseconds since the epoch of an RFC 3339 instant with any offset and up to nine digits of fraction.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20
        || bytes[4] != b'-'
        || bytes[7] != b'-'
        || !matches!(bytes[10], b'T' | b't' | b' ')
        || bytes[13] != b':'
        || bytes[16] != b':'
    {
        return None;
    }
    let (year, month, day) = (
        number(&bytes[0..4])?,
        number(&bytes[5..7])?,
        number(&bytes[8..10])?,
    );
    let (hour, minute, second) = (
        number(&bytes[11..13])?,
        number(&bytes[14..16])?,
        number(&bytes[17..19])?,
    );
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let mut rest = &bytes[19..];
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return None;
        }
        nanos = number(&fraction[..digits])? * 10_i64.pow(9 - u32::try_from(digits).ok()?);
        rest = &fraction[digits..];
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), hours @ ..] if hours.len() == 5 && hours[2] == b':' => {
            let seconds = number(&hours[..2])? * 3600 + number(&hours[3..])? * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let seconds =
        days_from_civil(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second
            - offset;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}

/// The proleptic Gregorian date of a day number (0 is 1970-01-01); years begin in March inside, so that the leap day is last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_shortened_or_whole() {
        let half = 1_500_000_000;
        assert_eq!(format_rfc3339_nanos(half), "1970-01-01T00:00:01.5Z");
        assert_eq!(format_rfc3339_nanos(0), "1970-01-01T00:00:00Z");
        assert_eq!(
            format_rfc3339_nine_digits(half),
            "1970-01-01T00:00:01.500000000Z"
        );
    }

    #[test]
    fn instants_print_as_go_prints_them() {
        let check = |nanos: i64, text: &str| {
            assert_eq!(format_rfc3339_nanos(nanos), text);
            assert_eq!(parse_rfc3339(text), Some(nanos));
        };
        check(0, "1970-01-01T00:00:00Z");
        check(1_500_000_000, "1970-01-01T00:00:01.5Z");
        check(951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z");
        check(1_795_218_289_123_456_000, "2026-11-20T23:44:49.123456Z");
        check(-1, "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn offsets_are_applied_and_nonsense_is_refused() {
        assert_eq!(
            parse_rfc3339("2026-11-20T23:44:49+02:00"),
            parse_rfc3339("2026-11-20T21:44:49Z")
        );
        for bad in [
            "",
            "2026-11-20",
            "2026-13-20T00:00:00Z",
            "2026-11-20T00:00:00",
            "2026-11-20T00:00:00.Z",
            "2026-11-20T00:00:00.1234567891Z",
            "2026-11-20T00:00:0xZ",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }
}
