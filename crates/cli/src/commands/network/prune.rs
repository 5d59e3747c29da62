//! `network prune`: removes the networks that no container is in.

use client::{Client, Query, Request};

use super::super::{container_prune, shared};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::Matches,
    json, out,
};

pub(in crate::commands) static COMMAND: Command = Command {
    paths: &["network prune"],
    usage: "[OPTIONS]",
    about: "Remove all unused networks",
    more: "",
    flags: &[&[shared::PRUNE_FILTER, shared::FORCE]],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    if !matches.on("force") {
        shared::confirm(
            "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue?",
        )?;
    }
    let filters = shared::filters(matches.list("filter"));
    out::print(prune(cli.client()?, &filters).await?);
    Ok(0)
}

/// Prunes and tells what went.
pub(in crate::commands) async fn prune(client: &Client, filters: &str) -> Result<String, Failure> {
    let request =
        Request::post(&["networks", "prune"]).query(Query::new().with_some("filters", filters));
    let answer = client.json(request).await?;
    Ok(container_prune::section(
        "Deleted Networks:",
        json::list(&answer, "NetworksDeleted"),
    ))
}
