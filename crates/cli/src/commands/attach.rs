//! `attach`: this terminal becomes a running container's.

use client::{Query, Request};

use super::{run, shared};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    json,
    signals::{self, Listener},
    streams::{self, Ended, Session},
    terminal,
};

const FLAGS: &[Flag] = &[
    flag(
        "detach-keys",
        Kind::String,
        "Keys that detach from the container",
    ),
    flag("no-stdin", Kind::Bool, "Leave STDIN alone"),
    flag(
        "sig-proxy",
        Kind::Bool,
        "Pass received signals on to the process",
    )
    .default("true"),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container attach", "attach"],
    usage: "[OPTIONS] CONTAINER",
    about: "Attach this terminal to a running container",
    more: "",
    flags: &[FLAGS],
    args: Args::Exactly(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let found = client
        .json(Request::get(&["containers", &matches.args[0], "json"]))
        .await?;
    let state = found.get("State").cloned().unwrap_or_default();
    for (flag, why) in [
        (
            "Paused",
            "You cannot attach to a paused container, unpause it first",
        ),
        (
            "Restarting",
            "You cannot attach to a restarting container, wait until it is running",
        ),
    ] {
        if json::truth(&state, flag) {
            return Err(Failure::new(why));
        }
    }
    if !json::truth(&state, "Running") {
        return Err(Failure::new(
            "You cannot attach to a stopped container, start it first",
        ));
    }
    let id = json::text(&found, "Id").to_owned();
    let config = found.get("Config").cloned().unwrap_or_default();
    let tty = json::truth(&config, "Tty");
    let stdin = !matches.on("no-stdin") && json::truth(&config, "OpenStdin");
    if tty && stdin && !terminal::stdin_is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    let (keys_text, detach_keys) = shared::detach_keys(cli, matches);
    let mut listener = (matches.on_or("sig-proxy", true) && !tty).then(Listener::proxied);
    let attach = Request::post(&["containers", &id, "attach"]).query(
        Query::new()
            .with("stream", "1")
            .with_flag("stdin", stdin)
            .with("stdout", "1")
            .with("stderr", "1")
            .with_some("detachKeys", &keys_text),
    );
    let (stream, wait) =
        tokio::try_join!(client.hijack(attach), run::wait(client, &id, "not-running"))?;
    let session = Session {
        tty,
        stdin,
        output: true,
        detach_keys,
    };
    let resize = ["containers", id.as_str(), "resize"];
    let draw = async {
        if tty {
            signals::redraw(client, &resize).await;
        }
        run::signals_and_size(client, &id, &mut listener, tty).await;
    };
    let ended = tokio::select! {
        ended = streams::join(stream, &session) => ended?,
        () = draw => Ended::Finished,
    };
    if ended == Ended::Detached {
        return Err(Failure::new("read escape sequence"));
    }
    run::exit_code(wait).await
}
