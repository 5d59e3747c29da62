//! `rename`: gives a container another name.

use client::{Query, Request};

use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::Matches,
};

pub(super) static COMMAND: Command = Command {
    paths: &["container rename", "rename"],
    usage: "CONTAINER NEW_NAME",
    about: "Rename a container",
    more: "",
    flags: &[],
    args: Args::Exactly(2),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let (old, new) = (matches.args[0].trim(), matches.args[1].trim());
    if old.is_empty() || new.is_empty() {
        return Err(Failure::new(
            "Error: Neither old nor new names may be empty",
        ));
    }
    let request =
        Request::post(&["containers", old, "rename"]).query(Query::new().with("name", new));
    cli.client()?.call(request).await.map_err(|error| {
        Failure::new(format!(
            "{error}\nError: failed to rename container named {old}"
        ))
    })?;
    Ok(0)
}
