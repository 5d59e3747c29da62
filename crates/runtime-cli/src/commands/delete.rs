//! `delete`: removes a container that has ended, or ends it first.

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given, switch};
use crate::pattern;
use crate::record::{Container, Standing};
use crate::removal;

pub(crate) const COMMAND: Command = Command {
    name: "delete",
    arguments: "<container-id>",
    about: "delete what a container holds",
    flags: &[
        switch(&["force", "f"], "kill the container first if it still runs"),
        pattern::REGEX,
    ],
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let force = given.is_on("force");
    let id = crate::only_id("delete", given)?;
    if given.is_on("regex") {
        return pattern::each(globals, id, |container| delete(globals, container, force));
    }
    match Container::open(&globals.root, id) {
        Err(Error::NotFound) if force => {}
        other => delete(globals, &other?, force)?,
    }
    Ok(0)
}

fn delete(globals: &Globals, container: &Container, force: bool) -> Result<(), Error> {
    match container.standing_unless_paused() {
        Standing::Stopped => {}
        // It has not executed anything yet.
        Standing::Created => removal::kill(container)?,
        standing if force => end(container, standing)?,
        _ => {
            return Err(Error::NotStopped {
                id: container.record.id.clone(),
                standing: container.standing(),
            });
        }
    }
    removal::remove(globals, container)
}

fn end(container: &Container, standing: Standing) -> Result<(), Error> {
    if standing == Standing::Creating
        && let Some(group) = container.group()?
    {
        // Its creator was killed before it could write the pid down.
        group
            .kill_all()
            .map_err(|source| Error::Cgroup { source })?;
    }
    removal::kill(container)
}
