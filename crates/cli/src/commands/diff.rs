//! `diff`: what a container changed in its file system.

use client::Request;

use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::Matches,
    json, out,
};

pub(super) static COMMAND: Command = Command {
    paths: &["container diff", "diff"],
    usage: "CONTAINER",
    about: "Show what a container changed in its file system",
    more: "",
    flags: &[],
    args: Args::Exactly(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let name = matches.args[0].as_str();
    if name.is_empty() {
        return Err(Failure::new("Container name cannot be empty"));
    }
    let changes = cli
        .client()?
        .json(Request::get(&["containers", name, "changes"]))
        .await?;
    let mut text = String::new();
    for change in changes.as_array().map_or(&[][..], Vec::as_slice) {
        let letter = match json::int(change, "Kind") {
            0 => 'C',
            1 => 'A',
            _ => 'D',
        };
        text.push_str(&format!("{letter} {}\n", json::text(change, "Path")));
    }
    out::print(text);
    Ok(0)
}
