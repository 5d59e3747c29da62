//! The printed lines: medians, ratios, and whether a promise is kept.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What has been printed so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    broken: Vec<String>,
}

impl Report {
    /// Prints one line as it is.
    pub(crate) fn note(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A closed pipe ends the listener's interest, not the measurement.
        drop(writeln!(out, "{text}"));
        drop(out.flush());
    }

    /// Begins a line of work.
    pub(crate) fn title(&mut self, text: &str) {
        self.note(&format!("\n{text}"));
    }

    /// Prints the median of each peer and how it stands to ours (the first).
    pub(crate) fn times(&mut self, rows: &[(String, Vec<Duration>)]) {
        let ours = rows.first().map(|(_, times)| median(times));
        for (name, times) in rows {
            let median = median(times);
            let ratio = ours.map_or(1.0, |ours| median.as_secs_f64() / ours.as_secs_f64());
            self.note(&format!(
                "  {name:<14} {:>9.2} ms   {ratio:>6.1} x   (n={}, {:.2} to {:.2})",
                millis(median),
                times.len(),
                millis(times.iter().min().copied().unwrap_or_default()),
                millis(times.iter().max().copied().unwrap_or_default()),
            ));
        }
    }

    /// States whether a promise is kept.
    pub(crate) fn promise(&mut self, what: &str, kept: bool) {
        self.note(&format!(
            "  {} {what}",
            if kept { "kept:  " } else { "BROKEN:" }
        ));
        if !kept {
            self.broken.push(what.to_owned());
        }
    }

    /// The summary; fails when a promise is broken.
    pub(crate) fn finish(mut self) -> ExitCode {
        if self.broken.is_empty() {
            self.note("\nevery measured promise is kept");
            return ExitCode::SUCCESS;
        }
        let broken = self.broken.join("\n  ");
        self.note(&format!("\nbroken promises:\n  {broken}"));
        ExitCode::FAILURE
    }
}

/// The middle of some times; zero of none.
#[must_use]
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// How many times slower `theirs` is than `ours`, pair by pair, the median of it.
#[must_use]
pub(crate) fn ratio(ours: &[Duration], theirs: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> = ours
        .iter()
        .zip(theirs)
        .map(|(ours, theirs)| theirs.as_secs_f64() / ours.as_secs_f64())
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(0.0)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_ratios_go_pair_by_pair() {
        let times = |list: &[u64]| {
            list.iter()
                .map(|ms| Duration::from_millis(*ms))
                .collect::<Vec<_>>()
        };
        assert_eq!(median(&times(&[9, 1, 5])), Duration::from_millis(5));
        assert_eq!(median(&[]), Duration::ZERO);
        assert!((ratio(&times(&[1, 2, 4]), &times(&[10, 40, 40])) - 10.0).abs() < 1e-9);
    }
}
