//! Real containers through the spawner and a shim: what the kernel and the files say afterwards.
//!
//! Not libtest's harness: the spawner must fork before there is a second thread, and this program is also what it executes.
//! Needs root. `cargo test -p estiva-shim --test containers [name…]` runs those whose name contains a word.

#[path = "containers/attaching.rs"]
mod attaching;
#[path = "containers/ending.rs"]
mod ending;
#[path = "containers/executing.rs"]
mod executing;
#[path = "containers/flooding.rs"]
mod flooding;
#[path = "containers/isolation.rs"]
mod isolation;
#[path = "containers/publishing.rs"]
mod publishing;
#[path = "containers/surviving.rs"]
mod surviving;
mod testkit;

use std::process::ExitCode;

use testkit::{Kit, Test};

#[expect(clippy::print_stdout, reason = "this is a test harness")]
fn main() -> ExitCode {
    let argv0 = std::env::args_os().next().unwrap_or_default();
    if let Some(face) = shim::face(&argv0) {
        return face();
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: containers need root");
        return ExitCode::SUCCESS;
    }
    let kit = Kit::new(shim::spawner::start().expect("the spawner starts"));
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let all: Vec<(&str, Test)> = [
        attaching::TESTS,
        ending::TESTS,
        executing::TESTS,
        flooding::TESTS,
        isolation::TESTS,
        publishing::TESTS,
        surviving::TESTS,
    ]
    .concat();
    let mut failed = Vec::new();
    for (name, test) in all {
        if !words.is_empty() && !words.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let begin = std::time::Instant::now();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&kit)));
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!(
            "test {name} ... {word} ({} ms)",
            begin.elapsed().as_millis()
        );
        if outcome.is_err() {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}");
    ExitCode::FAILURE
}
