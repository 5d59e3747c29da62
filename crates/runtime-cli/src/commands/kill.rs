//! `kill`: sends a signal to a container's first process, or to all.

use std::os::fd::AsFd;

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given, switch};
use crate::pattern;
use crate::record::Container;
use crate::signals;

pub(crate) const COMMAND: Command = Command {
    name: "kill",
    arguments: "<container-id> [signal]",
    about: "send a signal (default: SIGTERM) to a container",
    flags: &[
        switch(&["all", "a"], "send it to every process of the container"),
        pattern::REGEX,
    ],
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let (id, word) = match given.args.as_slice() {
        [id] => (id, "SIGTERM"),
        [id, word] => (id, word.as_str()),
        _ => {
            return Err(Error::Arguments {
                command: "kill",
                expected: "it takes a container's id and perhaps a signal",
            });
        }
    };
    let signal = signals::parse(word)?;
    let all = given.is_on("all");
    if given.is_on("regex") {
        return pattern::each(globals, id, |container| send(container, signal, all));
    }
    send(&Container::open(&globals.root, id)?, signal, all)?;
    Ok(0)
}

fn send(container: &Container, signal: i32, all: bool) -> Result<(), Error> {
    // Without a cgroup nobody knows of more than the first one, whose end is that of its namespace.
    if all && !container.record.without_cgroup {
        return to_all(container, signal);
    }
    let init = container.init().ok_or(Error::NotRunning)?;
    if signal == signals::KILL && !container.record.owns_pids && !container.record.without_cgroup {
        // Its other processes would live on.
        return to_all(container, signal);
    }
    sys::process::send_signal(init.as_fd(), signal).map_err(|source| {
        match source.raw_os_error() {
            Some(3) => Error::NotRunning,
            _ => Error::Kill { source },
        }
    })?;
    // A v1 freezer keeps even SIGKILL from arriving.
    if signal == signals::KILL && container.is_frozen() {
        thaw(container)?;
    }
    Ok(())
}

fn thaw(container: &Container) -> Result<(), Error> {
    match container.group()? {
        Some(group) => group.thaw().map_err(|source| Error::Cgroup { source }),
        None => Ok(()),
    }
}

fn to_all(container: &Container, signal: i32) -> Result<(), Error> {
    let Some(group) = container.group()? else {
        return Err(Error::NotRunning);
    };
    let failed = |source| Error::Cgroup { source };
    if signal == signals::KILL {
        return group.kill_all().map_err(failed);
    }
    for pid in group.pids().map_err(failed)? {
        match sys::process::kill(pid, signal) {
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(3) => {}
            other => other.map_err(|source| Error::Kill { source })?,
        }
    }
    Ok(())
}
