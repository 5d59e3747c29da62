//! `network connect`.

use client::Request;
use serde_json::{Map, Value as Json, json};

use super::create::{commas, pairs};
use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::{Flag, Kind, Matches, flag},
};

const STRINGS: Kind = Kind::Named("strings");

const FLAGS: &[Flag] = &[
    flag(
        "alias",
        STRINGS,
        "More names of the container in the network",
    ),
    flag("driver-opt", STRINGS, "Options of the network's driver"),
    flag(
        "gw-priority",
        Kind::Int,
        "The network with the highest gives the default route; may be negative",
    ),
    flag("ip", Kind::String, "IPv4 address, such as 172.30.100.104"),
    flag("ip6", Kind::String, "IPv6 address, such as 2001:db8::33"),
    flag("link", Kind::List, "Link to another container"),
    flag(
        "link-local-ip",
        STRINGS,
        "Link-local addresses of the container",
    ),
];

pub(in crate::commands) static COMMAND: Command = Command {
    paths: &["network connect"],
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Connect a container to a network",
    more: "",
    flags: &[FLAGS],
    args: Args::Exactly(2),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let [network, container] = [&matches.args[0], &matches.args[1]];
    let body = json!({ "Container": container, "EndpointConfig": endpoint(matches) });
    cli.client()?
        .call(Request::post(&["networks", network, "connect"]).json(&body))
        .await?;
    Ok(0)
}

fn endpoint(matches: &Matches) -> Map<String, Json> {
    let mut ipam = Map::new();
    for (flag, key) in [("ip", "IPv4Address"), ("ip6", "IPv6Address")] {
        if !matches.text(flag).is_empty() {
            ipam.insert(key.into(), matches.text(flag).into());
        }
    }
    let local = commas(matches.list("link-local-ip"));
    if !local.is_empty() {
        ipam.insert("LinkLocalIPs".into(), json!(local));
    }
    let mut endpoint = Map::new();
    endpoint.insert("IPAMConfig".into(), ipam.into());
    for (flag, key) in [("link", "Links"), ("alias", "Aliases")] {
        let list = match flag {
            "link" => matches.list(flag).to_vec(),
            _ => commas(matches.list(flag)),
        };
        if !list.is_empty() {
            endpoint.insert(key.into(), json!(list));
        }
    }
    let options = pairs(&commas(matches.list("driver-opt")));
    if !options.is_empty() {
        endpoint.insert("DriverOpts".into(), options.into());
    }
    if matches.is_set("gw-priority") {
        endpoint.insert("GwPriority".into(), matches.int("gw-priority").into());
    }
    endpoint
}
