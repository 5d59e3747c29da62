//! `list`: the containers of a root.

use super::state::Document;
use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given, switch, value};
use crate::record::{self, Container};

pub(crate) const COMMAND: Command = Command {
    name: "list",
    arguments: "",
    about: "list containers",
    flags: &[
        value(&["format", "f"], "table (default) or json"),
        switch(&["quiet", "q"], "print ids only"),
    ],
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let containers: Vec<Container> = record::ids(&globals.root)?
        .iter()
        // One that is being deleted is not there.
        .filter_map(|id| Container::open(&globals.root, id).ok())
        .collect();
    if given.is_on("quiet") {
        let ids: Vec<&str> = containers.iter().map(|c| c.record.id.as_str()).collect();
        return crate::print(&ids.iter().map(|id| format!("{id}\n")).collect::<String>());
    }
    let documents: Vec<Document<'_>> = containers.iter().map(Document::of).collect();
    match given.text("format").unwrap_or("table") {
        "table" => crate::print(&table(&documents)),
        "json" => {
            let text = serde_json::to_string(&documents).map_err(|source| Error::Json {
                path: globals.root.clone(),
                source,
            })?;
            crate::print(&(text + "\n"))
        }
        other => Err(Error::Value {
            flag: "format".to_owned(),
            value: other.to_owned(),
        }),
    }
}

/// Columns at least twelve wide, three blanks apart.
fn table(documents: &[Document<'_>]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows: Vec<[String; 6]> = [head]
        .into_iter()
        .chain(documents.iter().map(Document::row))
        .collect();
    let mut widths = [12; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (cell.chars().count() + 3).max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        for (width, cell) in widths.into_iter().zip(&row) {
            text.push_str(&format!("{cell:<width$}"));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
