//! The commands, one file each, and how a name finds its command.

mod attach;
mod commit;
mod container_prune;
mod context;
mod cp;
mod create;
mod diff;
mod events;
mod exec;
mod export;
mod history;
mod image_prune;
mod images;
mod import;
mod info;
mod inspect;
mod kill;
mod load;
mod logs;
mod network;
mod pause;
mod port;
mod ps;
mod pull;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod shared;
mod start;
mod stats;
mod stop;
mod system_df;
mod system_prune;
mod tag;
mod top;
mod unpause;
mod update;
pub(crate) mod version;
mod volume;
mod wait;

use crate::command::Command;

/// Every command.
pub(crate) static ALL: &[&Command] = &[
    &attach::COMMAND,
    &commit::COMMAND,
    &container_prune::COMMAND,
    &context::LS,
    &context::INSPECT,
    &context::USE,
    &context::SHOW,
    &cp::COMMAND,
    &create::COMMAND,
    &diff::COMMAND,
    &events::COMMAND,
    &exec::COMMAND,
    &export::COMMAND,
    &history::COMMAND,
    &image_prune::COMMAND,
    &images::COMMAND,
    &import::COMMAND,
    &info::COMMAND,
    &inspect::COMMAND,
    &inspect::CONTAINER,
    &inspect::IMAGE,
    &inspect::NETWORK,
    &inspect::VOLUME,
    &kill::COMMAND,
    &load::COMMAND,
    &logs::COMMAND,
    &network::connect::COMMAND,
    &network::create::COMMAND,
    &network::disconnect::COMMAND,
    &network::ls::COMMAND,
    &network::prune::COMMAND,
    &network::rm::COMMAND,
    &pause::COMMAND,
    &port::COMMAND,
    &ps::COMMAND,
    &pull::COMMAND,
    &rename::COMMAND,
    &restart::COMMAND,
    &rm::COMMAND,
    &rmi::COMMAND,
    &run::COMMAND,
    &save::COMMAND,
    &start::COMMAND,
    &stats::COMMAND,
    &stop::COMMAND,
    &system_df::COMMAND,
    &system_prune::COMMAND,
    &tag::COMMAND,
    &top::COMMAND,
    &unpause::COMMAND,
    &update::COMMAND,
    &version::COMMAND,
    &volume::CREATE,
    &volume::LS,
    &volume::PRUNE,
    &volume::RM,
    &wait::COMMAND,
];

/// The command with this full name.
pub(crate) fn find(path: &str) -> Option<&'static Command> {
    ALL.iter()
        .copied()
        .find(|command| command.paths.contains(&path))
}

/// Why a command of Docker's is not here, if it is one.
pub(crate) fn not_built(path: &str) -> Option<&'static str> {
    match path {
        "build" | "image build" | "builder" | "buildx" => {
            Some("images come by load, import or commit")
        }
        "push" | "image push" | "login" | "logout" | "search" | "manifest" | "trust" => {
            Some("registries are not reachable yet; use save and load")
        }
        "compose" => Some("use the docker compose plugin with DOCKER_HOST"),
        "swarm" | "node" | "service" | "stack" | "secret" | "config" => {
            Some("clusters are left to Kubernetes")
        }
        "plugin" | "checkpoint" => Some("no such feature exists"),
        "context create" | "context rm" | "context update" | "context export"
        | "context import" => Some("contexts are read and chosen only; docker writes them"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_means_one_command() {
        let mut seen = HashSet::new();
        for path in ALL.iter().flat_map(|command| command.paths) {
            assert!(seen.insert(path), "{path} is taken twice");
        }
    }

    #[test]
    fn no_command_has_two_flags_of_one_name() {
        for command in ALL {
            let mut longs = HashSet::new();
            let mut shorts = HashSet::new();
            for flag in command.flags.iter().flat_map(|table| table.iter()) {
                assert!(
                    longs.insert(flag.long),
                    "{:?} --{}",
                    command.paths,
                    flag.long
                );
                if let Some(letter) = flag.short {
                    assert!(shorts.insert(letter), "{:?} -{letter}", command.paths);
                }
            }
        }
    }
}
