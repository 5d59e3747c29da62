//! Measures estiva and the peers it finds on this machine on the same work, turn by turn, and prints medians and ratios.
//!
//! `cargo run --release -p bench -- [LINE...]`; without a line all of them. Build the release binary first, or name one in
//! `ESTIVA_BIN`. Peers: dockerd with its client, podman, runc, crun; those that are missing are left out and named.
//! `bench floor …` is no line but a program of its own, which the line `runtime` executes.
#![forbid(unsafe_code)]

mod borrowed;
mod build;
mod bundle;
mod floor;
mod image;
mod measure;
mod network;
mod peer;
mod report;
mod runtime;
mod sizes;
mod starts;

use std::process::ExitCode;

use peer::Peers;
use report::Report;

/// What measures a line of the report.
#[derive(Clone, Copy)]
enum Measure {
    /// With the engines.
    Engines(fn(&mut Peers, &mut Report)),
    /// Without any: ours alone, or runtimes alone.
    Alone(fn(&mut Report)),
}

/// The lines of the report. Engines come first, and of them what they need when fresh: they end before something is
/// measured alone.
const LINES: &[(&str, Measure)] = &[
    ("memory", Measure::Engines(sizes::memory)),
    ("run", Measure::Engines(starts::run)),
    ("exec", Measure::Engines(starts::exec)),
    ("many", Measure::Engines(starts::many)),
    ("later", Measure::Engines(starts::later)),
    ("load", Measure::Engines(image::load)),
    ("logs", Measure::Engines(sizes::logs)),
    ("network-run", Measure::Alone(network::run)),
    ("network-create", Measure::Alone(network::create)),
    ("network-flow", Measure::Alone(network::flow)),
    ("network-names", Measure::Alone(network::names)),
    ("network-many", Measure::Alone(network::many)),
    ("network-later", Measure::Alone(network::later)),
    ("runtime", Measure::Alone(runtime::runtime)),
    ("build", Measure::Alone(build::build)),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("floor", rest)) = words
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        return floor::main(rest);
    }
    let mut report = Report::default();
    let is_line = |word: &String| LINES.iter().any(|(line, _)| is_meant(line, word));
    if let Some(name) = words.iter().find(|word| !is_line(word)) {
        let names: Vec<&str> = LINES.iter().map(|(line, _)| *line).collect();
        report.note(&format!("no line {name:?}; there are: {}", names.join(" ")));
        return ExitCode::from(2);
    }
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| is_meant(name, word));
    let mut peers = None;
    for (_, measure) in LINES.iter().filter(|(name, _)| is_wanted(name)) {
        match measure {
            Measure::Engines(measure) => {
                let peers = peers.get_or_insert_with(|| Peers::start(&mut report));
                measure(peers, &mut report);
            }
            Measure::Alone(measure) => {
                drop(peers.take());
                measure(&mut report);
            }
        }
    }
    drop(peers);
    report.finish()
}

/// Whether a word of the user means this line: its name, or what the names of several begin with ("network").
fn is_meant(line: &str, word: &str) -> bool {
    line.strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
