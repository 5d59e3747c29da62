//! `stats`: what running containers use, live.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use client::{Client, Error, Query, Request};
use serde_json::Value as Json;

use super::shared;
use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format::{self, Columns},
    human, json, out,
    template::Record,
};

const FLAGS: &[Flag] = &[
    flag(
        "all",
        Kind::Bool,
        "Show all containers, not only running ones",
    )
    .short('a'),
    shared::FORMAT,
    flag("no-stream", Kind::Bool, "Show one result and end"),
    flag("no-trunc", Kind::Bool, "Show all of long texts"),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container stats", "stats"],
    usage: "[OPTIONS] [CONTAINER...]",
    about: "Show what containers use, live",
    more: "",
    flags: &[FLAGS],
    args: Args::Any,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

const COLUMNS: Columns = Columns {
    type_name: "*container.statsContext",
    headings: &[
        ("BlockIO", "BLOCK I/O"),
        ("CPUPerc", "CPU %"),
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("MemPerc", "MEM %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("Name", "NAME"),
        ("NetIO", "NET I/O"),
        ("PIDs", "PIDS"),
    ],
};

const DEFAULT: &str = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

/// The pause between two screens.
const PERIOD: Duration = Duration::from_millis(1000);

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let once = matches.on("no-stream");
    let format = cli.format(matches, "statsFormat");
    let truncate = !matches.on("no-trunc");
    let is_table = format.is_empty() || format.starts_with("table");
    // Samples of the round before, by container: a share of CPU time needs two.
    let mut before: HashMap<String, Json> = HashMap::new();
    loop {
        let names = names(client, matches).await?;
        let answers = all(names
            .iter()
            .map(|name| sample(client, name, once))
            .collect())
        .await;
        let mut rows = Vec::new();
        for (name, answer) in names.iter().zip(answers) {
            let found = match answer {
                Ok(found) => found,
                // A container may go between the list and the question, unless it was asked for.
                Err(error) if error.is_not_found() && matches.args.is_empty() => continue,
                Err(error) => return Err(error.into()),
            };
            let previous = before.insert(name.clone(), found.clone());
            rows.push(row(name, &found, previous.as_ref(), truncate));
        }
        let text = format::render(&format, DEFAULT, COLUMNS, rows)?;
        if once {
            out::print(text);
            return Ok(0);
        }
        if is_table && out::is_terminal(out::Stream::Out) {
            // Home, each line cleared to its end, then all below.
            out::print(format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")));
        } else {
            out::print(text);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn names(client: &Client, matches: &Matches) -> Result<Vec<String>, Error> {
    if !matches.args.is_empty() {
        return Ok(matches.args.clone());
    }
    let query = Query::new().with_flag("all", matches.on("all"));
    let list = client
        .json(Request::get(&["containers", "json"]).query(query))
        .await?;
    Ok(list
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|container| human::short_id(json::text(container, "Id")))
        .collect())
}

/// One sample; with `primed` the daemon waits for two readings itself.
async fn sample(client: &Client, name: &str, primed: bool) -> Result<Json, Error> {
    let query = Query::new()
        .with("stream", "0")
        .with_flag("one-shot", !primed);
    client
        .json(Request::get(&["containers", name, "stats"]).query(query))
        .await
}

/// Runs futures side by side and collects their results in order.
async fn all<T, F: Future<Output = T>>(futures: Vec<F>) -> Vec<T> {
    let mut running: Vec<(Pin<Box<F>>, Option<T>)> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    poll_fn(|cx| {
        let mut pending = false;
        for (future, result) in &mut running {
            if result.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(value) => *result = Some(value),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    running
        .into_iter()
        .filter_map(|(_, result)| result)
        .collect()
}

fn row(name: &str, found: &Json, previous: Option<&Json>, truncate: bool) -> Record {
    let id = json::text(found, "id");
    let id = if id.is_empty() { name } else { id };
    let (used, limit) = memory(found);
    let (received, sent) = network(found);
    let (read, written) = blocks(found);
    let pair = |a: f64, b: f64| {
        format!(
            "{} / {}",
            human::size_with_precision(a, 3),
            human::size_with_precision(b, 3)
        )
    };
    let share = if limit > 0.0 {
        used / limit * 100.0
    } else {
        0.0
    };
    Record {
        fields: vec![
            ("BlockIO", pair(read, written).into()),
            ("CPUPerc", format!("{:.2}%", cpu(found, previous)).into()),
            ("Container", name.into()),
            (
                "ID",
                if truncate {
                    human::short_id(id)
                } else {
                    id.to_owned()
                }
                .into(),
            ),
            ("MemPerc", format!("{share:.2}%").into()),
            (
                "MemUsage",
                format!(
                    "{} / {}",
                    human::size_binary(used),
                    human::size_binary(limit)
                )
                .into(),
            ),
            (
                "Name",
                json::text(found, "name").trim_start_matches('/').into(),
            ),
            ("NetIO", pair(received, sent).into()),
            (
                "PIDs",
                json::int(&found["pids_stats"], "current")
                    .to_string()
                    .into(),
            ),
        ],
        ..Record::default()
    }
}

fn number(object: &Json, pointer: &str) -> f64 {
    object
        .pointer(pointer)
        .and_then(Json::as_f64)
        .unwrap_or_default()
}

/// Per cent of one CPU.
fn cpu(found: &Json, previous: Option<&Json>) -> f64 {
    let (own, whole) = ("/cpu_usage/total_usage", "/system_cpu_usage");
    let now = &found["cpu_stats"];
    let own_prior = &found["precpu_stats"];
    let prior = if number(own_prior, whole) > 0.0 {
        own_prior
    } else {
        match previous {
            Some(sample) => &sample["cpu_stats"],
            None => return 0.0,
        }
    };
    let used = number(now, own) - number(prior, own);
    let total = number(now, whole) - number(prior, whole);
    if used <= 0.0 || total <= 0.0 {
        return 0.0;
    }
    let mut count = number(now, "/online_cpus");
    if count == 0.0 {
        count = json::list(&now["cpu_usage"], "percpu_usage").len() as f64;
    }
    used / total * count * 100.0
}

/// Memory in use without the page cache that can go at once, and the limit.
fn memory(found: &Json) -> (f64, f64) {
    let stats = &found["memory_stats"];
    let usage = number(stats, "/usage");
    let cache = ["/stats/total_inactive_file", "/stats/inactive_file"]
        .into_iter()
        .find(|pointer| stats.pointer(pointer).is_some())
        .map_or(0.0, |pointer| number(stats, pointer));
    let used = if cache < usage { usage - cache } else { usage };
    (used, number(stats, "/limit"))
}

fn network(found: &Json) -> (f64, f64) {
    let networks = found.get("networks").and_then(Json::as_object);
    networks.map_or((0.0, 0.0), |map| {
        map.values().fold((0.0, 0.0), |(received, sent), one| {
            (
                received + number(one, "/rx_bytes"),
                sent + number(one, "/tx_bytes"),
            )
        })
    })
}

fn blocks(found: &Json) -> (f64, f64) {
    let entries = json::list(&found["blkio_stats"], "io_service_bytes_recursive");
    let sum = |letter: char| {
        entries
            .iter()
            .filter(|entry| {
                json::text(entry, "op")
                    .to_ascii_lowercase()
                    .starts_with(letter)
            })
            .map(|entry| number(entry, "/value"))
            .sum()
    };
    (sum('r'), sum('w'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shares_come_from_two_samples() {
        let found = json!({
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
            "memory_stats": {"usage": 100, "limit": 1000, "stats": {"inactive_file": 40}},
        });
        assert!((cpu(&found, None) - 40.0).abs() < 1e-9);
        assert_eq!(memory(&found), (60.0, 1000.0));
    }
}
