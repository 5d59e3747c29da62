//! Moments as Docker writes them, and the grammar of `--since` and `--until`.

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::{human, values};

/// Seconds since the epoch, now.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// How long ago, such as `3 minutes ago`.
pub(crate) fn ago(seconds: i64) -> String {
    format!("{} ago", human::duration(now() - seconds))
}

/// A moment as Go's `Time.String` prints it in local time.
pub(crate) fn go_string(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(moment) => moment
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S %z %Z")
            .to_string(),
        Err(_) => String::new(),
    }
}

/// A moment with its fraction as Go's `Time.String` prints it, from RFC 3339 text.
pub(crate) fn go_string_exact(text: &str) -> String {
    let Ok(moment) = text.parse::<Timestamp>() else {
        return text.to_owned();
    };
    moment
        .to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S%.f %z %Z")
        .to_string()
}

/// A moment as `Thu May  7 21:09:36 2026` in local time, from RFC 3339 text; other text as it is.
pub(crate) fn ansic(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(moment) => moment
            .to_zoned(TimeZone::system())
            .strftime("%a %b %e %H:%M:%S %Y")
            .to_string(),
        Err(_) => text.to_owned(),
    }
}

/// A moment as RFC 3339 in local time, to the second.
pub(crate) fn rfc3339(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(moment) => {
            let local = moment.to_zoned(TimeZone::system());
            let offset = local.strftime("%:z").to_string();
            let offset = if offset == "+00:00" { "Z" } else { &offset };
            format!("{}{offset}", local.strftime("%Y-%m-%dT%H:%M:%S"))
        }
        Err(_) => String::new(),
    }
}

/// A moment as RFC 3339 with nine digits of fraction in local time.
pub(crate) fn rfc3339_nano(nanoseconds: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(nanoseconds)) {
        Ok(moment) => {
            let local = moment.to_zoned(TimeZone::system());
            let offset = local.strftime("%:z").to_string();
            let offset = if offset == "+00:00" { "Z" } else { &offset };
            format!("{}{offset}", local.strftime("%Y-%m-%dT%H:%M:%S%.9f"))
        }
        Err(_) => String::new(),
    }
}

/// Reads `--since` and `--until`: a span before now, a date or time, or seconds; the API's `seconds.nanoseconds`.
///
/// # Errors
/// Docker's words for a value that is none of these.
pub(crate) fn moment(flag: &str, text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    if text != "0"
        && let Ok(nanoseconds) = values::duration(text)
    {
        let now = Timestamp::now().as_nanosecond();
        return Ok(stamp(now - i128::from(nanoseconds)));
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(stamp(moment.as_nanosecond()));
    }
    let local = text
        .parse::<civil::DateTime>()
        .ok()
        .or_else(|| text.parse::<civil::Date>().ok().map(civil::DateTime::from))
        .and_then(|when| when.to_zoned(TimeZone::system()).ok());
    if let Some(when) = local {
        return Ok(stamp(when.timestamp().as_nanosecond()));
    }
    let plain = text.split('.').count() <= 2
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if plain {
        return Ok(text.to_owned());
    }
    Err(format!(
        "invalid value for \"{flag}\": failed to parse value as time or duration: \"{text}\""
    ))
}

fn stamp(nanoseconds: i128) -> String {
    format!(
        "{}.{:09}",
        nanoseconds.div_euclid(1_000_000_000),
        nanoseconds.rem_euclid(1_000_000_000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_from_every_form() {
        assert_eq!(moment("since", "1700000000").as_deref(), Ok("1700000000"));
        assert_eq!(
            moment("since", "2023-11-14T22:13:20Z").as_deref(),
            Ok("1700000000.000000000")
        );
        assert_eq!(moment("since", "0").as_deref(), Ok("0"));
        assert!(moment("since", "5m").is_ok());
        assert!(moment("since", "yesterday-ish").is_err());
    }
}
