//! From a container to here: the daemon's archive, its first name changed, extracted below one folder.

use std::{
    fs,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::Path,
    thread,
};

use archive::tar::{Kind, Reader, Writer};
use client::{Query, Request, Response};

use super::paths::{self, Found, Plan};
use crate::{
    command::{Cli, Failure, Outcome, go_io_error},
    flags::Matches,
    human, json,
    out::{self, Stream},
};

/// Copies `container:path` to the local `target`, or to standard output as an archive.
pub(super) async fn copy(
    cli: &Cli,
    matches: &Matches,
    container: &str,
    path: &str,
    target: &str,
) -> Outcome {
    let client = cli.client()?;
    let mut path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let mut asked_name = None;
    if matches.on("follow-link") {
        let stat = paths::stat(client, container, &path).await?;
        if paths::is_link(&stat) {
            asked_name = Some(paths::parent_and_name(&path).1);
            path = paths::link_target(&path, &stat);
        }
    }
    if target != "-" {
        check_parent(target)?;
    }
    let request =
        Request::get(&["containers", container, "archive"]).query(Query::new().with("path", &path));
    let mut answer = client.send(request).await?;
    if target == "-" {
        while let Some(piece) = answer.chunk().await? {
            out::write(Stream::Out, &piece)?;
        }
        return Ok(0);
    }
    let stat = paths::stat_of(&answer, container, &path)?;
    let is_folder = paths::is_folder(&stat);
    let packed_name = json::text(&stat, "name").to_owned();
    let name = asked_name.unwrap_or_else(|| packed_name.clone());
    let here = fs::metadata(target);
    let found = Found {
        exists: here.is_ok(),
        is_folder: here.is_ok_and(|found| found.is_dir()),
    };
    let absolute = std::path::absolute(target)?;
    let mut full = absolute.display().to_string();
    if paths::asserts_folder(target) && !full.ends_with('/') {
        full.push('/');
    }
    let plan = paths::plan(&path, &name, is_folder, &full, found).map_err(Failure::new)?;
    let bytes = receive(answer, plan).await?;
    if !matches.on("quiet") && out::is_terminal(Stream::Err) {
        out::complain(format!(
            "Successfully copied {} to {}",
            human::size_with_precision(bytes as f64, 3),
            absolute.display()
        ));
    }
    Ok(0)
}

/// The folder the copy goes to must be there, and the copy something that can be made.
fn check_parent(target: &str) -> Result<(), Failure> {
    use std::os::unix::fs::FileTypeExt;
    let kind = fs::metadata(target).map(|found| found.file_type());
    if kind.is_ok_and(|kind| kind.is_char_device() || kind.is_block_device()) {
        return Err(Failure::new(format!(
            "invalid output path: {target:?} must be a directory or a regular file: got a device"
        )));
    }
    let absolute = std::path::absolute(target.trim_end_matches('/'))?;
    let parent = absolute.parent().unwrap_or(Path::new("/"));
    match fs::metadata(parent) {
        Ok(found) if found.is_dir() => Ok(()),
        _ => Err(Failure::new(format!(
            "invalid output path: directory {:?} does not exist",
            parent.display().to_string()
        ))),
    }
}

/// Network to a pipe, pipe through the renamer to another pipe, and from there to files.
async fn receive(mut answer: Response, plan: Plan) -> Result<u64, Failure> {
    let folder = fs::File::open(&plan.folder)
        .map_err(|error| Failure::new(format!("open {}: {}", plan.folder, go_io_error(&error))))?;
    let (renamed_out, renamed_in) = io::pipe()?;
    let (wire_out, mut wire_in) = io::pipe()?;
    let renamer = thread::spawn(move || rename(wire_out, renamed_in, &plan.name));
    let extractor = thread::spawn(move || {
        let options = archive::ExtractOptions {
            owner: Some((
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            )),
            no_overwrite_dir_non_dir: true,
            ..archive::ExtractOptions::default()
        };
        archive::extract(renamed_out, folder.as_fd(), &options)
    });
    let mut broken = None;
    loop {
        match answer.chunk().await {
            Ok(Some(piece)) => {
                if wire_in.write_all(&piece).is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    drop(wire_in);
    let renamed = renamer.join();
    let extracted = extractor.join();
    if let Some(error) = broken {
        return Err(error.into());
    }
    match (extracted, renamed) {
        (Ok(Ok(summary)), Ok(Ok(()))) => Ok(summary.bytes),
        (Ok(Err(error)), _) | (_, Ok(Err(error))) => Err(Failure::new(fault::chain(&error))),
        _ => Err(Failure::new("extract the archive: a thread broke off")),
    }
}

/// Gives the archive's first part another name; an empty one drops the folder itself and keeps what is in it.
fn rename(from: impl Read, to: impl Write, name: &str) -> archive::Result<()> {
    let mut reader = Reader::new(io::BufReader::with_capacity(1 << 18, from));
    let mut writer = Writer::new(io::BufWriter::with_capacity(1 << 18, to));
    while let Some(mut entry) = reader.next_entry()? {
        let Some(path) = renamed(&entry.path, name) else {
            continue;
        };
        entry.path = path;
        if entry.kind == Kind::HardLink
            && let Some(link) = renamed(&entry.link, name)
        {
            entry.link = link;
        }
        entry.sparse = None;
        writer.begin(&entry)?;
        let mut contents = reader.contents();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = contents
                .read(&mut buffer)
                .map_err(|source| archive::Error::Read { source })?;
            if length == 0 {
                break;
            }
            writer.write_data(&buffer[..length])?;
        }
    }
    writer.finish().map(drop)
}

/// A path with its first part replaced; `None` for the top folder when there is no new name.
///
/// The first part is the copied thing's own name, or a dot when its contents were asked for.
fn renamed(path: &[u8], name: &str) -> Option<Vec<u8>> {
    let text = path.strip_prefix(b"/").unwrap_or(path);
    let rest = match text.iter().position(|byte| *byte == b'/') {
        Some(at) => &text[at + 1..],
        None => &[],
    };
    let rest = rest.strip_suffix(b"/").unwrap_or(rest);
    match (name.is_empty(), rest.is_empty()) {
        (true, true) => None,
        (true, false) => Some(rest.to_vec()),
        (false, true) => Some(name.as_bytes().to_vec()),
        (false, false) => Some([name.as_bytes(), b"/", rest].concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_changes() {
        let check = |path: &str, name: &str, expect: Option<&str>| {
            assert_eq!(
                renamed(path.as_bytes(), name),
                expect.map(|e| e.as_bytes().to_vec())
            );
        };
        check("etc/passwd", "x", Some("x/passwd"));
        check("etc", "x", Some("x"));
        check("etc/", "", None);
        check("etc/a/b", "", Some("a/b"));
        check("./", "", None);
        check("./a", "", Some("a"));
        check("./a/b/", "y", Some("y/a/b"));
    }
}
