//! `exec`: one more process in a running container.

use client::Request;
use serde_json::{Map, Value, json};

use super::shared;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    create::{env_is_valid, environment},
    flags::{Flag, Kind, Matches, flag},
    json, signals,
    streams::{self, Ended, Session},
    terminal,
};

const FLAGS: &[Flag] = &[
    flag("detach", Kind::Bool, "Run in the background").short('d'),
    flag(
        "detach-keys",
        Kind::String,
        "Keys that detach from the process",
    ),
    flag("env", Kind::List, "Set environment variables")
        .short('e')
        .check(env_is_valid),
    flag(
        "env-file",
        Kind::List,
        "Read environment variables from a file",
    ),
    flag(
        "interactive",
        Kind::Bool,
        "Keep STDIN open even if not attached",
    )
    .short('i'),
    flag("privileged", Kind::Bool, "Give extended privileges"),
    flag("tty", Kind::Bool, "Allocate a pseudo-TTY").short('t'),
    flag(
        "user",
        Kind::String,
        "User name or id (format: \"<name|uid>[:<group|gid>]\")",
    )
    .short('u'),
    flag("workdir", Kind::String, "Working directory").short('w'),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container exec", "exec"],
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    about: "Run a command in a running container",
    more: "",
    flags: &[FLAGS],
    args: Args::AtLeast(2),
    interspersed: false,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let (detach, tty) = (matches.on("detach"), matches.on("tty"));
    let stdin = matches.on("interactive") && !detach;
    let (keys_text, detach_keys) = shared::detach_keys(cli, matches);
    let env = environment(matches.list("env-file"), matches.list("env")).map_err(Failure::new)?;
    if tty && stdin && !terminal::stdin_is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.into(), value);
    set("Cmd", json!(&matches.args[1..]));
    set("AttachStdin", stdin.into());
    set("AttachStdout", (!detach).into());
    set("AttachStderr", (!detach).into());
    set("Tty", tty.into());
    if matches.on("privileged") {
        set("Privileged", true.into());
    }
    if !env.is_empty() {
        set("Env", json!(env));
    }
    for (key, text) in [
        ("User", matches.text("user")),
        ("WorkingDir", matches.text("workdir")),
        ("DetachKeys", &keys_text),
    ] {
        if !text.is_empty() {
            set(key, text.into());
        }
    }
    let size = tty.then(terminal::size).flatten();
    if let Some((rows, columns)) = size {
        set("ConsoleSize", json!([rows, columns]));
    }
    let client = cli.client()?;
    let created = client
        .json(Request::post(&["containers", &matches.args[0], "exec"]).json(&Value::Object(body)))
        .await?;
    let id = json::text(&created, "Id").to_owned();
    let mut start = json!({"Detach": detach, "Tty": tty});
    if let (Some((rows, columns)), Some(map)) = (size, start.as_object_mut()) {
        map.insert("ConsoleSize".into(), json!([rows, columns]));
    }
    let request = Request::post(&["exec", &id, "start"]).json(&start);
    if detach {
        client.call(request).await?;
        return Ok(0);
    }
    let stream = client.hijack(request).await.map_err(start_failure)?;
    let session = Session {
        tty,
        stdin,
        output: true,
        detach_keys,
    };
    let resize = ["exec", id.as_str(), "resize"];
    let follow = async {
        if tty {
            signals::follow_size(client, &resize, true).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = streams::join(stream, &session) => ended?,
        () = follow => Ended::Finished,
    };
    if ended == Ended::Detached {
        return Err(Failure::new("read escape sequence"));
    }
    let found = client.json(Request::get(&["exec", &id, "json"])).await?;
    Ok(u8::try_from(json::int(&found, "ExitCode") & 0xff).unwrap_or(255))
}

fn start_failure(error: client::Error) -> Failure {
    let text = error.to_string();
    match &error {
        client::Error::Daemon { .. } => match shared::start_failure_code(&text) {
            125 => Failure::new(text),
            code => Failure::with_code(text, code),
        },
        _ => Failure::new(text),
    }
}
