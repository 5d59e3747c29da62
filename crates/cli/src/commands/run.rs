//! `run`: create, attach and wait, start; then this terminal is the container's.

use std::time::Duration;

use client::{Client, Query, Request, Response};

use super::{create, shared};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    create::{CONTAINER, EXTRA, Prepared, prepare},
    flags::{Flag, Kind, Matches, flag},
    json, out,
    signals::{self, Listener},
    streams::{self, Ended, Session},
    terminal,
};

const FLAGS: &[Flag] = &[
    flag(
        "detach",
        Kind::Bool,
        "Run in the background and print the container's id",
    )
    .short('d'),
    flag(
        "detach-keys",
        Kind::String,
        "Keys that detach from the container",
    ),
    flag(
        "sig-proxy",
        Kind::Bool,
        "Pass received signals on to the process",
    )
    .default("true"),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container run", "run"],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create and run a container from an image",
    more: "",
    flags: &[CONTAINER, EXTRA, FLAGS],
    args: Args::AtLeast(1),
    interspersed: false,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let refuse = |error: String| shared::with_hint(cli, &error, 125);
    let detach = matches.on("detach");
    create::check_system(matches)?;
    create::check_pull(matches).map_err(refuse)?;
    if detach && matches.is_set("attach") {
        return Err(Failure::new(
            "conflicting options: cannot specify both --attach and --detach",
        ));
    }
    let prepared = prepare(matches, detach).map_err(refuse)?;
    if !detach && prepared.tty && prepared.attach_stdin && !terminal::stdin_is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    let (keys_text, keys) = shared::detach_keys(cli, matches);
    let client = cli.client()?;
    let id = create::make(client, matches, &prepared)
        .await
        .map_err(|error| {
            // What the daemon finds missing when it creates counts as when it starts.
            let code = match error.starts_with("Error response from daemon") {
                true => shared::start_failure_code(&error),
                false => 125,
            };
            shared::with_hint(cli, &error, code)
        })?;
    if detach {
        start(cli, client, &id).await?;
        out::line(&id);
        return Ok(0);
    }
    attached(cli, client, matches, &prepared, &id, (&keys_text, keys)).await
}

async fn attached(
    cli: &Cli,
    client: &Client,
    matches: &Matches,
    prepared: &Prepared,
    id: &str,
    (keys_text, keys): (&str, Vec<u8>),
) -> Outcome {
    let output = prepared.attach_stdout || prepared.attach_stderr;
    let mut listener = (matches.on_or("sig-proxy", true) && !prepared.tty).then(Listener::proxied);
    if !output {
        out::line(id);
    }
    let attach = Request::post(&["containers", id, "attach"]).query(
        Query::new()
            .with("stream", "1")
            .with_flag("stdin", prepared.attach_stdin)
            .with_flag("stdout", prepared.attach_stdout)
            .with_flag("stderr", prepared.attach_stderr)
            .with_some("detachKeys", keys_text),
    );
    let condition = if prepared.auto_remove {
        "removed"
    } else {
        "next-exit"
    };
    // Both are with the daemon before the process exists, so that neither a byte nor the exit can be missed.
    let (stream, wait) = tokio::try_join!(client.hijack(attach), wait(client, id, condition))?;
    let session = Session {
        tty: prepared.tty,
        stdin: prepared.attach_stdin,
        output,
        detach_keys: keys,
    };
    if let Err(failure) = start(cli, client, id).await {
        if prepared.auto_remove {
            // Its name must be free again when this program ends.
            let _ = tokio::time::timeout(Duration::from_secs(10), wait.json()).await;
        }
        return Err(failure);
    }
    let ended = tokio::select! {
        ended = streams::join(stream, &session) => ended?,
        () = signals_and_size(client, id, &mut listener, prepared.tty) => Ended::Finished,
    };
    if ended == Ended::Detached {
        return Ok(0);
    }
    tokio::select! {
        code = exit_code(wait) => code,
        () = signals_and_size(client, id, &mut listener, false) => Ok(0),
    }
}

/// Passes signals and terminal sizes on for ever.
pub(super) async fn signals_and_size(
    client: &Client,
    id: &str,
    listener: &mut Option<Listener>,
    tty: bool,
) {
    match listener {
        Some(listener) => signals::proxy(client, id, listener).await,
        None if tty => signals::follow_size(client, &["containers", id, "resize"], true).await,
        None => std::future::pending().await,
    }
}

/// Begins to wait for a container; the answer's head comes at once, its body at the end.
pub(super) async fn wait(
    client: &Client,
    id: &str,
    condition: &str,
) -> Result<Response, client::Error> {
    client
        .send(
            Request::post(&["containers", id, "wait"])
                .query(Query::new().with("condition", condition)),
        )
        .await
}

/// The exit code that a wait's answer tells.
pub(super) async fn exit_code(wait: Response) -> Outcome {
    let answer = wait.json().await?;
    if let Some(error) = answer.get("Error").filter(|error| error.is_object()) {
        let message = json::text(error, "Message");
        if !message.is_empty() {
            return Err(Failure::with_code(
                format!("Error waiting for container: {message}"),
                125,
            ));
        }
    }
    Ok(u8::try_from(json::int(&answer, "StatusCode") & 0xff).unwrap_or(255))
}

async fn start(cli: &Cli, client: &Client, id: &str) -> Result<(), Failure> {
    client
        .call(Request::post(&["containers", id, "start"]))
        .await
        .map_err(|error| {
            let text = error.to_string();
            shared::with_hint(cli, &text, start_code(&error, &text))
        })
}

fn start_code(error: &client::Error, text: &str) -> u8 {
    match error {
        client::Error::Daemon { .. } => shared::start_failure_code(text),
        _ => 125,
    }
}
