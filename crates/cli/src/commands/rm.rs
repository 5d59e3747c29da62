//! `rm`: removes containers.

use client::{Query, Request};

use super::shared;
use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::{Flag, Kind, Matches, flag},
    out,
};

const FLAGS: &[Flag] = &[
    flag("force", Kind::Bool, "Kill a running container first").short('f'),
    flag("link", Kind::Bool, "Remove a link").short('l'),
    flag("volumes", Kind::Bool, "Remove its anonymous volumes too").short('v'),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container rm", "container remove", "rm"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Remove one or more containers",
    more: "",
    flags: &[FLAGS],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let force = matches.on("force");
    let query = Query::new()
        .with_flag("force", force)
        .with_flag("link", matches.on("link"))
        .with_flag("v", matches.on("volumes"));
    let names: Vec<String> = matches
        .args
        .iter()
        .map(|name| name.trim_start_matches('/').to_owned())
        .collect();
    let mut present = Vec::new();
    let mut failed = Vec::new();
    for name in names {
        let request = Request::delete(&["containers", &name]).query(query.clone());
        match client.call(request).await {
            Ok(()) => out::line(&name),
            // What is to be gone by force and is not there is gone.
            Err(error) if force && error.is_not_found() => out::complain(error.to_string()),
            Err(error) => {
                present.push(name);
                failed.push(error);
            }
        }
    }
    let mut failures = failed.into_iter();
    shared::each(&present, |_| {
        let failure = failures.next();
        async move { failure.map_or(Ok(()), Err) }
    })
    .await
}
