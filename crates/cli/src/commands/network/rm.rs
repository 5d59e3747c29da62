//! `network rm`.

use client::Request;

use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Kind, Matches, flag},
    out,
};

pub(in crate::commands) static COMMAND: Command = Command {
    paths: &["network rm", "network remove"],
    usage: "NETWORK [NETWORK...]",
    about: "Remove one or more networks",
    more: "",
    flags: &[&[flag(
        "force",
        Kind::Bool,
        "Do not mind networks that are not there",
    )
    .short('f')]],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let force = matches.on("force");
    let mut failed = Vec::new();
    for name in &matches.args {
        match client.call(Request::delete(&["networks", name])).await {
            Ok(()) => out::line(name),
            Err(error) if force && error.is_not_found() => {}
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    Err(Failure::new(failed.join("\n")))
}
