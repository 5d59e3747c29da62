//! `pull`: asks the daemon to fetch an image and shows its progress as lines.

use client::{Client, Query, Request};

use super::shared;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    json,
    out::{self, Stream},
};

const FLAGS: &[Flag] = &[
    flag(
        "platform",
        Kind::String,
        "Platform of the image, such as linux/amd64",
    ),
    flag("quiet", Kind::Bool, "Print the name only").short('q'),
];

pub(super) static COMMAND: Command = Command {
    paths: &["image pull", "pull"],
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    about: "Download an image from a registry",
    more: "",
    flags: &[FLAGS],
    args: Args::Exactly(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let image = &matches.args[0];
    if !shared::has_tag(image) && !image.contains('@') && !matches.on("quiet") {
        out::line("Using default tag: latest");
    }
    progress(
        cli.client()?,
        image,
        matches.text("platform"),
        matches.on("quiet"),
        Stream::Out,
    )
    .await
    .map_err(Failure::new)?;
    out::line(shared::familiar(image));
    Ok(0)
}

/// Pulls an image for run and create; progress goes to standard error.
///
/// # Errors
/// The daemon's error.
pub(super) async fn fetch(
    client: &Client,
    image: &str,
    platform: &str,
    quiet: bool,
) -> Result<(), String> {
    progress(client, image, platform, quiet, Stream::Err).await
}

async fn progress(
    client: &Client,
    image: &str,
    platform: &str,
    quiet: bool,
    stream: Stream,
) -> Result<(), String> {
    let full = if image.contains('@') {
        image.to_owned()
    } else {
        shared::familiar(image)
    };
    let (name, tag) = match full.split_once('@') {
        Some((name, digest)) => (name, digest),
        None => shared::split_tag(&full),
    };
    let request = Request::post(&["images", "create"]).query(
        Query::new()
            .with("fromImage", name)
            .with("tag", tag)
            .with_some("platform", platform),
    );
    let mut answer = client
        .send(request)
        .await
        .map_err(|error| error.to_string())?;
    let mut buffer = Vec::new();
    while let Some(message) = answer
        .next_json(&mut buffer)
        .await
        .map_err(|error| error.to_string())?
    {
        if let Some(error) = message.get("error").and_then(serde_json::Value::as_str) {
            return Err(error.to_owned());
        }
        // The bars of each layer's progress are for terminals only; lines without them tell the steps.
        if quiet
            || message
                .get("progressDetail")
                .is_some_and(|detail| detail.get("current").is_some())
        {
            continue;
        }
        let (id, status) = (json::text(&message, "id"), json::text(&message, "status"));
        let line = if id.is_empty() {
            format!("{status}\n")
        } else {
            format!("{id}: {status}\n")
        };
        out::write(stream, line.as_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(())
}
