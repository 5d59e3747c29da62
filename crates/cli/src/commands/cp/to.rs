//! From here to a container: a local file or folder packed under its new name, or an archive from standard input.

use std::{
    fs,
    io::{self},
    os::fd::AsFd,
    os::unix::ffi::OsStrExt,
    path::Path,
    thread,
};

use client::{Client, Payload, Query, Request};

use super::paths::{self, Found};
use crate::{
    command::{Cli, Failure, Outcome, go_io_error},
    flags::Matches,
    human,
    out::{self, Stream},
};

/// Copies the local `source` (or an archive on standard input) to `container:path`.
pub(super) async fn copy(
    cli: &Cli,
    matches: &Matches,
    source: &str,
    container: &str,
    path: &str,
) -> Outcome {
    let follow = matches.on("follow-link") || paths::asserts_folder(source);
    let local = if source == "-" {
        None
    } else {
        Some(look(source, follow)?)
    };
    let client = cli.client()?;
    let mut path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    // A link at the destination is followed once, as Docker does.
    let mut found = paths::stat(client, container, &path).await;
    if let Ok(stat) = &found
        && paths::is_link(stat)
    {
        let folder = if paths::asserts_folder(&path) {
            "/"
        } else {
            ""
        };
        path = paths::link_target(&path, stat) + folder;
        found = paths::stat(client, container, &path).await;
    }
    let at_target = match found {
        Ok(stat) => Found {
            exists: true,
            is_folder: paths::is_folder(&stat),
        },
        // A missing container has its own words.
        Err(error) if error.is_not_found() && !error.message().starts_with("No such container") => {
            Found {
                exists: false,
                is_folder: false,
            }
        }
        Err(error) => return Err(error.into()),
    };
    let Some((absolute, is_folder)) = local else {
        if !at_target.is_folder {
            return Err(Failure::new(format!(
                "destination \"{container}:{}\" must be a directory",
                path
            )));
        }
        put(
            client,
            matches,
            container,
            &path,
            Payload::Reader(Box::new(io::stdin())),
        )
        .await?;
        return Ok(0);
    };
    let (parent, base) = paths::parent_and_name(&absolute);
    let plan = paths::plan(source, &base, is_folder, &path, at_target).map_err(Failure::new)?;
    let (reader, writer) = io::pipe()?;
    let contents_only = plan.name.is_empty();
    let options = archive::PackOptions {
        include: vec![archive::pack::Include {
            path: Path::new(&base).as_os_str().as_bytes().to_vec(),
            name: if contents_only {
                Vec::new()
            } else {
                plan.name.clone().into_bytes()
            },
            follow,
        }],
        ..archive::PackOptions::default()
    };
    let folder = fs::File::open(&parent)
        .map_err(|error| Failure::new(format!("open {parent}: {}", go_io_error(&error))))?;
    let packer = thread::spawn(move || archive::pack(folder.as_fd(), &options, writer));
    let sent = put(
        client,
        matches,
        container,
        &plan.folder,
        Payload::Reader(Box::new(reader)),
    )
    .await;
    let packed = packer.join();
    // The daemon's refusal explains more than the pipe it broke.
    sent.map_err(|error| match error {
        client::Error::Daemon {
            status: 404,
            message,
        } if !message.starts_with("No such container") => Failure::new(format!(
            "Error response from daemon: Could not find the file {} in container {container}",
            plan.folder
        )),
        other => other.into(),
    })?;
    let bytes = match packed {
        Ok(Ok(packed)) => packed.bytes,
        Ok(Err(error)) => return Err(Failure::new(fault::chain(&error))),
        Err(_) => return Err(Failure::new("pack the archive: a thread broke off")),
    };
    if !matches.on("quiet") && out::is_terminal(Stream::Err) {
        out::complain(format!(
            "Successfully copied {} to {container}:{path}",
            human::size_with_precision(bytes as f64, 3)
        ));
    }
    Ok(0)
}

/// The absolute path of the source and whether it is a folder.
fn look(source: &str, follow: bool) -> Result<(String, bool), Failure> {
    let absolute = std::path::absolute(source)?;
    let shown = crate::create::clean(&absolute);
    let found = if follow {
        fs::metadata(&absolute)
    } else {
        fs::symlink_metadata(&shown)
    };
    let found =
        found.map_err(|error| Failure::new(format!("lstat {shown}: {}", go_io_error(&error))))?;
    if paths::asserts_folder(source) && !found.is_dir() {
        return Err(Failure::new(format!("lstat {shown}: not a directory")));
    }
    Ok((shown, found.is_dir()))
}

async fn put(
    client: &Client,
    matches: &Matches,
    container: &str,
    folder: &str,
    payload: Payload,
) -> Result<(), client::Error> {
    let mut query = Query::new()
        .with("path", folder)
        .with("noOverwriteDirNonDir", "true");
    if matches.on("archive") {
        query = query.with("copyUIDGID", "true");
    }
    let request = Request::put(&["containers", container, "archive"])
        .query(query)
        .body("application/x-tar", payload);
    client.call(request).await
}
