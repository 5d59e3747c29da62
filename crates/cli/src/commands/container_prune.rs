//! `container prune`: removes stopped containers.

use client::{Client, Query, Request};
use serde_json::Value;

use super::shared;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::Matches,
    human, json, out,
};

pub(super) static COMMAND: Command = Command {
    paths: &["container prune"],
    usage: "[OPTIONS]",
    about: "Remove all stopped containers",
    more: "",
    flags: &[&[shared::PRUNE_FILTER, shared::FORCE]],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    if !matches.on("force") {
        shared::confirm(
            "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?",
        )?;
    }
    let filters = shared::filters(matches.list("filter"));
    let (text, space) = prune(cli.client()?, &filters).await?;
    out::print(text);
    out::line(reclaimed(space));
    Ok(0)
}

/// Prunes and tells what went and how many bytes.
pub(super) async fn prune(client: &Client, filters: &str) -> Result<(String, i64), Failure> {
    let request =
        Request::post(&["containers", "prune"]).query(Query::new().with_some("filters", filters));
    let answer = client.json(request).await?;
    Ok((
        section(
            "Deleted Containers:",
            json::list(&answer, "ContainersDeleted"),
        ),
        json::int(&answer, "SpaceReclaimed"),
    ))
}

/// A heading and the names below it; nothing when there are none.
pub(super) fn section(heading: &str, names: &[Value]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let mut text = format!("{heading}\n");
    for name in names.iter().filter_map(Value::as_str) {
        text.push_str(name);
        text.push('\n');
    }
    text.push('\n');
    text
}

/// The closing line of every prune.
pub(super) fn reclaimed(space: i64) -> String {
    format!("Total reclaimed space: {}", human::size(space as f64))
}
