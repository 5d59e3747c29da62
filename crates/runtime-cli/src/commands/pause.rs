//! `pause`: stops every process of a container.

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given};
use crate::record::{Container, Standing};

pub(crate) const COMMAND: Command = Command {
    name: "pause",
    arguments: "<container-id>",
    about: "stop all processes of a container",
    flags: &[],
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let container = Container::open(&globals.root, crate::only_id("pause", given)?)?;
    match container.standing() {
        Standing::Running | Standing::Created => {}
        _ => return Err(Error::NotRunning),
    }
    let group = container.require_group()?;
    group.freeze().map_err(|source| Error::Cgroup { source })?;
    Ok(0)
}
