//! Real containers, with busybox inside; every assertion is on the kernel's answer.
//!
//! Needs root and a static busybox; without them it says so and passes.

#![expect(
    clippy::print_stdout,
    reason = "a test runner of its own says what it runs"
)]

#[path = "containers/confinement.rs"]
mod confinement;
#[path = "containers/errors.rs"]
mod errors;
#[path = "containers/execs.rs"]
mod execs;
#[path = "containers/life.rs"]
mod life;
#[path = "containers/mounts.rs"]
mod mounts;
#[path = "containers/namespaces.rs"]
mod namespaces;
#[path = "containers/testbed.rs"]
mod testbed;

use std::panic::catch_unwind;
use std::process::ExitCode;

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|each| !each.starts_with('-'))
        .collect();
    if let Some(reason) = testbed::missing() {
        println!("skipped: {reason}");
        return ExitCode::SUCCESS;
    }
    let all: Vec<Test> = [
        life::TESTS,
        errors::TESTS,
        confinement::TESTS,
        mounts::TESTS,
        namespaces::TESTS,
        execs::TESTS,
    ]
    .concat();
    let mut failed = Vec::new();
    for (name, test) in all {
        if !wanted.is_empty() && !wanted.iter().any(|each| name.contains(each.as_str())) {
            continue;
        }
        let ok = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        if !ok {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("failed: {failed:?}");
        ExitCode::FAILURE
    }
}
