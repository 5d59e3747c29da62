//! The command line alone, without an engine of its own: for trying it against any daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os().collect(), cli::Hooks::default())
}
