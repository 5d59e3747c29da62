//! The command line: docker's commands, flags and texts.
//!
//! * `command`, `commands/<name>`: what a command is, and one file for each;
//! * `create`: the options of run and create become the body of the create request;
//! * `flags`, `help`, `dispatch`: from the words of a call to a command, its flags and its help;
//! * `format`, `template`, `tabwriter`, `human`: rows become tables, JSON or templates;
//! * `streams`, `terminal`, `signals`: a container's input and output, and this terminal;
//! * `out`: the one way to the terminal.
#![forbid(unsafe_code)]

pub mod command;
mod commands;
mod create;
mod dispatch;
pub mod flags;
mod format;
mod help;
mod human;
mod json;
mod out;
mod signals;
mod streams;
mod tabwriter;
mod template;
mod terminal;
mod times;
mod values;

use std::{cell::Cell, ffi::OsString, process::ExitCode};

/// What the binary lends to the command line.
#[derive(Default)]
pub struct Hooks {
    /// Starts the default daemon when nobody listens at its socket.
    pub start_daemon: Cell<Option<client::Start>>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

/// The version of this command line.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs one call and returns its exit code.
#[must_use]
pub fn main(argv: Vec<OsString>, hooks: Hooks) -> ExitCode {
    let words: Vec<String> = argv
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let program = words
        .first()
        .and_then(|word| word.rsplit('/').next())
        .filter(|name| !name.is_empty())
        .unwrap_or("estiva")
        .to_owned();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            out::complain(format!("{program}: start the event loop: {error}"));
            return ExitCode::from(125);
        }
    };
    let code = runtime.block_on(dispatch::run(
        program,
        words.get(1..).unwrap_or_default(),
        hooks,
    ));
    // A read of standard input may still be waiting: do not wait for it.
    runtime.shutdown_background();
    ExitCode::from(code)
}
