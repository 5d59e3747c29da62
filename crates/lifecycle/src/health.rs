//! The health check's schedule and what its results mean.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::{UnixNanos, go};

/// The most bytes of a probe's output that are kept.
pub const MAX_OUTPUT_BYTES: usize = 4096;
/// The most results that are kept.
const MAX_RESULTS: usize = 5;

/// When and how often a container is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// From the end of a probe to the start of the next.
    pub interval: Duration,
    /// How long a probe may take.
    pub timeout: Duration,
    /// For so long after the container's start, failures do not count.
    pub start_period: Duration,
    /// The interval in the start period, until the first success.
    pub start_interval: Duration,
    /// After so many failures in a row the container is unhealthy.
    pub retries: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            start_period: Duration::ZERO,
            start_interval: Duration::from_secs(5),
            retries: 3,
        }
    }
}

impl Schedule {
    /// The schedule from the API's numbers (nanoseconds); 0 is the default.
    #[must_use]
    pub fn from_nanos(
        interval: i64,
        timeout: i64,
        start_period: i64,
        start_interval: i64,
        retries: i64,
    ) -> Schedule {
        let default = Schedule::default();
        let or = |nanos: i64, default: Duration| match u64::try_from(nanos) {
            Ok(nanos) if nanos > 0 => Duration::from_nanos(nanos),
            _ => default,
        };
        Schedule {
            interval: or(interval, default.interval),
            timeout: or(timeout, default.timeout),
            start_period: or(start_period, default.start_period),
            start_interval: or(start_interval, default.start_interval),
            retries: u32::try_from(retries)
                .ok()
                .filter(|retries| *retries > 0)
                .unwrap_or(default.retries),
        }
    }
}

/// What the probes say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// There is no health check.
    #[default]
    None,
    /// No success yet, and not too many failures.
    Starting,
    /// The last probes succeeded.
    Healthy,
    /// Too many failures in a row.
    Unhealthy,
}

impl Status {
    /// Docker's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::None => "none",
            Status::Starting => "starting",
            Status::Healthy => "healthy",
            Status::Unhealthy => "unhealthy",
        }
    }
}

/// One probe's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When it began.
    pub start: UnixNanos,
    /// When it ended.
    pub end: UnixNanos,
    /// The probe's exit code; 0 is healthy, -1 when it did not end by itself.
    pub exit_code: i32,
    /// Its output, cut to [`MAX_OUTPUT_BYTES`].
    pub output: String,
}

impl Probe {
    /// A probe that ended by itself.
    #[must_use]
    pub fn ended(start: UnixNanos, end: UnixNanos, exit_code: i32, output: &[u8]) -> Probe {
        Probe {
            start,
            end,
            exit_code,
            output: cut(output),
        }
    }

    /// A probe that took longer than `timeout` and was killed.
    #[must_use]
    pub fn timed_out(start: UnixNanos, end: UnixNanos, timeout: Duration, output: &[u8]) -> Probe {
        let mut text = format!("Health check exceeded timeout ({})", go(timeout));
        if !output.is_empty() {
            text.push_str(": ");
            text.push_str(&cut(output));
        }
        Probe {
            start,
            end,
            exit_code: -1,
            output: text,
        }
    }

    /// A probe that could not be run.
    #[must_use]
    pub fn failed(start: UnixNanos, end: UnixNanos, error: &str) -> Probe {
        Probe {
            start,
            end,
            exit_code: -1,
            output: cut(error.as_bytes()),
        }
    }
}

/// The output as it is shown: at most 4096 bytes, `...` where something was cut off.
fn cut(output: &[u8]) -> String {
    if output.len() <= MAX_OUTPUT_BYTES {
        return String::from_utf8_lossy(output).into_owned();
    }
    let mut text = String::from_utf8_lossy(&output[..MAX_OUTPUT_BYTES]).into_owned();
    text.push_str("...");
    text
}

/// The health of one run of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What the probes say.
    pub status: Status,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last results, the newest at the end.
    pub log: VecDeque<Probe>,
}

impl Health {
    /// At the start of a run: the log of the run before stays to be read.
    pub fn begin(&mut self) {
        self.status = Status::Starting;
        self.failing_streak = 0;
    }

