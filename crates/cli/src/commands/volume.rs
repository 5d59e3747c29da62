//! `volume create`, `volume ls`, `volume rm`, `volume prune`.

use client::{Client, Query, Request};
use serde_json::{Map, Value as Json};

use super::{container_prune, shared};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format::{self, Columns},
    human, json, out,
    template::Record,
};

const CREATE_FLAGS: &[Flag] = &[
    flag("driver", Kind::String, "Volume driver")
        .short('d')
        .default("local"),
    flag("label", Kind::List, "Set metadata"),
    flag("opt", Kind::Map, "Driver options")
        .short('o')
        .default("map[]"),
];

pub(super) static CREATE: Command = Command {
    paths: &["volume create"],
    usage: "[OPTIONS] [VOLUME]",
    about: "Create a volume",
    more: "",
    flags: &[CREATE_FLAGS],
    args: Args::AtMost(1),
    interspersed: true,
    run: |cli, matches| Box::pin(create(cli, matches)),
};

async fn create(cli: &Cli, matches: &Matches) -> Outcome {
    let pairs = |given: &[String]| -> Map<String, Json> {
        given
            .iter()
            .map(|text| {
                let (key, value) = text.split_once('=').unwrap_or((text, ""));
                (key.to_owned(), value.into())
            })
            .collect()
    };
    let driver = matches.text("driver");
    let mut body = Map::new();
    body.insert(
        "Driver".into(),
        if driver.is_empty() { "local" } else { driver }.into(),
    );
    body.insert("DriverOpts".into(), pairs(matches.list("opt")).into());
    body.insert("Labels".into(), pairs(matches.list("label")).into());
    if let Some(name) = matches.args.first() {
        body.insert("Name".into(), name.as_str().into());
    }
    let made = cli
        .client()?
        .json(Request::post(&["volumes", "create"]).json(&Json::Object(body)))
        .await?;
    out::line(json::text(&made, "Name"));
    Ok(0)
}

const LS_FLAGS: &[Flag] = &[
    shared::FILTER,
    shared::FORMAT,
    flag("quiet", Kind::Bool, "Show names only").short('q'),
];

pub(super) static LS: Command = Command {
    paths: &["volume ls", "volume list"],
    usage: "[OPTIONS]",
    about: "List volumes",
    more: "",
    flags: &[LS_FLAGS],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(list(cli, matches)),
};

pub(super) const COLUMNS: Columns = Columns {
    type_name: "*formatter.volumeContext",
    headings: &[
        ("Availability", "AVAILABILITY"),
        ("Driver", "DRIVER"),
        ("Group", "GROUP"),
        ("Labels", "LABELS"),
        ("Links", "LINKS"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Name", "VOLUME NAME"),
        ("Scope", "SCOPE"),
        ("Size", "SIZE"),
        ("Status", "STATUS"),
    ],
};

async fn list(cli: &Cli, matches: &Matches) -> Outcome {
    let query = Query::new().with_some("filters", shared::filters(matches.list("filter")));
    let found = cli
        .client()?
        .json(Request::get(&["volumes"]).query(query))
        .await?;
    let mut volumes: Vec<&Json> = json::list(&found, "Volumes").iter().collect();
    volumes.sort_by_key(|volume| json::text(volume, "Name"));
    let rows = volumes.into_iter().map(row).collect();
    let quiet = matches.on("quiet") && !matches.is_set("format");
    let default = if quiet {
        "{{.Name}}"
    } else {
        "{{.Driver}}\t{{.Name}}"
    };
    let format = if quiet {
        default.to_owned()
    } else {
        cli.format(matches, "volumesFormat")
    };
    out::print(format::render(&format, default, COLUMNS, rows)?);
    Ok(0)
}

/// A volume as a row.
pub(super) fn row(volume: &Json) -> Record {
    let labels = json::pairs(volume, "Labels");
    let usage = volume.get("UsageData").filter(|usage| usage.is_object());
    let number = |key| usage.map(|usage| json::int(usage, key));
    Record {
        fields: vec![
            ("Availability", "N/A".into()),
            ("Driver", json::text(volume, "Driver").into()),
            ("Group", "N/A".into()),
            ("Labels", json::joined(&labels).into()),
            (
                "Links",
                number("RefCount")
                    .map_or("N/A".into(), |count| count.to_string())
                    .into(),
            ),
            ("Mountpoint", json::text(volume, "Mountpoint").into()),
            ("Name", json::text(volume, "Name").into()),
            ("Scope", json::text(volume, "Scope").into()),
            (
                "Size",
                number("Size")
                    .map_or("N/A".into(), |size| human::size(size as f64))
                    .into(),
            ),
            ("Status", "N/A".into()),
        ],
        labels,
        ..Record::default()
    }
}

pub(super) static RM: Command = Command {
    paths: &["volume rm", "volume remove"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Remove one or more volumes that no container uses",
    more: "",
    flags: &[&[flag(
        "force",
        Kind::Bool,
        "Do not mind volumes that are not there",
    )
    .short('f')]],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(remove(cli, matches)),
};

async fn remove(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let query = Query::new().with_flag("force", matches.on("force"));
    shared::each(&matches.args, |name| {
        client.call(Request::delete(&["volumes", name]).query(query.clone()))
    })
    .await
}

pub(super) static PRUNE: Command = Command {
    paths: &["volume prune"],
    usage: "[OPTIONS]",
    about: "Remove unused volumes",
    more: "",
    flags: &[&[
        flag(
            "all",
            Kind::Bool,
            "Remove named volumes too, not just anonymous ones",
        )
        .short('a'),
        shared::PRUNE_FILTER,
        shared::FORCE,
    ]],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run_prune(cli, matches)),
};

async fn run_prune(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let all = matches.on("all");
    if !matches.on("force") {
        // Before API 1.42 a prune took named volumes too.
        let version = client.version().await?;
        let minor: u32 = version
            .split('.')
            .nth(1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let old = minor < 42;
        let what = if all || old {
            "all local volumes"
        } else {
            "anonymous local volumes"
        };
        shared::confirm(&format!(
            "WARNING! This will remove {what} not used by at least one container.\nAre you sure you want to continue?"
        ))?;
    }
    let (text, space) = prune(client, all, matches.list("filter")).await?;
    out::print(text);
    out::line(container_prune::reclaimed(space));
    Ok(0)
}

/// Prunes and tells what went and how many bytes.
pub(super) async fn prune(
    client: &Client,
    all: bool,
    given: &[String],
) -> Result<(String, i64), Failure> {
    let mut given = given.to_vec();
    if all {
        given.push("all=true".into());
    }
    let request = Request::post(&["volumes", "prune"])
        .query(Query::new().with_some("filters", shared::filters(&given)));
    let answer = client.json(request).await?;
    Ok((
        container_prune::section("Deleted Volumes:", json::list(&answer, "VolumesDeleted")),
        json::int(&answer, "SpaceReclaimed"),
    ))
}
