//! `load`: images from an archive.

use std::{fs::File, io, os::fd::AsFd, thread};

use client::{Payload, Query, Request};
use serde_json::Value;

use super::save;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome, go_io_error},
    flags::{Flag, Kind, Matches, flag},
    json, out, terminal,
};

const FLAGS: &[Flag] = &[
    flag(
        "input",
        Kind::String,
        "Read from this file or folder (an OCI layout) instead of STDIN",
    )
    .short('i'),
    flag(
        "platform",
        Kind::String,
        "Load only this platform, such as linux/amd64",
    ),
    flag("quiet", Kind::Bool, "Do not show progress").short('q'),
];

pub(super) static COMMAND: Command = Command {
    paths: &["image load", "load"],
    usage: "[OPTIONS]",
    about: "Load images from a tar archive or STDIN",
    more: "",
    flags: &[FLAGS],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

/// A folder (an OCI layout) as the archive that the daemon takes, packed while it is read.
fn packed(folder: File) -> io::Result<Box<dyn io::Read + Send>> {
    let (reader, writer) = io::pipe()?;
    thread::Builder::new().spawn(move || {
        // A failure cuts the archive short, which the daemon refuses.
        archive::pack(folder.as_fd(), &archive::PackOptions::default(), writer)
    })?;
    Ok(Box::new(reader))
}

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let input = matches.text("input");
    let reader: Box<dyn io::Read + Send> = if input.is_empty() {
        if terminal::stdin_is_terminal() {
            return Err(Failure::new(
                "requested load from stdin, but stdin is empty",
            ));
        }
        Box::new(io::stdin())
    } else {
        let failed =
            |error: io::Error| Failure::new(format!("open {input}: {}", go_io_error(&error)));
        let file = File::open(input).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            packed(file).map_err(failed)?
        } else {
            Box::new(file)
        }
    };
    let mut query = Query::new().with("quiet", "1");
    if let Some(platform) = save::platform(matches.text("platform"))? {
        query = query.with("platform", platform);
    }
    let request = Request::post(&["images", "load"])
        .query(query)
        .body("application/x-tar", Payload::Reader(reader));
    let mut answer = cli.client()?.send(request).await?;
    let mut buffer = Vec::new();
    while let Some(message) = answer.next_json(&mut buffer).await? {
        if let Some(error) = message.get("error").and_then(Value::as_str) {
            return Err(Failure::new(error));
        }
        out::print(json::text(&message, "stream"));
    }
    Ok(0)
}
