//! The `until` filter that every prune knows.

use crate::error::{Error, Result};

/// Only what is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Until(Option<i64>);

impl Until {
    /// Reads the filter: a duration before now (`24h`), seconds since the epoch, or an RFC 3339 time.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else, or more than one.
    pub(crate) fn parse(filters: &ids::Filters, now_unix_nanos: i64) -> Result<Self> {
        let mut values = filters.get("until");
        let Some(text) = values.next() else {
            return Ok(Self(None));
        };
        if values.next().is_some() {
            return Err(Error::Invalid(
                "more than one until filter specified".into(),
            ));
        }
        let bad = || {
            Error::Invalid(format!(
                "failed to parse value as time or duration: {text:?}"
            ))
        };
        if let Some(span) = duration_nanos(text) {
            return Ok(Self(Some(now_unix_nanos - span)));
        }
        if let Ok(seconds) = text.parse::<f64>() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "an instant far out of range is refused by comparison"
            )]
            return Ok(Self(Some((seconds * 1e9) as i64)));
        }
        let at: jiff::Timestamp = text.parse().map_err(|_| bad())?;
        Ok(Self(Some(
            i64::try_from(at.as_nanosecond()).map_err(|_| bad())?,
        )))
    }

    pub(crate) fn includes(self, created_unix_nanos: i64) -> bool {
        self.0.is_none_or(|until| created_unix_nanos < until)
    }

    pub(crate) fn timestamp(self) -> Option<jiff::Timestamp> {
        self.0
            .and_then(|nanos| jiff::Timestamp::from_nanosecond(i128::from(nanos)).ok())
    }
}

/// A Go duration such as `1h30m` or `10s`.
pub(crate) fn duration_nanos(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut nanos = 0f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit_end = rest[end..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| end + at);
        let unit = match &rest[end..unit_end] {
            "h" => 3.6e12,
            "m" => 6e10,
            "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" => 1e3,
            "ns" => 1.0,
            _ => return None,
        };
        nanos += number * unit;
        rest = &rest[unit_end..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "durations of centuries saturate"
    )]
    (!text.is_empty()).then_some(nanos as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration_nanos("1h30m"), Some(5_400_000_000_000));
        assert_eq!(duration_nanos("1.5s"), Some(1_500_000_000));
        for text in ["", "5", "h", "1x", "2020-01-01T00:00:00Z"] {
            assert_eq!(duration_nanos(text), None, "{text}");
        }
    }

    #[test]
    fn until_is_a_span_an_instant_or_refused() {
        let until = |text: &str| {
            let mut filters = ids::Filters::default();
            filters.add("until", text);
            Until::parse(&filters, 100_000_000_000)
        };
        assert_eq!(until("10s").ok(), Some(Until(Some(90_000_000_000))));
        assert_eq!(until("5").ok(), Some(Until(Some(5_000_000_000))));
        assert_eq!(
            until("1970-01-01T00:00:07Z").ok(),
            Some(Until(Some(7_000_000_000)))
        );
        assert!(until("soon").is_err());
    }
}
