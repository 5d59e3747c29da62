//! `image prune`: removes images nobody uses.

use client::{Client, Query, Request};

use super::{container_prune, shared};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    json, out,
};

const ALL: Flag = flag(
    "all",
    Kind::Bool,
    "Remove all unused images, not just nameless ones",
)
.short('a');

pub(super) static COMMAND: Command = Command {
    paths: &["image prune"],
    usage: "[OPTIONS]",
    about: "Remove unused images",
    more: "",
    flags: &[&[ALL, shared::PRUNE_FILTER, shared::FORCE]],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let all = matches.on("all");
    if !matches.on("force") {
        let what = if all {
            "all images without at least one container associated to them"
        } else {
            "all dangling images"
        };
        shared::confirm(&format!(
            "WARNING! This will remove {what}.\nAre you sure you want to continue?"
        ))?;
    }
    let (text, space) = prune(cli.client()?, all, matches.list("filter")).await?;
    out::print(text);
    out::line(container_prune::reclaimed(space));
    Ok(0)
}

/// Prunes and tells what went and how many bytes.
pub(super) async fn prune(
    client: &Client,
    all: bool,
    given: &[String],
) -> Result<(String, i64), Failure> {
    let mut given = given.to_vec();
    given.push(format!("dangling={}", !all));
    let request = Request::post(&["images", "prune"])
        .query(Query::new().with_some("filters", shared::filters(&given)));
    let answer = client.json(request).await?;
    let mut text = String::new();
    let deleted = json::list(&answer, "ImagesDeleted");
    if !deleted.is_empty() {
        text.push_str("Deleted Images:\n");
        for item in deleted {
            match json::text(item, "Untagged") {
                "" => text.push_str(&format!("deleted: {}\n", json::text(item, "Deleted"))),
                name => text.push_str(&format!("untagged: {name}\n")),
            }
        }
        text.push('\n');
    }
    Ok((text, json::int(&answer, "SpaceReclaimed")))
}
