//! `ps`: lists containers.

use client::{Query, Request};
use serde_json::Value as Json;

use super::shared;
use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format::{self, Columns},
    human, json, out,
    template::{Record, Value},
    times,
};

const FLAGS: &[Flag] = &[
    flag(
        "all",
        Kind::Bool,
        "Show all containers, not only running ones",
    )
    .short('a'),
    shared::FILTER,
    shared::FORMAT,
    flag(
        "last",
        Kind::Int,
        "Show the n last created containers, whatever their state",
    )
    .short('n')
    .default("-1"),
    flag(
        "latest",
        Kind::Bool,
        "Show the last created container, whatever its state",
    )
    .short('l'),
    flag("no-trunc", Kind::Bool, "Show all of long texts"),
    flag("quiet", Kind::Bool, "Show ids only").short('q'),
    flag("size", Kind::Bool, "Show sizes").short('s'),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container ls", "container list", "container ps", "ps"],
    usage: "[OPTIONS]",
    about: "List containers",
    more: "",
    flags: &[FLAGS],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

pub(super) const COLUMNS: Columns = Columns {
    type_name: "*formatter.ContainerContext",
    headings: &[
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Labels", "LABELS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Mounts", "MOUNTS"),
        ("Names", "NAMES"),
        ("Networks", "NETWORKS"),
        ("Platform", "PLATFORM"),
        ("Ports", "PORTS"),
        ("RunningFor", "CREATED"),
        ("Size", "SIZE"),
        ("State", "STATE"),
        ("Status", "STATUS"),
    ],
};

const DEFAULT: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let custom = cli.format(matches, "psFormat");
    let size = matches.on("size") || custom.contains(".Size") || custom.contains("json .");
    let mut query = Query::new();
    if matches.on("all") {
        query = query.with("all", "1");
    }
    let limit = if matches.on("latest") {
        1
    } else {
        matches.int("last")
    };
    if limit > 0 {
        query = query.with("limit", limit.to_string());
    }
    query = query
        .with_flag("size", size)
        .with_some("filters", shared::filters(matches.list("filter")));
    let list = cli
        .client()?
        .json(Request::get(&["containers", "json"]).query(query))
        .await?;
    let truncate = !matches.on("no-trunc");
    let rows: Vec<Record> = list
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|container| row(container, truncate))
        .collect();
    let (format, default) = if matches.on("quiet") && !matches.is_set("format") {
        ("{{.ID}}".to_owned(), "{{.ID}}".to_owned())
    } else if matches.on("size") {
        (custom, format!("{DEFAULT}\t{{{{.Size}}}}"))
    } else {
        (custom, DEFAULT.to_owned())
    };
    out::print(format::render(&format, &default, COLUMNS, rows)?);
    Ok(0)
}

/// A container of the API's list as a row.
pub(super) fn row(container: &Json, truncate: bool) -> Record {
    let id = json::text(container, "Id");
    let created = json::int(container, "Created");
    let labels = json::pairs(container, "Labels");
    let mounts = json::list(container, "Mounts");
    let command = json::text(container, "Command");
    let command = if truncate {
        human::ellipsis(command, 20)
    } else {
        command.to_owned()
    };
    let networks: Vec<String> = container
        .pointer("/NetworkSettings/Networks")
        .and_then(Json::as_object)
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default();
    let local = mounts
        .iter()
        .filter(|mount| json::text(mount, "Driver") == "local")
        .count();
    let fields = vec![
        ("Command", crate::values::quote(&command).into()),
        ("CreatedAt", times::go_string(created).into()),
        (
            "ID",
            if truncate {
                human::short_id(id)
            } else {
                id.to_owned()
            }
            .into(),
        ),
        ("Image", image(container, truncate).into()),
        ("Labels", json::joined(&labels).into()),
        ("LocalVolumes", local.to_string().into()),
        ("Mounts", mount_names(mounts, truncate).into()),
        ("Names", names(container, truncate).into()),
        ("Networks", networks.join(",").into()),
        (
            "Platform",
            container
                .get("ImageManifestDescriptor")
                .and_then(|d| d.get("platform"))
                .cloned()
                .map_or(Value::Nil, Value::from),
        ),
        ("Ports", ports(json::list(container, "Ports")).into()),
        ("RunningFor", times::ago(created).into()),
        ("Size", size(container).into()),
        ("State", json::text(container, "State").into()),
        ("Status", json::text(container, "Status").into()),
    ];
    Record {
        fields,
        labels,
        ..Record::default()
    }
}

fn names(container: &Json, truncate: bool) -> String {
    let all = json::list(container, "Names")
        .iter()
        .filter_map(Json::as_str)
        .map(|name| name.strip_prefix('/').unwrap_or(name))
        // Names with a slash inside are links of other containers.
        .filter(|name| !truncate || !name.contains('/'));
    all.collect::<Vec<_>>().join(",")
}

