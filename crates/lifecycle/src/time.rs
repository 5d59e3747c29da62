//! Moments and spans as Docker shows them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in nanoseconds since the epoch.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// How long ago `earlier` was; zero when it lies ahead (clocks are set back).
    #[must_use]
    pub fn since(self, earlier: UnixNanos) -> Duration {
        let nanos = self.0.saturating_sub(earlier.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

/// A span in the words of `ps`: `Less than a second`, `5 minutes`, `About an hour`, `2 weeks`.
#[must_use]
pub fn human(span: Duration) -> String {
    let seconds = span.as_secs();
    let minutes = seconds / 60;
    // Rounded to the nearest hour, as Docker's users know it; years are not.
    let hours = (seconds + 1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// A span as Go prints it: `1m30s`, `1.5s`, `100ms`.
#[must_use]
pub fn go(span: Duration) -> String {
    let nanos = span.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanos, 1_000_000)),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// `value / unit` without trailing zeros.
fn decimal(value: u128, unit: u128) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_in_ps() {
        let day = 86_400;
        for (seconds, expect) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (2 * day, "2 days"),
            (14 * day, "2 weeks"),
            (60 * day, "2 months"),
            (730 * day, "2 years"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), expect, "{seconds} s");
        }
    }

    #[test]
    fn spans_read_as_in_go() {
        for (millis, expect) in [
            (0, "0s"),
            (100, "100ms"),
            (1500, "1.5s"),
            (30_000, "30s"),
            (90_000, "1m30s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go(Duration::from_millis(millis)), expect);
        }
        assert_eq!(go(Duration::from_nanos(1_234_500)), "1.2345ms");
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_span() {
        assert_eq!(UnixNanos(5).since(UnixNanos(9)), Duration::ZERO);
        assert_eq!(
            UnixNanos(i64::MAX).since(UnixNanos(i64::MIN)),
            Duration::from_nanos(i64::MAX.unsigned_abs())
        );
    }
}
