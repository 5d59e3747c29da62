//! `import`: a file system archive becomes an image.

use std::{fs::File, io};

use client::{Payload, Query, Request};
use serde_json::Value;

use super::shared;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome, go_io_error},
    flags::{Flag, Kind, Matches, flag},
    json, out,
};

const FLAGS: &[Flag] = &[
    flag(
        "change",
        Kind::List,
        "Apply a Dockerfile instruction to the image",
    )
    .short('c'),
    flag("message", Kind::String, "Message for the image's history").short('m'),
    flag(
        "platform",
        Kind::String,
        "Platform of the image, such as linux/amd64",
    ),
];

pub(super) static COMMAND: Command = Command {
    paths: &["image import", "import"],
    usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    about: "Make an image from a file system archive",
    more: "",
    flags: &[FLAGS],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let source = matches.args[0].as_str();
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    let payload = if source == "-" {
        Payload::Reader(Box::new(io::stdin()))
    } else if is_url {
        Payload::Empty
    } else {
        let file = File::open(source)
            .map_err(|error| Failure::new(format!("open {source}: {}", go_io_error(&error))))?;
        Payload::Reader(Box::new(file))
    };
    if let Some(name) = matches.args.get(1) {
        shared::check_reference(name).map_err(Failure::new)?;
    }
    let (repository, tag) = matches
        .args
        .get(1)
        .map_or(("", ""), |name| shared::split_tag(name));
    let mut query = Query::new()
        .with("fromSrc", if is_url { source } else { "-" })
        .with_some("repo", repository)
        .with_some("tag", tag)
        .with_some("message", matches.text("message"))
        .with_some("platform", matches.text("platform"));
    for change in matches.list("change") {
        query = query.with("changes", change);
    }
    let request = Request::post(&["images", "create"])
        .query(query)
        .body("application/x-tar", payload);
    let mut answer = cli.client()?.send(request).await?;
    let mut buffer = Vec::new();
    while let Some(message) = answer.next_json(&mut buffer).await? {
        if let Some(error) = message.get("error").and_then(Value::as_str) {
            return Err(Failure::new(error));
        }
        // The last status is the image's id; a download's progress is not for pipes.
        if message
            .get("progressDetail")
            .is_none_or(|detail| detail.get("current").is_none())
        {
            out::line(json::text(&message, "status"));
        }
    }
    Ok(0)
}
