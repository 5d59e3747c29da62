//! `history`: how an image was made, step by step.

use client::{Query, Request};
use serde_json::Value as Json;

use super::{save, shared};
use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format::{self, Columns},
    human, json, out,
    template::Record,
    times,
};

const FLAGS: &[Flag] = &[
    shared::FORMAT,
    flag("human", Kind::Bool, "Print sizes and times for people")
        .short('H')
        .default("true"),
    flag("no-trunc", Kind::Bool, "Show all of long texts"),
    flag(
        "platform",
        Kind::String,
        "Platform of the image, such as linux/amd64",
    ),
    flag("quiet", Kind::Bool, "Show ids only").short('q'),
];

pub(super) static COMMAND: Command = Command {
    paths: &["image history", "history"],
    usage: "[OPTIONS] IMAGE",
    about: "Show the history of an image",
    more: "",
    flags: &[FLAGS],
    args: Args::Exactly(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

const COLUMNS: Columns = Columns {
    type_name: "*image.historyContext",
    headings: &[
        ("Comment", "COMMENT"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("CreatedSince", "CREATED"),
        ("ID", "IMAGE"),
        ("Size", "SIZE"),
    ],
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let mut query = Query::new();
    if let Some(platform) = save::platform(matches.text("platform"))? {
        query = query.with("platform", platform);
    }
    let list = cli
        .client()?
        .json(Request::get(&["images", &matches.args[0], "history"]).query(query))
        .await?;
    let people = matches.on_or("human", true);
    let truncate = !matches.on("no-trunc");
    let quiet = matches.on("quiet") && !matches.is_set("format");
    let default = if quiet {
        "{{.ID}}"
    } else if people {
        "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
    } else {
        "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
    };
    let format = if quiet {
        default
    } else {
        matches.text("format")
    };
    let rows = list
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|step| row(step, people, truncate))
        .collect();
    out::print(format::render(format, default, COLUMNS, rows)?);
    Ok(0)
}

fn row(step: &Json, people: bool, truncate: bool) -> Record {
    let created = json::int(step, "Created");
    let id = json::text(step, "Id");
    let size = json::int(step, "Size");
    let by = json::text(step, "CreatedBy").replace('\t', " ");
    Record {
        fields: vec![
            ("Comment", json::text(step, "Comment").into()),
            ("CreatedAt", times::rfc3339(created).into()),
            (
                "CreatedBy",
                if truncate {
                    human::ellipsis(&by, 45)
                } else {
                    by
                }
                .into(),
            ),
            (
                "CreatedSince",
                if people {
                    times::ago(created)
                } else {
                    times::rfc3339(created)
                }
                .into(),
            ),
            (
                "ID",
                if truncate {
                    human::short_id(id)
                } else {
                    id.to_owned()
                }
                .into(),
            ),
            (
                "Size",
                if people {
                    human::size_with_precision(size as f64, 3)
                } else {
                    size.to_string()
                }
                .into(),
            ),
        ],
        ..Record::default()
    }
}
