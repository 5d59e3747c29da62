//! `start`: starts stopped containers, one of them with this terminal if asked.

use client::{Query, Request};

use super::{run, shared};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    json, out,
    signals::Listener,
    streams::{self, Ended, Session},
    terminal,
};

const FLAGS: &[Flag] = &[
    flag(
        "attach",
        Kind::Bool,
        "Attach STDOUT and STDERR and pass signals on",
    )
    .short('a'),
    flag(
        "checkpoint",
        Kind::String,
        "Restore from this checkpoint (not supported)",
    ),
    flag(
        "checkpoint-dir",
        Kind::String,
        "Folder of checkpoints (not supported)",
    ),
    flag(
        "detach-keys",
        Kind::String,
        "Keys that detach from the container",
    ),
    flag("interactive", Kind::Bool, "Attach the container's STDIN").short('i'),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container start", "start"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Start one or more stopped containers",
    more: "",
    flags: &[FLAGS],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    if matches.is_set("checkpoint") {
        return Err(Failure::new("checkpoints are not supported"));
    }
    if matches.on("attach") || matches.on("interactive") {
        return attached(cli, matches).await;
    }
    let client = cli.client()?;
    let mut failed = Vec::new();
    for name in &matches.args {
        match client
            .call(Request::post(&["containers", name, "start"]))
            .await
        {
            Ok(()) => out::line(name),
            Err(error @ client::Error::Daemon { .. }) => {
                out::complain(error.to_string());
                failed.push(name.as_str());
            }
            Err(error) => return Err(error.into()),
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    Err(Failure::new(format!(
        "Error: failed to start containers: {}",
        failed.join(", ")
    )))
}

async fn attached(cli: &Cli, matches: &Matches) -> Outcome {
    let [name] = matches.args.as_slice() else {
        return Err(Failure::new(
            "you cannot start and attach multiple containers at once",
        ));
    };
    let client = cli.client()?;
    let found = client
        .json(Request::get(&["containers", name, "json"]))
        .await?;
    let config = found.get("Config").cloned().unwrap_or_default();
    let id = json::text(&found, "Id").to_owned();
    let tty = json::truth(&config, "Tty");
    let stdin = matches.on("interactive") && json::truth(&config, "OpenStdin");
    if tty && stdin && !terminal::stdin_is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    let removes = found
        .get("HostConfig")
        .is_some_and(|host| json::truth(host, "AutoRemove"));
    let (keys_text, detach_keys) = shared::detach_keys(cli, matches);
    let mut listener = (!tty).then(Listener::proxied);
    let attach = Request::post(&["containers", &id, "attach"]).query(
        Query::new()
            .with("stream", "1")
            .with_flag("stdin", stdin)
            .with("stdout", "1")
            .with("stderr", "1")
            .with_some("detachKeys", &keys_text),
    );
    let condition = if removes { "removed" } else { "next-exit" };
    let (stream, wait) =
        tokio::try_join!(client.hijack(attach), run::wait(client, &id, condition))?;
    client
        .call(Request::post(&["containers", &id, "start"]))
        .await?;
    let session = Session {
        tty,
        stdin,
        output: true,
        detach_keys,
    };
    let ended = tokio::select! {
        ended = streams::join(stream, &session) => ended?,
        () = run::signals_and_size(client, &id, &mut listener, tty) => Ended::Finished,
    };
    if ended == Ended::Detached {
        return Ok(0);
    }
    run::exit_code(wait).await
}
