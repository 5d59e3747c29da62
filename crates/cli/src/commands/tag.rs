//! `tag`: one more name for an image.

use client::{Query, Request};

use super::shared;
use crate::{
    command::{Args, Cli, Command, Outcome},
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
    let (repository, tag) = shared::split_tag(&matches.args[1]);
    let tag = if tag.is_empty() { "latest" } else { tag };
    let request = Request::post(&["images", &matches.args[0], "tag"])
        .query(Query::new().with("repo", repository).with("tag", tag));
    cli.client()?.call(request).await?;
    Ok(0)
}
