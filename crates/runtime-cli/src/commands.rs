//! The commands, one file each.

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod restore;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod update;

use crate::Command;

/// All of them, as help lists them.
pub(crate) const ALL: &[Command] = &[
    checkpoint::COMMAND,
    create::COMMAND,
    delete::COMMAND,
    events::COMMAND,
    exec::COMMAND,
    features::COMMAND,
    kill::COMMAND,
    list::COMMAND,
    pause::COMMAND,
    ps::COMMAND,
    restore::COMMAND,
    resume::COMMAND,
    run::COMMAND,
    spec::COMMAND,
    start::COMMAND,
    state::COMMAND,
    update::COMMAND,
];
