//! `checkpoint`: not built.

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given};

pub(crate) const COMMAND: Command = Command {
    name: "checkpoint",
    arguments: "<container-id>",
    about: "not built: it needs criu",
    flags: &[],
    ends: Ends::AtArgument,
    run,
};

fn run(_: &Globals, _: &Given) -> Result<u8, Error> {
    Err(Error::Criu {
        command: "checkpoint",
    })
}