fn image(container: &Json, truncate: bool) -> String {
    let image = json::text(container, "Image");
    if image.is_empty() {
        return "<no image>".into();
    }
    if !truncate {
        return image.to_owned();
    }
    let short = human::short_id(json::text(container, "ImageID"));
    if !short.is_empty() && human::short_id(image) == short {
        return short;
    }
    image.split('@').next().unwrap_or(image).to_owned()
}

fn mount_names(mounts: &[Json], truncate: bool) -> String {
    let names: Vec<String> = mounts
        .iter()
        .map(|mount| {
            let name = match json::text(mount, "Name") {
                "" => json::text(mount, "Source"),
                name => name,
            };
            if truncate {
                human::ellipsis(name, 15)
            } else {
                name.to_owned()
            }
        })
        .collect();
    names.join(",")
}

fn size(container: &Json) -> String {
    let writable = human::size_with_precision(json::int(container, "SizeRw") as f64, 3);
    match json::int(container, "SizeRootFs") {
        total if total > 0 => {
            format!(
                "{writable} (virtual {})",
                human::size_with_precision(total as f64, 3)
            )
        }
        _ => writable,
    }
}

/// Published and exposed ports; runs of neighbours become ranges where the host's number is the container's.
pub(super) fn ports(list: &[Json]) -> String {
    struct Run {
        ip: String,
        proto: String,
        first: i64,
        last: i64,
    }
    impl Run {
        fn shown(&self) -> String {
            let span = match self.first == self.last {
                true => self.first.to_string(),
                false => format!("{}-{}", self.first, self.last),
            };
            match self.ip.as_str() {
                "" => format!("{span}/{}", self.proto),
                ip => format!("{}:{span}->{span}/{}", bracketed(ip), self.proto),
            }
        }
    }
    let mut sorted: Vec<(i64, &str, i64, &str)> = list
        .iter()
        .map(|port| {
            (
                json::int(port, "PrivatePort"),
                json::text(port, "IP"),
                json::int(port, "PublicPort"),
                json::text(port, "Type"),
            )
        })
        .collect();
    sorted.sort_unstable();
    let (mut ended, mut runs, mut mapped) = (Vec::new(), Vec::<Run>::new(), Vec::new());
    for (private, ip, public, proto) in sorted {
        if !ip.is_empty() && public != private {
            mapped.push(format!("{}:{public}->{private}/{proto}", bracketed(ip)));
            continue;
        }
        let fresh = Run {
            ip: ip.to_owned(),
            proto: proto.to_owned(),
            first: private,
            last: private,
        };
        match runs
            .iter_mut()
            .find(|run| run.ip == ip && run.proto == proto)
        {
            None => runs.push(fresh),
            Some(run) if run.last + 1 == private => run.last = private,
            Some(run) => ended.push(std::mem::replace(run, fresh).shown()),
        }
    }
    ended.extend(runs.iter().map(Run::shown));
    ended.append(&mut mapped);
    ended.join(", ")
}

fn bracketed(ip: &str) -> String {
    match ip.contains(':') {
        true => format!("[{ip}]"),
        false => ip.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn port(ip: &str, private: i64, public: i64, kind: &str) -> Json {
        json!({"IP": ip, "PrivatePort": private, "PublicPort": public, "Type": kind})
    }

    #[test]
    fn ports_are_told_as_docker_tells_them() {
        let list = [
            json!({"PrivatePort": 99, "Type": "tcp"}),
            port("0.0.0.0", 7001, 9001, "udp"),
            port("::", 7001, 9001, "udp"),
            port("0.0.0.0", 80, 8099, "tcp"),
            port("::", 80, 8099, "tcp"),
            port("127.0.0.1", 81, 32768, "tcp"),
        ];
        assert_eq!(
            ports(&list),
            "99/tcp, 0.0.0.0:8099->80/tcp, [::]:8099->80/tcp, 127.0.0.1:32768->81/tcp, \
             0.0.0.0:9001->7001/udp, [::]:9001->7001/udp"
        );
    }

    #[test]
    fn neighbours_of_the_same_number_become_ranges() {
        let list = [
            port("0.0.0.0", 80, 80, "tcp"),
            port("0.0.0.0", 81, 81, "tcp"),
            port("0.0.0.0", 90, 90, "tcp"),
            json!({"PrivatePort": 53, "Type": "udp"}),
            json!({"PrivatePort": 54, "Type": "udp"}),
        ];
        assert_eq!(
            ports(&list),
            "0.0.0.0:80-81->80-81/tcp, 53-54/udp, 0.0.0.0:90->90/tcp"
        );
    }
}
