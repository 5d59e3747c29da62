//! `export`: a container's file system as a tar archive.

use std::{fs::File, io::Write};

use client::{Request, Response};

use super::shared;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome, go_io_error},
    flags::{Flag, Kind, Matches, flag},
    out::{self, Stream},
};

const FLAGS: &[Flag] = &[flag(
    "output",
    Kind::String,
    "Write to this file instead of STDOUT",
)
.short('o')];

pub(super) static COMMAND: Command = Command {
    paths: &["container export", "export"],
    usage: "[OPTIONS] CONTAINER",
    about: "Export a container's file system as a tar archive",
    more: "",
    flags: &[FLAGS],
    args: Args::Exactly(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let output = matches.text("output");
    check_output("export container", output)?;
    if output.is_empty() {
        shared::refuse_terminal(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect",
        )?;
    }
    let answer = cli
        .client()?
        .send(Request::get(&["containers", &matches.args[0], "export"]))
        .await?;
    write_body(answer, output).await?;
    Ok(0)
}

/// The file must be possible: its folder is there, and it is none itself. `doing` is what fails otherwise.
///
/// # Errors
/// Docker's words.
pub(super) fn check_output(doing: &str, output: &str) -> Result<(), Failure> {
    let path = std::path::Path::new(output);
    if path.is_dir() {
        return Err(Failure::new(format!(
            "failed to {doing}: cannot write to a directory"
        )));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.exists() => {
            Err(Failure::new(format!(
                "failed to {doing}: invalid output path: stat {}: no such file or directory",
                parent.display()
            )))
        }
        _ => Ok(()),
    }
}

/// Writes an archive to a file, which appears only when it is whole, or to standard output.
///
/// # Errors
/// The connection broke off or the file cannot be written.
pub(super) async fn write_body(mut answer: Response, output: &str) -> Result<(), Failure> {
    if output.is_empty() {
        while let Some(piece) = answer.chunk().await? {
            out::write(Stream::Out, &piece)?;
        }
        return Ok(());
    }
    let draft = format!("{output}.estiva-{}", std::process::id());
    let special = std::fs::metadata(output).is_ok_and(|found| !found.is_file());
    let path = if special { output } else { &draft };
    let fail =
        |error: std::io::Error| Failure::new(format!("open {output}: {}", go_io_error(&error)));
    let mut file = File::create(path).map_err(fail)?;
    let written = async {
        while let Some(piece) = answer.chunk().await? {
            file.write_all(&piece).map_err(fail)?;
        }
        Ok::<(), Failure>(())
    }
    .await;
    if special {
        return written;
    }
    match written {
        Ok(()) => std::fs::rename(&draft, output).map_err(fail),
        Err(failure) => {
            // The half-made file is of no use to anyone.
            let _ = std::fs::remove_file(&draft);
            Err(failure)
        }
    }
}
