//! `cp`: files between a container and here, as tar streams, by Docker's rules for names.

mod from;
mod paths;
mod to;

use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
};

const FLAGS: &[Flag] = &[
    flag("archive", Kind::Bool, "Keep user and group ids").short('a'),
    flag(
        "follow-link",
        Kind::Bool,
        "Follow a symbolic link in SRC_PATH",
    )
    .short('L'),
    flag("quiet", Kind::Bool, "Do not tell what was copied").short('q'),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container cp", "cp"],
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    about: "Copy files between a container and here",
    more: "'-' as the source reads a tar archive from STDIN and extracts it in a folder\nof the container; '-' as the destination writes one to STDOUT.",
    flags: &[FLAGS],
    args: Args::Exactly(2),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let (source, target) = (&matches.args[0], &matches.args[1]);
    if source.is_empty() {
        return Err(Failure::new("source can not be empty"));
    }
    if target.is_empty() {
        return Err(Failure::new("destination can not be empty"));
    }
    match (paths::split(source), paths::split(target)) {
        ((Some(container), path), (None, target)) => {
            from::copy(cli, matches, container, path, target).await
        }
        ((None, source), (Some(container), path)) => {
            to::copy(cli, matches, source, container, path).await
        }
        ((Some(_), _), (Some(_), _)) => {
            Err(Failure::new("copying between containers is not supported"))
        }
        ((None, _), (None, _)) => Err(Failure::new("must specify at least one container source")),
    }
}
