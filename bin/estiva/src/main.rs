//! The one binary: picks a face by subcommand or by the name it is called by.
//!
//! | called as                  | is                                                  |
//! |----------------------------|-----------------------------------------------------|
//! | `estiva-spawner`           | the spawner (only the daemon calls it so)           |
//! | `estiva daemon`, `dockerd` | the daemon                                          |
//! | `estiva runtime`, `estiva-runtime` | the OCI runtime                              |
//! | anything else              | the command line, `docker` as well as `estiva`      |
#![forbid(unsafe_code)]

mod daemon;
mod start;

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

// The OCI runtime's commands live for a millisecond: they do without what the standard library sets up for others.
sys::before_main!(runtime);

/// The OCI runtime, if we are called so.
fn runtime(argv: Vec<OsString>) -> Option<u8> {
    let name = Path::new(argv.first()?).file_name();
    if name == Some(OsStr::new("estiva-runtime")) {
        return Some(runtime_cli::main(argv[1..].to_vec()));
    }
    // A name of its own says more than the first word.
    let free = name != Some(OsStr::new("dockerd")) && shim::face(argv.first()?).is_none();
    match argv.get(1) {
        Some(word) if word == "runtime" && free => Some(runtime_cli::main(argv[2..].to_vec())),
        _ => None,
    }
}

fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let name = argv
        .first()
        .map(OsString::as_os_str)
        .unwrap_or_else(|| OsStr::new("estiva"));
    if let Some(face) = shim::face(name) {
        return face();
    }
    let called_dockerd = Path::new(name).file_name() == Some(OsStr::new("dockerd"));
    if called_dockerd {
        return daemon::main(&argv[1..]);
    }
    if argv.get(1).is_some_and(|word| word == "daemon") {
        return daemon::main(&argv[2..]);
    }
    let hooks = cli::Hooks {
        start_daemon: Cell::new(Some(Box::new(start::daemon))),
    };
    cli::main(argv, hooks)
}
