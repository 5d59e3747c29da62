//! The restart policy: whether and when a container that has ended is started again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The first pause before a restart; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Who ran for so long has not failed at once: the pauses begin anew.
const SETTLED: Duration = Duration::from_secs(10);

/// When a container is started again by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When it has ended with a code other than 0, at most `max` times in a row (0: without end).
    OnFailure {
        /// How many times.
        max: u32,
    },
    /// However it has ended, unless a user ended it; at the daemon's start also then.
    Always,
    /// However it has ended, unless a user ended it.
    UnlessStopped,
}

/// Why a text is no restart policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The name is unknown.
    #[error(
        "invalid restart policy: unknown policy '{0}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
    )]
    Unknown(String),
    /// The number after the colon is none.
    #[error("invalid restart policy format: maximum retry count must be an integer")]
    Number,
    /// There is more than one colon.
    #[error("invalid restart policy format: maximum retry count must be an integer")]
    Format,
    /// A maximum for a policy that has none.
    #[error("invalid restart policy: maximum retry count can only be used with 'on-failure'")]
    MaximumWithout,
    /// A negative maximum.
    #[error("invalid restart policy: maximum retry count cannot be negative")]
    Negative,
}

impl PolicyError {
    /// What this error means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        fault::Kind::Invalid
    }
}

impl RestartPolicy {
    /// The policy by name and maximum, as the API has them; an empty name is `no`.
    ///
    /// # Errors
    /// When the name is unknown, or the maximum negative or given to a policy that has none.
    pub fn from_parts(name: &str, max: i64) -> Result<RestartPolicy, PolicyError> {
        let policy = match name {
            "" | "no" => RestartPolicy::No,
            "always" => RestartPolicy::Always,
            "unless-stopped" => RestartPolicy::UnlessStopped,
            "on-failure" => RestartPolicy::OnFailure {
                max: u32::try_from(max).map_err(|_| PolicyError::Negative)?,
            },
            unknown => return Err(PolicyError::Unknown(unknown.to_owned())),
        };
        if max != 0 && !matches!(policy, RestartPolicy::OnFailure { .. }) {
            return Err(PolicyError::MaximumWithout);
        }
        Ok(policy)
    }

    /// The policy's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RestartPolicy::No => "no",
            RestartPolicy::OnFailure { .. } => "on-failure",
            RestartPolicy::Always => "always",
            RestartPolicy::UnlessStopped => "unless-stopped",
        }
    }

    /// `MaximumRetryCount` of the API.
    #[must_use]
    pub fn max(self) -> u32 {
        match self {
            RestartPolicy::OnFailure { max } => max,
            _ => 0,
        }
    }

    /// What to do with a container that has just ended. `backoff` is kept with the container from run to run.
    #[must_use]
    pub fn decide(self, run: Run, backoff: &mut Backoff) -> Decision {
        let again = !run.by_user && self.wants(run.code, backoff.count);
        if !again {
            return Decision::Stay;
        }
        Decision::Restart {
            after: backoff.next(run.uptime),
        }
    }

    /// Whether a daemon that starts and finds the container ended has to start it. Who was never started stays; `always`
    /// brings back even what a user has stopped.
    #[must_use]
    pub fn revives(self, last: LastRun) -> bool {
        match (self, last) {
            (_, LastRun::Never) => false,
            (RestartPolicy::Always, _) => true,
            (RestartPolicy::UnlessStopped, LastRun::Ended { by_user, .. }) => !by_user,
            (policy, LastRun::Ended { code, count, .. }) => policy.wants(code, count),
        }
    }

    fn wants(self, code: i32, count: u32) -> bool {
        match self {
            RestartPolicy::No => false,
            RestartPolicy::OnFailure { max } => code != 0 && (max == 0 || count < max),
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        }
    }
}

/// A run that has just ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Its exit code.
    pub code: i32,
    /// A user asked for its end.
    pub by_user: bool,
    /// How long it ran.
    pub uptime: Duration,
}

/// What a starting daemon knows of a container that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastRun {
    /// It was never started.
    Never,
    /// It ran.
    Ended {
        /// Its exit code.
        code: i32,
        /// A user asked for its end.
        by_user: bool,
        /// How often the policy had started it.
        count: u32,
    },
}

