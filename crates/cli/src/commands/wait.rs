//! `wait`: blocks until containers stop and prints their exit codes.

use client::Request;

use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::Matches,
    json, out,
};

pub(super) static COMMAND: Command = Command {
    paths: &["container wait", "wait"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Wait until one or more containers stop and print their exit codes",
    more: "",
    flags: &[],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let mut errors = Vec::new();
    for name in &matches.args {
        match client
            .json(Request::post(&["containers", name, "wait"]))
            .await
        {
            Ok(answer) => out::line(json::int(&answer, "StatusCode").to_string()),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        Ok(0)
    } else {
        Err(Failure::new(errors.join("\n")))
    }
}
