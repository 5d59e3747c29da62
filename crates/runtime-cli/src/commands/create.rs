//! `create`: makes a container that waits for `start`.

use crate::Command;
use crate::creation::{
    BUNDLE, CONFIG, CONSOLE_SOCKET, Made, Making, NO_NEW_KEYRING, NO_PIVOT, PID_FILE, PIDFD_SOCKET,
    PRESERVE_FDS,
};
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given, switch};
use crate::record::GATE;

pub(crate) const COMMAND: Command = Command {
    name: "create",
    arguments: "<container-id>",
    about: "create a container",
    flags: &[
        BUNDLE,
        CONFIG,
        CONSOLE_SOCKET,
        PID_FILE,
        PIDFD_SOCKET,
        switch(&["no-subreaper"], "ignored: orphans are not adopted"),
        NO_PIVOT,
        NO_NEW_KEYRING,
        PRESERVE_FDS,
    ],
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let id = crate::only_id("create", given)?;
    let failed = |source: Error| Error::Failed {
        what: "create failed",
        source: Box::new(source),
    };
    let mut making = Making::begin(globals, given, id, true).map_err(failed)?;
    match create(&mut making) {
        Ok(()) => Ok(0),
        Err(error) => {
            making.undo(globals);
            Err(failed(error))
        }
    }
}

fn create(making: &mut Making) -> Result<(), Error> {
    let gate =
        runtime::Gate::bind(making.container.folder(), GATE).map_err(|errno| Error::Streams {
            what: "make the start gate",
            source: errno.into(),
        })?;
    let mut kept = Ok(());
    let waiting = runtime::create_apart(making.order()?, gate, || kept = making.keep_for_execs())
        .map_err(|source| Error::Start { source })?;
    kept?;
    let made = Made {
        pid: waiting.pid,
        pidfd: Some(waiting.pidfd),
        terminal: waiting.console,
        shared_root: waiting.shared_root,
    };
    making.keep(made).map(drop)
}
