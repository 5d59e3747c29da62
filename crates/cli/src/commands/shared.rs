//! What many commands need: filters, acting on each name in turn, asking before deleting, image names.

use std::{future::Future, io::BufRead};

use serde_json::{Map, Value};

use crate::{
    command::{Cli, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    out, terminal,
};

/// `--format` as most lists have it.
pub(super) const FORMAT: Flag = flag(
    "format",
    Kind::String,
    "Print with a template:\n'table':            a table with headings (default)\n'table TEMPLATE':   a table with these columns\n'json':             one JSON object a line\n'TEMPLATE':         the Go template for each row",
);

/// `-f/--format` as inspections have it.
pub(super) const FORMAT_ONE: Flag = flag(
    "format",
    Kind::String,
    "Print with a template:\n'json':             JSON\n'TEMPLATE':         the Go template",
)
.short('f');

/// `-f/--filter`.
pub(super) const FILTER: Flag = flag(
    "filter",
    Kind::Named("filter"),
    "Show only what fits (name=value)",
)
.short('f')
.check(filter_is_valid);

/// `--filter` of the prune commands, where `-f` is force.
pub(super) const PRUNE_FILTER: Flag = flag(
    "filter",
    Kind::Named("filter"),
    "Remove only what fits (such as \"until=<timestamp>\")",
)
.check(filter_is_valid);

/// `-f/--force` of the prune commands.
pub(super) const FORCE: Flag = flag("force", Kind::Bool, "Do not ask").short('f');

fn filter_is_valid(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('=') {
        Ok(())
    } else {
        Err("bad format of filter (expected name=value)".into())
    }
}

/// The API's filters, empty text for none.
pub(super) fn filters(given: &[String]) -> String {
    let mut map: Map<String, Value> = Map::new();
    for text in given.iter().filter(|text| !text.is_empty()) {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let name = name.trim().to_lowercase();
        let entry = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Some(values) = entry.as_object_mut() {
            values.insert(value.trim().to_owned(), true.into());
        }
    }
    if map.is_empty() {
        String::new()
    } else {
        Value::Object(map).to_string()
    }
}

/// Does something to each name; prints the names that worked and the errors of those that did not.
pub(super) async fn each<'a, F, W>(names: &'a [String], mut act: F) -> Outcome
where
    F: FnMut(&'a str) -> W,
    W: Future<Output = Result<(), client::Error>>,
{
    let mut errors = Vec::new();
    for name in names {
        match act(name).await {
            Ok(()) => out::line(name),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        Ok(0)
    } else {
        Err(Failure::new(errors.join("\n")))
    }
}

/// Asks on the terminal; anything but yes is no.
pub(super) fn confirm(warning: &str) -> Result<(), Failure> {
    out::print(format!("{warning} [y/N] "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim().eq_ignore_ascii_case("y") {
        Ok(())
    } else {
        // To say no is no failure.
        Err(Failure::silent(0))
    }
}

/// The familiar name of an image with its tag: `docker.io/library/x` is `x:latest`.
pub(super) fn familiar(image: &str) -> String {
    let name = image
        .strip_prefix("docker.io/library/")
        .or_else(|| image.strip_prefix("docker.io/"))
        .unwrap_or(image);
    if name.contains('@') || has_tag(name) {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

/// Refuses what no image can be called, in the words of its grammar. An id is a name here.
///
/// # Errors
/// `invalid reference format…`.
pub(super) fn check_reference(name: &str) -> Result<(), String> {
    let is_id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.parse::<oci::Reference>() {
        Err(error) if !is_id => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Whether a name ends in a tag (a colon after the last slash).
pub(super) fn has_tag(name: &str) -> bool {
    name.rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'))
}

/// A repository and its tag; the tag is empty when there is none.
pub(super) fn split_tag(name: &str) -> (&str, &str) {
    if has_tag(name) && !name.contains('@') {
        name.rsplit_once(':').unwrap_or((name, ""))
    } else {
        (name, "")
    }
}

/// A failure of run or create as Docker prints it, with its hint.
pub(super) fn with_hint(cli: &Cli, error: &str, code: u8) -> Failure {
    Failure::with_code(
        format!(
            "{0}: {error}\n\nRun '{0} {1} --help' for more information",
            cli.program, cli.path
        ),
        code,
    )
}

/// Docker's exit code for a container that could not start.
pub(super) fn start_failure_code(message: &str) -> u8 {
    let has = |part: &str| message.contains(part);
    if has("executable file not found")
        || has("no such file or directory")
        || has("system cannot find the file specified")
    {
        127
    } else if has("permission denied") || has("is a directory") {
        126
    } else {
        125
    }
}

/// Refuses a writing of binary data to a terminal.
pub(super) fn refuse_terminal(what: &str) -> Result<(), Failure> {
    if out::is_terminal(out::Stream::Out) {
        Err(Failure::new(what))
    } else {
        Ok(())
    }
}

/// Detach keys of the flag, else of the configuration, else Docker's. What they mean is empty where they mean nothing: the
/// daemon refuses them then.
pub(super) fn detach_keys(cli: &Cli, matches: &Matches) -> (String, Vec<u8>) {
    let mut text = matches.text("detach-keys").to_owned();
    if text.is_empty() {
        text = cli
            .contexts
            .config()
            .get("detachKeys")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
    }
    let keys = terminal::detach_keys(&text).unwrap_or_default();
    (text, keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_json() {
        assert_eq!(
            filters(&["label=a=b".into(), "label=c".into(), "name=x".into()]),
            r#"{"label":{"a=b":true,"c":true},"name":{"x":true}}"#
        );
        assert_eq!(filters(&[]), "");
    }

    #[test]
    fn names_of_images() {
        assert_eq!(familiar("x"), "x:latest");
        assert_eq!(familiar("docker.io/library/x:1"), "x:1");
        assert_eq!(familiar("h:5000/x"), "h:5000/x:latest");
        assert_eq!(split_tag("h:5000/x:1"), ("h:5000/x", "1"));
        assert_eq!(split_tag("h:5000/x"), ("h:5000/x", ""));
    }
}