    /// The pause before the next probe, `uptime` after the container's start. The first probe comes after a pause too, and
    /// one comes right at the end of the start period.
    #[must_use]
    pub fn next_in(&self, schedule: &Schedule, uptime: Duration) -> Duration {
        match schedule.start_period.checked_sub(uptime) {
            None | Some(Duration::ZERO) => schedule.interval,
            Some(left) => {
                let pause = match self.status {
                    Status::Starting => schedule.start_interval,
                    _ => schedule.interval,
                };
                pause.min(left)
            }
        }
    }

    /// Takes note of a result; gives the new status when it has changed, to be announced as `health_status: …`.
    pub fn record(
        &mut self,
        schedule: &Schedule,
        started: UnixNanos,
        probe: Probe,
    ) -> Option<Status> {
        let before = self.status;
        let in_start_period = probe.start.since(started) < schedule.start_period;
        if probe.exit_code == 0 {
            self.failing_streak = 0;
            self.status = Status::Healthy;
        } else if !(self.status == Status::Starting && in_start_period) {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= schedule.retries {
                self.status = Status::Unhealthy;
            }
        }
        while self.log.len() >= MAX_RESULTS {
            self.log.pop_front();
        }
        self.log.push_back(probe);
        (self.status != before).then_some(self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn probe(second: i64, exit_code: i32) -> Probe {
        Probe::ended(
            UnixNanos(second * SECOND),
            UnixNanos((second + 1) * SECOND),
            exit_code,
            b"",
        )
    }

    #[test]
    fn three_failures_in_a_row_are_unhealthy_and_one_success_heals() {
        let schedule = Schedule::default();
        let mut health = Health::default();
        health.begin();
        let mut changes = Vec::new();
        for (second, code) in [(30, 1), (60, 0), (90, 1), (120, 1), (150, 2), (180, 0)] {
            changes.push(health.record(&schedule, UnixNanos(0), probe(second, code)));
        }
        let expect = [
            None,
            Some(Status::Healthy),
            None,
            None,
            Some(Status::Unhealthy),
            Some(Status::Healthy),
        ];
        assert_eq!(changes, expect);
        assert_eq!(health.log.len(), 5);
        assert_eq!(health.log[0].start, UnixNanos(60 * SECOND));
        assert_eq!(health.failing_streak, 0);
    }

    #[test]
    fn failures_in_the_start_period_do_not_count_until_the_first_success() {
        let schedule = Schedule {
            start_period: Duration::from_secs(100),
            retries: 1,
            ..Schedule::default()
        };
        let mut health = Health::default();
        health.begin();
        assert_eq!(health.record(&schedule, UnixNanos(0), probe(50, 1)), None);
        assert_eq!(
            (health.status, health.failing_streak),
            (Status::Starting, 0)
        );
        health.record(&schedule, UnixNanos(0), probe(60, 0));
        assert_eq!(
            health.record(&schedule, UnixNanos(0), probe(70, 1)),
            Some(Status::Unhealthy)
        );
    }

    #[test]
    fn the_start_interval_holds_until_healthy_or_the_period_ends() {
        let schedule = Schedule {
            start_period: Duration::from_secs(20),
            ..Schedule::default()
        };
        let mut health = Health::default();
        health.begin();
        let next = |health: &Health, uptime| {
            health
                .next_in(&schedule, Duration::from_secs(uptime))
                .as_secs()
        };
        assert_eq!(next(&health, 0), 5);
        assert_eq!(next(&health, 18), 2);
        assert_eq!(next(&health, 20), 30);
        health.status = Status::Healthy;
        assert_eq!(next(&health, 0), 20);
    }

    #[test]
    fn output_is_cut_and_a_timeout_says_so() {
        let at = UnixNanos(0);
        assert_eq!(
            Probe::ended(at, at, 0, &[b'x'; 5000]).output.len(),
            MAX_OUTPUT_BYTES + 3
        );
        assert_eq!(
            Probe::timed_out(at, at, Duration::from_secs(90), b"").output,
            "Health check exceeded timeout (1m30s)"
        );
    }
}
