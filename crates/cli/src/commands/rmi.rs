//! `rmi`: removes images.

use client::{Query, Request};

use super::save;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    json, out,
};

const FLAGS: &[Flag] = &[
    flag(
        "force",
        Kind::Bool,
        "Remove it even if other names or stopped containers use it",
    )
    .short('f'),
    flag("no-prune", Kind::Bool, "Keep parents without a name"),
    flag(
        "platform",
        Kind::Named("strings"),
        "Remove only this platform, such as linux/amd64",
    ),
];

pub(super) static COMMAND: Command = Command {
    paths: &["image rm", "image remove", "rmi"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Remove one or more images",
    more: "",
    flags: &[FLAGS],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let force = matches.on("force");
    let mut query = Query::new()
        .with_flag("force", force)
        .with_flag("noprune", matches.on("no-prune"));
    for text in matches.list("platform") {
        query = query.with_some("platforms", save::platform(text)?.unwrap_or_default());
    }
    let mut errors = Vec::new();
    let mut code = 0;
    for name in &matches.args {
        match client
            .json(Request::delete(&["images", name]).query(query.clone()))
            .await
        {
            Ok(deleted) => {
                for item in deleted.as_array().map_or(&[][..], Vec::as_slice) {
                    match json::text(item, "Deleted") {
                        "" => out::line(format!("Untagged: {}", json::text(item, "Untagged"))),
                        id => out::line(format!("Deleted: {id}")),
                    }
                }
            }
            Err(error) => {
                if !(force && error.is_not_found()) {
                    code = 1;
                }
                errors.push(error.to_string());
            }
        }
    }
    if errors.is_empty() {
        return Ok(0);
    }
    Err(Failure::with_code(errors.join("\n"), code))
}
