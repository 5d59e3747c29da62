//! `create`: makes a container, and pulls its image when it is missing.

use std::{fs, path::Path};

use client::{Client, Error, Query, Request};
use serde_json::Value;

use super::{pull, shared};
use crate::{
    command::{Args, Cli, Command, Outcome, go_io_error},
    create::{CONTAINER, EXTRA, Prepared, prepare},
    flags::Matches,
    json, out,
};

pub(super) static COMMAND: Command = Command {
    paths: &["container create", "create"],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create a container without starting it",
    more: "",
    flags: &[CONTAINER, EXTRA],
    args: Args::AtLeast(1),
    interspersed: false,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    check_pull(matches).map_err(|error| shared::with_hint(cli, &error, 125))?;
    let prepared = prepare(matches, false).map_err(|error| shared::with_hint(cli, &error, 125))?;
    let client = cli.client()?;
    let id = make(client, matches, &prepared)
        .await
        .map_err(crate::command::Failure::new)?;
    out::line(id);
    Ok(0)
}

/// Refuses an unknown pull policy.
pub(super) fn check_pull(matches: &Matches) -> Result<(), String> {
    match matches.text("pull") {
        "" | "always" | "missing" | "never" => Ok(()),
        other => Err(format!(
            "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
        )),
    }
}

/// Creates the container and returns its id.
///
/// # Errors
/// The daemon's error, or the file for the id cannot be made.
pub(super) async fn make(
    client: &Client,
    matches: &Matches,
    prepared: &Prepared,
) -> Result<String, String> {
    let cidfile = matches.text("cidfile");
    if !cidfile.is_empty() {
        if Path::new(cidfile).exists() {
            return Err(format!(
                "container ID file found, make sure the other container isn't running or delete {cidfile}"
            ));
        }
        fs::write(cidfile, "").map_err(|error| {
            format!(
                "failed to create the container ID file: open {cidfile}: {}",
                go_io_error(&error)
            )
        })?;
    }
    let created = request(client, matches, prepared).await;
    if !cidfile.is_empty() {
        let written = match &created {
            Ok(id) => fs::write(cidfile, id),
            Err(_) => fs::remove_file(cidfile),
        };
        written.map_err(|error| {
            format!(
                "failed to write the container ID to the file: {}",
                go_io_error(&error)
            )
        })?;
    }
    created
}

async fn request(
    client: &Client,
    matches: &Matches,
    prepared: &Prepared,
) -> Result<String, String> {
    let platform = matches.text("platform");
    shared::check_reference(&prepared.image)?;
    if !platform.is_empty() {
        platform.parse::<oci::Platform>().map_err(|error| {
            format!("error parsing specified platform: {error}: invalid argument")
        })?;
    }
    let quiet = matches.on("quiet");
    let image = shared::familiar(&prepared.image);
    let query = Query::new()
        .with_some("name", matches.text("name"))
        .with_some("platform", platform);
    let create = || {
        Request::post(&["containers", "create"])
            .query(query.clone())
            .json(&prepared.body)
    };
    let policy = matches.text("pull");
    if policy == "always" {
        pull::fetch(client, &prepared.image, platform, quiet).await?;
    }
    let answer: Value = match client.json(create()).await {
        // The image is not here, or not for that platform.
        Err(Error::Daemon { status: 404, .. }) if !matches!(policy, "never" | "always") => {
            if !quiet {
                out::complain(format!("Unable to find image '{image}' locally"));
            }
            pull::fetch(client, &prepared.image, platform, quiet).await?;
            client
                .json(create())
                .await
                .map_err(|error| error.to_string())?
        }
        result => result.map_err(|error| error.to_string())?,
    };
    for warning in json::list(&answer, "Warnings") {
        out::complain(format!("WARNING: {}", warning.as_str().unwrap_or_default()));
    }
    Ok(json::text(&answer, "Id").to_owned())
}
