//! `system df`: what takes how much space.

use client::Request;
use serde_json::Value as Json;

use super::{images, ps, shared, volume};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format::{self, Columns},
    human, json, out,
    template::Record,
};

const FLAGS: &[Flag] = &[
    shared::FORMAT,
    flag(
        "verbose",
        Kind::Bool,
        "Show each image, container and volume",
    )
    .short('v'),
];

pub(super) static COMMAND: Command = Command {
    paths: &["system df"],
    usage: "[OPTIONS]",
    about: "Show disk usage",
    more: "",
    flags: &[FLAGS],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

const COLUMNS: Columns = Columns {
    type_name: "*formatter.diskUsageContext",
    headings: &[
        ("Active", "ACTIVE"),
        ("Reclaimable", "RECLAIMABLE"),
        ("Size", "SIZE"),
        ("TotalCount", "TOTAL"),
        ("Type", "TYPE"),
    ],
};

/// One line of the summary.
struct Line {
    kind: &'static str,
    total: usize,
    active: usize,
    size: i64,
    reclaimable: i64,
}

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let usage = cli.client()?.json(Request::get(&["system", "df"])).await?;
    if matches.on("verbose") {
        out::print(match matches.text("format") {
            "" | "table" => verbose(&usage)?,
            format => format::render_object(
                format,
                &verbose_object(&usage)?,
                ("", "*formatter.diskUsageContext"),
            )?,
        });
        return Ok(0);
    }
    let rows = [
        images_line(&usage),
        containers_line(&usage),
        volumes_line(&usage),
        cache_line(&usage),
    ]
    .into_iter()
    .map(|line| Record {
        fields: vec![
            ("Active", line.active.to_string().into()),
            ("Reclaimable", reclaimable(&line).into()),
            ("Size", human::size(line.size as f64).into()),
            ("TotalCount", line.total.to_string().into()),
            ("Type", line.kind.into()),
        ],
        ..Record::default()
    })
    .collect();
    let default = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
    out::print(format::render(
        matches.text("format"),
        default,
        COLUMNS,
        rows,
    )?);
    Ok(0)
}

fn reclaimable(line: &Line) -> String {
    let text = human::size(line.reclaimable as f64);
    if line.size > 0 && line.kind != "Build Cache" {
        format!("{text} ({}%)", line.reclaimable * 100 / line.size)
    } else {
        text
    }
}

fn images_line(usage: &Json) -> Line {
    let images = json::list(usage, "Images");
    let used: i64 = images
        .iter()
        .filter(|image| json::int(image, "Containers") > 0)
        .map(|image| json::int(image, "Size") - json::int(image, "SharedSize").max(0))
        .sum();
    let size = json::int(usage, "LayersSize");
    Line {
        kind: "Images",
        total: images.len(),
        active: images
            .iter()
            .filter(|image| json::int(image, "Containers") > 0)
            .count(),
        size,
        reclaimable: size - used,
    }
}

fn containers_line(usage: &Json) -> Line {
    let containers = json::list(usage, "Containers");
    let running = |container: &&Json| {
        matches!(
            json::text(container, "State"),
            "running" | "paused" | "restarting"
        )
    };
    let size =
        |list: &mut dyn Iterator<Item = &Json>| list.map(|one| json::int(one, "SizeRw")).sum();
    Line {
        kind: "Containers",
        total: containers.len(),
        active: containers.iter().filter(running).count(),
        size: size(&mut containers.iter()),
        reclaimable: size(&mut containers.iter().filter(|one| !running(one))),
    }
}

fn volumes_line(usage: &Json) -> Line {
    let volumes = json::list(usage, "Volumes");
    let number = |volume: &Json, key: &str| {
        volume
            .get("UsageData")
            .map_or(0, |data| json::int(data, key))
    };
    let known = |volume: &&Json| number(volume, "Size") != -1;
    Line {
        kind: "Local Volumes",
        total: volumes.len(),
        active: volumes
            .iter()
            .filter(|volume| number(volume, "RefCount") > 0)
            .count(),
        size: volumes
            .iter()
            .filter(known)
            .map(|volume| number(volume, "Size"))
            .sum(),
        reclaimable: volumes
            .iter()
            .filter(known)
            .filter(|volume| number(volume, "RefCount") == 0)
            .map(|volume| number(volume, "Size"))
            .sum(),
    }
}

fn cache_line(usage: &Json) -> Line {
    let cache = json::list(usage, "BuildCache");
    let sum = |list: &mut dyn Iterator<Item = &Json>| list.map(|one| json::int(one, "Size")).sum();
    Line {
        kind: "Build Cache",
        total: cache.len(),
        active: cache.iter().filter(|one| json::truth(one, "InUse")).count(),
        size: sum(&mut cache.iter().filter(|one| !json::truth(one, "Shared"))),
        reclaimable: sum(&mut cache
            .iter()
            .filter(|one| !json::truth(one, "InUse") && !json::truth(one, "Shared"))),
    }
}

/// One row an image, whatever its names.
fn image_rows(usage: &Json, truncate: bool) -> Vec<Record> {
    json::list(usage, "Images")
        .iter()
        .flat_map(|image| images::rows(image, false, truncate).into_iter().take(1))
        .collect()
}

fn container_rows(usage: &Json, truncate: bool) -> Vec<Record> {
    let row = |container: &Json| {
        let mut container = container.clone();
        if let Some(map) = container.as_object_mut() {
            // Here docker shows the writable layer alone.
            map.shift_remove("SizeRootFs");
        }
        ps::row(&container, truncate)
    };
    json::list(usage, "Containers").iter().map(row).collect()
}

fn volume_rows(usage: &Json) -> Vec<Record> {
    json::list(usage, "Volumes")
        .iter()
        .map(volume::row)
        .collect()
}

/// Everything as one object, with whole ids, for templates that go through it.
fn verbose_object(usage: &Json) -> Result<Json, Failure> {
    let rows = |columns, rows| -> Result<Json, Failure> {
        let lines = format::render("json", "", columns, rows)?;
        let parsed = lines.lines().map(serde_json::from_str);
        parsed
            .collect::<Result<Vec<Json>, _>>()
            .map(Json::from)
            .map_err(|error| Failure::new(format!("failed to format the usage: {error}")))
    };
    Ok(serde_json::json!({
        "Images": rows(images::COLUMNS, image_rows(usage, false))?,
        "Containers": rows(ps::COLUMNS, container_rows(usage, false))?,
        "Volumes": rows(volume::COLUMNS, volume_rows(usage))?,
        "BuildCache": json::list(usage, "BuildCache"),
    }))
}

fn verbose(usage: &Json) -> Result<String, Failure> {
    let mut text = String::from("Images space usage:\n\n");
    text.push_str(&format::render(
        "",
        "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
        images::COLUMNS,
        image_rows(usage, true),
    )?);
    text.push_str("\nContainers space usage:\n\n");
    text.push_str(&format::render(
        "",
        "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
        ps::COLUMNS,
        container_rows(usage, true),
    )?);
    text.push_str("\nLocal Volumes space usage:\n\n");
    text.push_str(&format::render(
        "",
        "{{.Name}}\t{{.Links}}\t{{.Size}}",
        volume::COLUMNS,
        volume_rows(usage),
    )?);
    text.push_str(&format!(
        "\nBuild cache usage: {}\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n",
        human::size(cache_line(usage).size as f64)
    ));
    Ok(text)
}
