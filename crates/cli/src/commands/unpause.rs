//! `unpause`: let the processes of paused containers go on.

use client::Request;

use super::shared;
use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::Matches,
};

pub(super) static COMMAND: Command = Command {
    paths: &["container unpause", "unpause"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Let the processes of paused containers go on",
    more: "",
    flags: &[],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    shared::each(&matches.args, |name| {
        client.call(Request::post(&["containers", name, "unpause"]))
    })
    .await
}
