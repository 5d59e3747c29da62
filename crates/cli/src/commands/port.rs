//! `port`: where a container's ports are published.

use client::Request;
use serde_json::Value;

use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    create::ports,
    flags::Matches,
    json, out,
};

pub(super) static COMMAND: Command = Command {
    paths: &["container port", "port"],
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    about: "Show where a container's ports are published",
    more: "",
    flags: &[],
    args: Args::Between(1, 2),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    let found = cli
        .client()?
        .json(Request::get(&["containers", name, "json"]))
        .await?;
    let empty = serde_json::Map::new();
    let published = found
        .pointer("/NetworkSettings/Ports")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let address = |binding: &Value| {
        let (ip, port) = (
            json::text(binding, "HostIp"),
            json::text(binding, "HostPort"),
        );
        if ip.contains(':') {
            format!("[{ip}]:{port}")
        } else {
            format!("{ip}:{port}")
        }
    };
    if let Some(wanted) = matches.args.get(1) {
        let full = if wanted.contains('/') {
            wanted.clone()
        } else {
            format!("{wanted}/tcp")
        };
        let number = wanted.split('/').next().unwrap_or_default();
        ports::number(number)
            .map_err(|why| Failure::new(format!("Error: invalid port ({number}): {why}")))?;
        let bindings = published
            .get(&full)
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty())
            .ok_or_else(|| {
                Failure::new(format!(
                    "Error: No public port '{wanted}' published for {name}"
                ))
            })?;
        for binding in bindings {
            out::line(address(binding));
        }
        return Ok(0);
    }
    let mut lines: Vec<(u32, String)> = Vec::new();
    for (port, bindings) in published {
        let number = port
            .split('/')
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        for binding in bindings.as_array().map_or(&[][..], Vec::as_slice) {
            lines.push((number, format!("{port} -> {}", address(binding))));
        }
    }
    lines.sort();
    for (_, line) in lines {
        out::line(line);
    }
    Ok(0)
}
