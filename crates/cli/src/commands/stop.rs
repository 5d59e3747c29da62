//! `stop` and `restart`: end one or more running containers, first kindly, then by force; and start them again.

use client::{Query, Request};

use super::shared;
use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::{Flag, Kind, Matches, flag},
};

const FLAGS: &[Flag] = &[
    flag("signal", Kind::String, "Signal to send").short('s'),
    flag(
        "timeout",
        Kind::Int,
        "Seconds until the container is killed",
    )
    .short('t'),
];

pub(super) const COMMAND: Command = Command {
    paths: &["container stop", "stop"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Stop one or more running containers",
    more: "",
    flags: &[FLAGS],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches, "stop")),
};

pub(super) const RESTART: Command = Command {
    paths: &["container restart", "restart"],
    about: "Restart one or more containers",
    run: |cli, matches| Box::pin(run(cli, matches, "restart")),
    ..COMMAND
};

async fn run(cli: &Cli, matches: &Matches, verb: &str) -> Outcome {
    let client = cli.client()?;
    let mut query = Query::new();
    if matches.is_set("timeout") {
        query = query.with("t", matches.int("timeout").to_string());
    }
    query = query.with_some("signal", matches.text("signal"));
    shared::each(&matches.args, |name| {
        client.call(Request::post(&["containers", name, verb]).query(query.clone()))
    })
    .await
}
