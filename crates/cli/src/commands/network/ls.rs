//! `network ls`.

use client::{Query, Request};
use serde_json::Value as Json;

use super::super::shared;
use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format::{self, Columns},
    human, json, out,
    template::Record,
    times,
};

const FLAGS: &[Flag] = &[
    shared::FILTER,
    shared::FORMAT,
    flag("no-trunc", Kind::Bool, "Show all of long texts"),
    flag("quiet", Kind::Bool, "Show ids only").short('q'),
];

pub(in crate::commands) static COMMAND: Command = Command {
    paths: &["network ls", "network list"],
    usage: "[OPTIONS]",
    about: "List networks",
    more: "",
    flags: &[FLAGS],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

const COLUMNS: Columns = Columns {
    type_name: "*network.networkContext",
    headings: &[
        ("CreatedAt", "CREATED AT"),
        ("Driver", "DRIVER"),
        ("ID", "NETWORK ID"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("Name", "NAME"),
        ("Scope", "SCOPE"),
    ],
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let query = Query::new().with_some("filters", shared::filters(matches.list("filter")));
    let found = cli
        .client()?
        .json(Request::get(&["networks"]).query(query))
        .await?;
    let mut networks: Vec<&Json> = found
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .collect();
    networks.sort_by_key(|network| json::text(network, "Name"));
    let truncate = !matches.on("no-trunc");
    let rows = networks
        .into_iter()
        .map(|network| row(network, truncate))
        .collect();
    let quiet = matches.on("quiet") && !matches.is_set("format");
    let default = if quiet {
        "{{.ID}}"
    } else {
        "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}"
    };
    let format = if quiet {
        default.to_owned()
    } else {
        cli.format(matches, "networksFormat")
    };
    out::print(format::render(&format, default, COLUMNS, rows)?);
    Ok(0)
}

fn row(network: &Json, truncate: bool) -> Record {
    let labels = json::pairs(network, "Labels");
    let id = json::text(network, "Id");
    Record {
        fields: vec![
            (
                "CreatedAt",
                times::go_string_exact(json::text(network, "Created")).into(),
            ),
            ("Driver", json::text(network, "Driver").into()),
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
                "IPv4",
                json::truth(network, "EnableIPv4").to_string().into(),
            ),
            (
                "IPv6",
                json::truth(network, "EnableIPv6").to_string().into(),
            ),
            (
                "Internal",
                json::truth(network, "Internal").to_string().into(),
            ),
            ("Labels", json::joined(&labels).into()),
            ("Name", json::text(network, "Name").into()),
            ("Scope", json::text(network, "Scope").into()),
        ],
        labels,
        ..Record::default()
    }
}
