//! `logs`: prints what a container wrote.

use client::{Query, Request};

use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    json, streams, times,
};

const FLAGS: &[Flag] = &[
    flag(
        "details",
        Kind::Bool,
        "Show the log driver's extra attributes",
    ),
    flag("follow", Kind::Bool, "Go on as the container writes").short('f'),
    flag(
        "since",
        Kind::String,
        "From this time on (\"2013-01-02T13:23:37Z\", or \"42m\" for 42 minutes ago)",
    ),
    flag("tail", Kind::String, "Lines to show from the end")
        .short('n')
        .default("all"),
    flag("timestamps", Kind::Bool, "Show when each line was written").short('t'),
    flag("until", Kind::String, "Up to this time (as for --since)"),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container logs", "logs"],
    usage: "[OPTIONS] CONTAINER",
    about: "Show the logs of a container",
    more: "",
    flags: &[FLAGS],
    args: Args::Exactly(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let moment = |flag| times::moment(flag, matches.text(flag)).map_err(Failure::new);
    let (since, until) = (moment("since")?, moment("until")?);
    let tail = if matches.is_set("tail") {
        matches.text("tail")
    } else {
        "all"
    };
    let client = cli.client()?;
    let name = matches.args[0].as_str();
    let request = Request::get(&["containers", name, "logs"]).query(
        Query::new()
            .with("stdout", "1")
            .with("stderr", "1")
            .with_some("since", since)
            .with_some("until", until)
            .with_flag("timestamps", matches.on("timestamps"))
            .with_flag("follow", matches.on("follow"))
            .with_flag("details", matches.on("details"))
            .with("tail", tail),
    );
    let answer = client.send(request).await?;
    // Since API 1.42 the type says whether there are frames; before, only the container does.
    let framed = match answer.header("content-type") {
        Some("application/vnd.docker.multiplexed-stream") => true,
        _ => {
            let found = client
                .json(Request::get(&["containers", name, "json"]))
                .await?;
            !found
                .get("Config")
                .is_some_and(|config| json::truth(config, "Tty"))
        }
    };
    streams::copy_body(answer, framed).await?;
    Ok(0)
}
