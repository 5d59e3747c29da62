//! Chores of the house. `cargo xtask tidy` checks the rules that neither compiler nor linter knows.
#![forbid(unsafe_code)]

mod dependencies;
mod files;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = root();
    let complaints = match std::env::args().nth(1).as_deref() {
        Some("tidy") => tidy(&root),
        _ => vec!["usage: cargo xtask tidy".to_owned()],
    };
    let mut out = std::io::stderr().lock();
    for complaint in &complaints {
        // Nobody is there to be told when even this fails.
        drop(writeln!(out, "{complaint}"));
    }
    match complaints.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn tidy(root: &Path) -> Vec<String> {
    let mut complaints = files::check(root);
    complaints.extend(dependencies::check(root));
    complaints
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
        .to_owned()
}
