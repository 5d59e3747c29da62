//! `save`: images as one tar archive.

use client::{Query, Request};

use super::{export, shared};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
};

const FLAGS: &[Flag] = &[
    flag(
        "output",
        Kind::String,
        "Write to this file instead of STDOUT",
    )
    .short('o'),
    flag(
        "platform",
        Kind::String,
        "Save only this platform, such as linux/amd64",
    ),
];

pub(super) static COMMAND: Command = Command {
    paths: &["image save", "save"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Save one or more images to a tar archive (to STDOUT by default)",
    more: "",
    flags: &[FLAGS],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let output = matches.text("output");
    export::check_output("save image", output)?;
    if output.is_empty() {
        shared::refuse_terminal(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect",
        )?;
    }
    let mut query = Query::new();
    for name in &matches.args {
        query = query.with("names", name);
    }
    if let Some(platform) = platform(matches.text("platform"))? {
        query = query.with("platform", platform);
    }
    let answer = cli
        .client()?
        .send(Request::get(&["images", "get"]).query(query))
        .await?;
    export::write_body(answer, output).await?;
    Ok(0)
}

/// `os[/arch[/variant]]` as the API's JSON; empty text is none.
///
/// # Errors
/// It names no platform.
pub(super) fn platform(text: &str) -> Result<Option<String>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let platform: oci::Platform = text
        .parse()
        .map_err(|error| Failure::new(format!("invalid platform: {error}: invalid argument")))?;
    let json = serde_json::to_string(&platform);
    Ok(Some(json.expect("a platform has string keys only")))
}
