//! `resume`: lets a paused container go on.

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given};
use crate::record::{Container, Standing};

pub(crate) const COMMAND: Command = Command {
    name: "resume",
    arguments: "<container-id>",
    about: "let the processes of a paused container go on",
    flags: &[],
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let container = Container::open(&globals.root, crate::only_id("resume", given)?)?;
    if container.standing() != Standing::Paused {
        return Err(Error::NotPaused);
    }
    let group = container.require_group()?;
    group.thaw().map_err(|source| Error::Cgroup { source })?;
    Ok(0)
}
