//! `kill`: sends a signal to running containers.

use client::{Query, Request};

use super::shared;
use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::{Flag, Kind, Matches, flag},
};

const FLAGS: &[Flag] = &[flag("signal", Kind::String, "Signal to send").short('s')];

pub(super) static COMMAND: Command = Command {
    paths: &["container kill", "kill"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Kill one or more running containers",
    more: "",
    flags: &[FLAGS],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let query = Query::new().with_some("signal", matches.text("signal"));
    shared::each(&matches.args, |name| {
        client.call(Request::post(&["containers", name, "kill"]).query(query.clone()))
    })
    .await
}