/// What to do with a container that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start it again after this pause.
    Restart {
        /// The pause.
        after: Duration,
    },
    /// Leave it ended.
    Stay,
}

/// How often the policy has started a container, and how long it waited last. A start by a user begins anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// `RestartCount` of inspect.
    pub count: u32,
    /// The last pause; zero before the first.
    pub pause: Duration,
}

impl Backoff {
    fn next(&mut self, uptime: Duration) -> Duration {
        if uptime >= SETTLED {
            self.pause = Duration::ZERO;
        }
        self.pause = match self.pause {
            Duration::ZERO => FIRST_PAUSE,
            pause => (pause * 2).min(LONGEST_PAUSE),
        };
        self.count = self.count.saturating_add(1);
        self.pause
    }
}

/// `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:5`.
impl FromStr for RestartPolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let (name, max) = match text.split_once(':') {
            None => (text, 0),
            Some((_, rest)) if rest.contains(':') => return Err(PolicyError::Format),
            Some((name, max)) => (name, max.parse().map_err(|_| PolicyError::Number)?),
        };
        RestartPolicy::from_parts(name, max)
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestartPolicy::OnFailure { max } if *max > 0 => write!(f, "on-failure:{max}"),
            policy => f.write_str(policy.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written() {
        for text in [
            "no",
            "always",
            "unless-stopped",
            "on-failure",
            "on-failure:5",
        ] {
            let policy: RestartPolicy = text.parse().expect("a policy");
            assert_eq!(policy.to_string(), text);
        }
        assert_eq!("".parse(), Ok(RestartPolicy::No));
        for text in [
            "sometimes",
            "on-failure:x",
            "on-failure:-1",
            "always:3",
            "on-failure:1:2",
        ] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
    }

    fn run(code: i32, by_user: bool, seconds: u64) -> Run {
        Run {
            code,
            by_user,
            uptime: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn pauses_double_to_a_minute_and_begin_anew_after_ten_seconds_of_life() {
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            match RestartPolicy::Always.decide(run(1, false, 0), &mut backoff) {
                Decision::Restart { after } => pauses.push(after.as_millis()),
                Decision::Stay => panic!("always restarts"),
            }
        }
        assert_eq!(
            pauses,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000
            ]
        );
        assert_eq!(
            RestartPolicy::Always.decide(run(0, false, 10), &mut backoff),
            Decision::Restart { after: FIRST_PAUSE }
        );
        assert_eq!(backoff.count, 13);
    }

    #[test]
    fn each_policy_decides_as_it_says() {
        let stays = |policy: RestartPolicy, run, count| {
            let mut backoff = Backoff {
                count,
                ..Backoff::default()
            };
            policy.decide(run, &mut backoff) == Decision::Stay
        };
        let thrice = RestartPolicy::OnFailure { max: 3 };
        assert!(stays(RestartPolicy::No, run(1, false, 0), 0));
        assert!(stays(thrice, run(0, false, 0), 0));
        assert!(!stays(thrice, run(1, false, 0), 2));
        assert!(stays(thrice, run(1, false, 0), 3));
        assert!(!stays(
            RestartPolicy::OnFailure { max: 0 },
            run(1, false, 0),
            999
        ));
        assert!(!stays(RestartPolicy::UnlessStopped, run(0, false, 0), 0));
        // Whom a user stops stays, whatever the policy.
        assert!(stays(RestartPolicy::Always, run(137, true, 0), 0));
        assert!(stays(RestartPolicy::UnlessStopped, run(137, true, 0), 0));
    }

    #[test]
    fn a_starting_daemon_revives_what_the_policy_wants() {
        let ended = |code, by_user| LastRun::Ended {
            code,
            by_user,
            count: 0,
        };
        assert!(RestartPolicy::Always.revives(ended(0, true)));
        assert!(!RestartPolicy::Always.revives(LastRun::Never));
        assert!(!RestartPolicy::UnlessStopped.revives(ended(0, true)));
        assert!(RestartPolicy::UnlessStopped.revives(ended(0, false)));
        assert!(RestartPolicy::OnFailure { max: 0 }.revives(ended(1, false)));
        assert!(!RestartPolicy::OnFailure { max: 0 }.revives(ended(0, false)));
        assert!(!RestartPolicy::No.revives(ended(1, false)));
    }
}
