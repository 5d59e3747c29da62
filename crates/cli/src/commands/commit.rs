//! `commit`: a container's file system becomes an image.

use client::{Query, Request};
use serde_json::json;

use super::shared;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    json, out,
};

const FLAGS: &[Flag] = &[
    flag(
        "author",
        Kind::String,
        "Author (such as \"A. Name <name@example.org>\")",
    )
    .short('a'),
    flag(
        "change",
        Kind::List,
        "Apply a Dockerfile instruction to the image",
    )
    .short('c'),
    flag("message", Kind::String, "Message for the image's history").short('m'),
    flag("pause", Kind::Bool, "Pause the container meanwhile")
        .short('p')
        .default("true"),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container commit", "commit"],
    usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    about: "Make an image from a container's changes",
    more: "",
    flags: &[FLAGS],
    args: Args::Between(1, 2),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    if let Some(name) = matches.args.get(1) {
        shared::check_reference(name).map_err(Failure::new)?;
    }
    let (repository, tag) = matches
        .args
        .get(1)
        .map_or(("", ""), |name| shared::split_tag(name));
    let tag = if tag.is_empty() && !repository.is_empty() {
        "latest"
    } else {
        tag
    };
    let mut query = Query::new()
        .with("container", &matches.args[0])
        .with_some("repo", repository)
        .with_some("tag", tag)
        .with_some("comment", matches.text("message"))
        .with_some("author", matches.text("author"));
    for change in matches.list("change") {
        query = query.with("changes", change);
    }
    if !matches.on_or("pause", true) {
        query = query.with("pause", "0");
    }
    let made = cli
        .client()?
        .json(Request::post(&["commit"]).query(query).json(&json!({})))
        .await?;
    out::line(json::text(&made, "Id"));
    Ok(0)
}
