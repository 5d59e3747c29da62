//! Measures estiva and the peers it finds on this machine on the same work, turn by turn, and prints medians and ratios.
//!
//! `cargo run --release -p bench -- [LINE...]`; without a line all of them. Build the release binary first, or name one in
//! `ESTIVA_BIN`. Peers: dockerd with its client, podman, runc, crun; those that are missing are left out and named.
#![forbid(unsafe_code)]

mod build;
mod bundle;
mod image;
mod peer;
mod report;
mod sizes;
mod starts;

use std::process::ExitCode;

use peer::Peers;
use report::Report;

/// A line of the report: its name and what measures it.
type Line = (&'static str, fn(&mut Peers, &mut Report));

const LINES: &[Line] = &[
    ("run", starts::run),
    ("exec", starts::exec),
    ("many", starts::many),
    ("later", starts::later),
    ("memory", sizes::memory),
    ("load", image::load),
    ("logs", sizes::logs),
    ("build", build::build),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let unknown = wanted
        .iter()
        .find(|name| !LINES.iter().any(|(line, _)| line == name));
    let mut report = Report::default();
    if let Some(name) = unknown {
        let names: Vec<&str> = LINES.iter().map(|(line, _)| *line).collect();
        report.note(&format!("no line {name:?}; there are: {}", names.join(" ")));
        return ExitCode::from(2);
    }
    let mut peers = Peers::start(&mut report);
    for (name, measure) in LINES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(&mut peers, &mut report);
        }
    }
    drop(peers);
    report.finish()
}
