//! `inspect`: the daemon's own words about containers, images, networks and volumes, order and bytes kept.

use client::{Client, Error, Query, Request};

use super::{save, shared};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format, json, out,
    template::{Mode, Template, Value},
};

const SIZE: Flag = flag("size", Kind::Bool, "Show sizes of containers").short('s');

pub(super) static COMMAND: Command = Command {
    paths: &["inspect"],
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    about: "Show all about containers, images, networks and volumes",
    more: "",
    flags: &[&[
        shared::FORMAT_ONE,
        SIZE,
        flag("type", Kind::String, "Look for objects of this type only"),
    ]],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(any(cli, matches)),
};

pub(super) static CONTAINER: Command = Command {
    paths: &["container inspect"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Show all about one or more containers",
    more: "",
    flags: &[&[shared::FORMAT_ONE, SIZE]],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(one_kind(cli, matches, "container")),
};

pub(super) static IMAGE: Command = Command {
    paths: &["image inspect"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Show all about one or more images",
    more: "",
    flags: &[&[
        shared::FORMAT_ONE,
        flag(
            "platform",
            Kind::String,
            "Platform of the image, such as linux/amd64",
        ),
    ]],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(one_kind(cli, matches, "image")),
};

pub(super) static NETWORK: Command = Command {
    paths: &["network inspect"],
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    about: "Show all about one or more networks",
    more: "",
    flags: &[&[
        shared::FORMAT_ONE,
        flag("verbose", Kind::Bool, "Show more, for finding faults").short('v'),
    ]],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(one_kind(cli, matches, "network")),
};

pub(super) static VOLUME: Command = Command {
    paths: &["volume inspect"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Show all about one or more volumes",
    more: "",
    flags: &[&[shared::FORMAT_ONE]],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(one_kind(cli, matches, "volume")),
};

const KINDS: &[&str] = &["container", "image", "network", "volume"];

async fn any(cli: &Cli, matches: &Matches) -> Outcome {
    let kind = matches.text("type");
    match kind {
        "" => {}
        "node" | "service" | "task" | "plugin" | "secret" | "config" => {
            return Err(Failure::new(format!(
                "objects of type {kind} do not exist in this engine"
            )));
        }
        _ if KINDS.contains(&kind) => return one_kind(cli, matches, kind).await,
        _ => {
            return Err(Failure::new(format!(
                "unknown type: {}: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", \
                 \"plugin\", \"secret\", \"service\", \"task\", \"volume\"",
                crate::values::quote(kind)
            )));
        }
    }
    let client = cli.client()?;
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for name in &matches.args {
        match first(client, name, matches).await {
            Ok(Some(text)) => found.push(text),
            Ok(None) => errors.push(format!("Error: No such object: {name}")),
            Err(error) => errors.push(error.to_string()),
        }
    }
    show(&found, matches.text("format"), &errors)
}

/// The first object of that name, kind by kind.
async fn first(client: &Client, name: &str, matches: &Matches) -> Result<Option<String>, Error> {
    for kind in KINDS {
        match fetch(client, kind, name, matches).await {
            Ok(text) => return Ok(Some(text)),
            Err(error) if error.is_not_found() => {}
            // Not every text is a valid name for every kind.
            Err(Error::Daemon { status: 400, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn one_kind(cli: &Cli, matches: &Matches, kind: &str) -> Outcome {
    save::platform(matches.text("platform"))?;
    let client = cli.client()?;
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for name in &matches.args {
        match fetch(client, kind, name, matches).await {
            Ok(text) => found.push(text),
            Err(error @ Error::Daemon { .. }) => errors.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    show(&found, matches.text("format"), &errors)
}

async fn fetch(
    client: &Client,
    kind: &str,
    name: &str,
    matches: &Matches,
) -> Result<String, Error> {
    let request = match kind {
        "container" => Request::get(&["containers", name, "json"])
            .query(Query::new().with_flag("size", matches.on("size"))),
        "image" => {
            let platform = save::platform(matches.text("platform")).ok().flatten();
            let platform = platform.unwrap_or_default();
            Request::get(&["images", name, "json"])
                .query(Query::new().with_some("platform", platform))
        }
        "network" => Request::get(&["networks", name])
            .query(Query::new().with_flag("verbose", matches.on("verbose"))),
        _ => Request::get(&["volumes", name]),
    };
    let bytes = client.send(request).await?.bytes().await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Prints objects as one indented list or with a template, then the errors.
pub(super) fn show(found: &[String], format: &str, errors: &[String]) -> Outcome {
    match format {
        "" => out::line(json::indent(&format!("[{}]", found.join(",")))),
        "json" => {
            // As docker: one object a line.
            for text in found {
                out::line(text.trim_end());
            }
        }
        template => fill(found, template)?,
    }
    if errors.is_empty() {
        Ok(0)
    } else {
        Err(Failure::new(errors.join("\n")))
    }
}

fn fill(found: &[String], template: &str) -> Result<(), Failure> {
    let failure =
        |error: String, code| Failure::with_code(format!("template parsing error: {error}"), code);
    let parsed =
        Template::parse(&format::unescape(template)).map_err(|error| failure(error, 64))?;
    let mut text = String::new();
    for object in found {
        let value: serde_json::Value = serde_json::from_str(object)
            .map_err(|error| Failure::new(format!("unable to read inspect data: {error}")))?;
        let mut row = String::new();
        if let Err(error) = parsed.execute(&Value::from(value), Mode::Values, &mut row) {
            out::print(format!("{text}\n"));
            return Err(failure(error, 1));
        }
        text.push_str(&row);
        text.push('\n');
    }
    if found.is_empty() {
        text.push('\n');
    }
    out::print(text);
    Ok(())
}
