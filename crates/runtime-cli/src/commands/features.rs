//! `features`: what this runtime knows, in the spec's format.

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given};

pub(crate) const COMMAND: Command = Command {
    name: "features",
    arguments: "",
    about: "print what this runtime knows",
    flags: &[],
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, _: &Given) -> Result<u8, Error> {
    let text =
        serde_json::to_string_pretty(&runtime::features()).map_err(|source| Error::Json {
            path: globals.root.clone(),
            source,
        })?;
    crate::print(&(text + "\n"))
}
