//! `tag`: one more name for an image.

use client::{Query, Request};

use super::shared;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::Matches,
};

pub(super) static COMMAND: Command = Command {
    paths: &["image tag", "tag"],
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    about: "Give an image one more name",
    more: "",
    flags: &[],
    args: Args::Exactly(2),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let target = &matches.args[1];
    shared::check_reference(target).map_err(|error| {
        Failure::new(format!(
            "Error parsing reference: {target:?} is not a valid repository/tag: {error}"
        ))
    })?;
    let (repository, tag) = shared::split_tag(target);
    let tag = if tag.is_empty() { "latest" } else { tag };
    let request = Request::post(&["images", &matches.args[0], "tag"])
        .query(Query::new().with("repo", repository).with("tag", tag));
    cli.client()?.call(request).await?;
    Ok(0)
}
