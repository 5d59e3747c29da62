//! `system prune`: removes all that nothing uses.

use client::{Client, Error, Query, Request};

use super::{container_prune, image_prune, network, shared, volume};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    json, out,
};

const FLAGS: &[Flag] = &[
    flag(
        "all",
        Kind::Bool,
        "Remove all unused images, not just nameless ones",
    )
    .short('a'),
    shared::PRUNE_FILTER,
    shared::FORCE,
    flag("volumes", Kind::Bool, "Remove anonymous volumes too"),
];

pub(super) static COMMAND: Command = Command {
    paths: &["system prune"],
    usage: "[OPTIONS]",
    about: "Remove unused data",
    more: "",
    flags: &[FLAGS],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let (all, volumes) = (matches.on("all"), matches.on("volumes"));
    let given = matches.list("filter");
    if volumes && given.iter().any(|filter| filter.starts_with("until=")) {
        return Err(Failure::new(
            "ERROR: The \"until\" filter is not supported with \"--volumes\"",
        ));
    }
    if !matches.on("force") {
        shared::confirm(&warning(all, volumes, given))?;
    }
    let client = cli.client()?;
    let filters = shared::filters(given);
    let mut space = 0;
    let (text, freed) = container_prune::prune(client, &filters).await?;
    out::print(text);
    space += freed;
    out::print(network::prune::prune(client, &filters).await?);
    if volumes {
        let (text, freed) = volume::prune(client, false, given).await?;
        out::print(text);
        space += freed;
    }
    let (text, freed) = image_prune::prune(client, all, given).await?;
    out::print(text);
    space += freed;
    space += build_cache(client, all, &filters).await?;
    out::line(container_prune::reclaimed(space));
    Ok(0)
}

fn warning(all: bool, volumes: bool, given: &[String]) -> String {
    let mut text = String::from(
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n",
    );
    if volumes {
        text.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    text.push_str(if all {
        "  - all images without at least one container associated to them\n  - all build cache\n"
    } else {
        "  - all dangling images\n  - unused build cache\n"
    });
    if !given.is_empty() {
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        for filter in given {
            text.push_str(&format!("  - {filter}\n"));
        }
    }
    text.push_str("\nAre you sure you want to continue?");
    text
}

/// An engine without a feature has nothing of it to prune.
fn is_absent(error: &Error) -> bool {
    matches!(
        error,
        Error::Daemon {
            status: 404 | 501,
            ..
        }
    )
}

async fn build_cache(client: &Client, all: bool, filters: &str) -> Result<i64, Failure> {
    let request = Request::post(&["build", "prune"]).query(
        Query::new()
            .with_flag("all", all)
            .with_some("filters", filters),
    );
    match client.json(request).await {
        Ok(answer) => Ok(json::int(&answer, "SpaceReclaimed")),
        Err(error) if is_absent(&error) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
