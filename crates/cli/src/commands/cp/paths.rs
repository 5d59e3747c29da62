//! Names of copies: which argument is a container's, and what a thing is called at its destination.

use std::path::Path;

use client::{Client, Error, Query, Request, Response};
use serde_json::Value;

use crate::json;

/// A container's name, if the argument has one, and the path.
pub(super) fn split(argument: &str) -> (Option<&str>, &str) {
    if argument.starts_with('/') {
        return (None, argument);
    }
    match argument.split_once(':') {
        // A dot before the colon: a local file with a colon in its name.
        Some((container, path)) if !container.starts_with('.') => (Some(container), path),
        _ => (None, argument),
    }
}

/// Whether the path must be a folder: it ends in a slash or in `/.`.
pub(super) fn asserts_folder(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.") || path == "."
}

/// Whether the folder's contents are meant, not the folder.
pub(super) fn means_contents(path: &str) -> bool {
    path.ends_with("/.") || path == "."
}

/// The folder part and the last part of a cleaned path.
pub(super) fn parent_and_name(path: &str) -> (String, String) {
    let clean = crate::create::clean(Path::new(path));
    match clean.rsplit_once('/') {
        Some(("", name)) => ("/".into(), name.to_owned()),
        Some((parent, name)) => (parent.to_owned(), name.to_owned()),
        None => ("/".into(), clean),
    }
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) exists: bool,
    pub(super) is_folder: bool,
}

/// Where to extract, and the name the copied thing gets there; no name keeps the contents' own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) folder: String,
    pub(super) name: String,
}

/// Docker's rules: a copy onto a folder goes into it, onto nothing it is renamed, onto a file it replaces it.
///
/// # Errors
/// Docker's words for what cannot be.
pub(super) fn plan(
    source: &str,
    source_name: &str,
    source_is_folder: bool,
    target: &str,
    at_target: Found,
) -> Result<Plan, String> {
    let (parent, name) = parent_and_name(target);
    if at_target.exists && at_target.is_folder {
        let name = if means_contents(source) {
            String::new()
        } else {
            source_name.to_owned()
        };
        return Ok(Plan {
            folder: crate::create::clean(Path::new(target)),
            name,
        });
    }
    if at_target.exists {
        if source_is_folder {
            return Err("cannot copy directory".into());
        }
        if asserts_folder(target) {
            return Err("not a directory".into());
        }
        return Ok(Plan {
            folder: parent,
            name,
        });
    }
    if asserts_folder(target) && !source_is_folder {
        return Err("no such directory".into());
    }
    Ok(Plan {
        folder: parent,
        name,
    })
}

/// Asks the daemon what is at a container's path: name, mode, link target.
pub(super) async fn stat(client: &Client, container: &str, path: &str) -> Result<Value, Error> {
    let answer = client
        .send(
            Request::head(&["containers", container, "archive"])
                .query(Query::new().with("path", path)),
        )
        .await
        .map_err(|error| explain(error, container, path))?;
    let found = stat_of(&answer, container, path)?;
    answer.bytes().await?;
    Ok(found)
}

/// What an answer's header says of the path.
pub(super) fn stat_of(answer: &Response, container: &str, path: &str) -> Result<Value, Error> {
    let header = answer
        .header("x-docker-container-path-stat")
        .unwrap_or_default();
    serde_json::from_slice(&base64(header)).map_err(|source| Error::Answer {
        operation: format!("stat {container}:{path}"),
        source,
    })
}

/// A HEAD has no body: the words are the client's.
pub(super) fn explain(error: Error, container: &str, path: &str) -> Error {
    match error {
        Error::Daemon {
            status: 404,
            message,
        } if message.starts_with("unexpected status") => Error::Daemon {
            status: 404,
            message: format!("Could not find the file {path} in container {container}"),
        },
        other => other,
    }
}

/// Whether a stat's mode says folder (Go's `ModeDir`).
pub(super) fn is_folder(stat: &Value) -> bool {
    stat.get("mode").and_then(Value::as_u64).unwrap_or(0) & 1 << 31 != 0
}

/// Whether a stat's mode says symbolic link (Go's `ModeSymlink`).
pub(super) fn is_link(stat: &Value) -> bool {
    stat.get("mode").and_then(Value::as_u64).unwrap_or(0) & 1 << 27 != 0
}

/// The target of a link, made absolute beside the link.
pub(super) fn link_target(path: &str, stat: &Value) -> String {
    let target = json::text(stat, "linkTarget");
    if target.starts_with('/') {
        target.to_owned()
    } else {
        let (parent, _) = parent_and_name(path);
        crate::create::clean(&Path::new(&parent).join(target))
    }
}

/// Decodes standard base64; other characters are passed over.
fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        assert_eq!(split("c:/a"), (Some("c"), "/a"));
        assert_eq!(split("/a:b"), (None, "/a:b"));
        assert_eq!(split("./a:b"), (None, "./a:b"));
        assert_eq!(split("-"), (None, "-"));
    }

    #[test]
    fn copies_get_dockers_names() {
        let check = |source: &str,
                     folder: bool,
                     target: &str,
                     exists: bool,
                     is_folder: bool,
                     expect: Result<(&str, &str), &str>| {
            let found = plan(source, "s", folder, target, Found { exists, is_folder });
            assert_eq!(
                found.map(|p| (p.folder, p.name)),
                expect
                    .map(|(f, n)| (f.to_owned(), n.to_owned()))
                    .map_err(str::to_owned)
            );
        };
        check("/s", false, "/t", true, true, Ok(("/t", "s")));
        check("/s/.", true, "/t", true, true, Ok(("/t", "")));
        check("/s", true, "/t", false, false, Ok(("/", "t")));
        check("/s", false, "/d/t", false, false, Ok(("/d", "t")));
        check("/s", false, "/t/", false, false, Err("no such directory"));
        check("/s", true, "/t", true, false, Err("cannot copy directory"));
        check("/s", false, "/t/", true, false, Err("not a directory"));
    }

    #[test]
    fn base64_is_read() {
        assert_eq!(base64("eyJhIjoxfQ=="), b"{\"a\":1}");
    }
}
