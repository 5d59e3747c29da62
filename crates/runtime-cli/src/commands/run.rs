//! `run`: creates a container, starts it, and stays beside it unless told to leave.

use crate::Command;
use crate::creation::{
    BUNDLE, CONFIG, CONSOLE_SOCKET, Made, Making, NO_NEW_KEYRING, NO_PIVOT, PID_FILE, PIDFD_SOCKET,
    PRESERVE_FDS,
};
use crate::error::Error;
use crate::foreground::{self, Watch};
use crate::globals::Globals;
use crate::options::{Ends, Given, switch};
use crate::removal;

pub(crate) const COMMAND: Command = Command {
    name: "run",
    arguments: "<container-id>",
    about: "create and start a container",
    flags: &[
        BUNDLE,
        CONFIG,
        CONSOLE_SOCKET,
        switch(&["detach", "d"], "leave the container running"),
        switch(&["keep"], "do not delete the container when it ends"),
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
    let id = crate::only_id("run", given)?;
    let failed = |source: Error| Error::Failed {
        what: "run failed",
        source: Box::new(source),
    };
    let detach = given.is_on("detach");
    let mut making = Making::begin(globals, given, id, detach).map_err(failed)?;
    let code = match follow(&mut making, detach) {
        Ok(code) => code,
        Err(error) => {
            making.undo(globals);
            return Err(failed(error));
        }
    };
    if !detach && !given.is_on("keep") {
        removal::remove(globals, &making.container)?;
    }
    Ok(code)
}

fn follow(making: &mut Making, detach: bool) -> Result<u8, Error> {
    let watch = match detach {
        true => None,
        false => Some(Watch::begin()?),
    };
    making.keep_for_execs()?;
    let started = runtime::run(making.order()?).map_err(|source| Error::Start { source })?;
    let made = Made {
        pid: started.pid,
        pidfd: started.pidfd.try_clone().ok(),
        terminal: started.console,
        shared_root: started.shared_root,
    };
    let terminal = making.keep(made)?;
    let Some(watch) = watch else { return Ok(0) };
    let code = foreground::accompany(&watch, &started.pidfd, terminal)?;
    Ok(u8::try_from(code).unwrap_or(255))
}
