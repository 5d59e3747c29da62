//! `start`: has a created container execute its program.

use oci::runtime::Status;
use runtime::Listener;

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given};
use crate::record::{Container, GATE, Standing};
use crate::removal;

pub(crate) const COMMAND: Command = Command {
    name: "start",
    arguments: "<container-id>",
    about: "execute the program of a created container",
    flags: &[],
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let container = Container::open(&globals.root, crate::only_id("start", given)?)?;
    match container.standing_unless_paused() {
        Standing::Created => {}
        Standing::Stopped => return Err(Error::StartStopped),
        Standing::Running => return Err(Error::StartRunning),
        standing => return Err(Error::StartOther { standing }),
    }
    let opened = runtime::open_gate(container.folder(), GATE, listener(&container)?.as_ref());
    if !matches!(opened, Err(runtime::Error::NotWaiting)) {
        container.remove_gate();
    }
    opened.map_err(|source| match source {
        // Somebody else was faster, or it has just been killed.
        runtime::Error::NotWaiting if container.init().is_some() => Error::StartRunning,
        runtime::Error::NotWaiting => Error::StartStopped,
        source => Error::Start { source },
    })?;
    let hooks = &container.record.poststart;
    if !hooks.is_empty() {
        let state = container.state(Status::Running);
        if let Err(source) = runtime::run_hooks("poststart", hooks, &state) {
            removal::kill(&container)?;
            return Err(Error::Hooks { source });
        }
    }
    Ok(0)
}

/// Who answers for its filter, if somebody does: the spec as kept has the listener, without the rules.
fn listener(container: &Container) -> Result<Option<Listener>, Error> {
    if !container.record.has_listener {
        return Ok(None);
    }
    let spec = container.spec()?;
    let state = container.state(Status::Created);
    Ok(spec.linux.and_then(|linux| Listener::of(&linux, state)))
}
