//! `network create`.

use std::net::IpAddr;

use client::Request;
use serde_json::{Map, Value as Json, json};

use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    json, out,
};

/// Texts that may also stand in one word with commas.
const STRINGS: Kind = Kind::Named("strings");

const FLAGS: &[Flag] = &[
    flag(
        "attachable",
        Kind::Bool,
        "Let single containers join by hand",
    ),
    flag(
        "aux-address",
        Kind::Named("map"),
        "Addresses that no container is given (name=address)",
    )
    .default("map[]"),
    flag(
        "config-from",
        Kind::String,
        "Network to take the configuration from",
    ),
    flag(
        "config-only",
        Kind::Bool,
        "Make a configuration for other networks only",
    ),
    flag("driver", Kind::String, "Driver of the network")
        .short('d')
        .default("bridge"),
    flag("gateway", STRINGS, "Gateway of a subnet, IPv4 or IPv6"),
    flag("ingress", Kind::Bool, "Make the entry network of a swarm"),
    flag("internal", Kind::Bool, "Leave no way out of the network"),
    flag(
        "ip-range",
        STRINGS,
        "Part of a subnet that containers get addresses from",
    ),
    flag("ipam-driver", Kind::String, "Driver of the addresses").default("default"),
    flag(
        "ipam-opt",
        Kind::Map,
        "Options of the driver of the addresses",
    )
    .default("map[]"),
    flag("ipv4", Kind::Bool, "Give IPv4 addresses").default("true"),
    flag("ipv6", Kind::Bool, "Give IPv6 addresses"),
    flag("label", Kind::List, "Set metadata"),
    flag("opt", Kind::Map, "Options of the driver")
        .short('o')
        .default("map[]"),
    flag("scope", Kind::String, "Scope of the network"),
    flag("subnet", STRINGS, "Subnet in CIDR notation"),
];

pub(in crate::commands) static COMMAND: Command = Command {
    paths: &["network create"],
    usage: "[OPTIONS] NETWORK",
    about: "Create a network",
    more: "",
    flags: &[FLAGS],
    args: Args::Exactly(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let body = body(matches).map_err(Failure::new)?;
    let made = cli
        .client()?
        .json(Request::post(&["networks", "create"]).json(&body))
        .await?;
    let warning = json::text(&made, "Warning");
    if !warning.is_empty() {
        out::complain(format!("WARNING: {warning}"));
    }
    out::line(json::text(&made, "Id"));
    Ok(0)
}

/// The request's body.
fn body(matches: &Matches) -> Result<Json, String> {
    let driver = matches.text("driver");
    let ipam_driver = matches.text("ipam-driver");
    let pools = pools(
        &commas(matches.list("subnet")),
        &commas(matches.list("ip-range")),
        &commas(matches.list("gateway")),
        matches.list("aux-address"),
    )?;
    let mut body = json!({
        "Name": matches.args[0],
        "Driver": if driver.is_empty() { "bridge" } else { driver },
        "Options": pairs(matches.list("opt")),
        "IPAM": {
            "Driver": if ipam_driver.is_empty() { "default" } else { ipam_driver },
            "Options": pairs(matches.list("ipam-opt")),
            "Config": pools,
        },
        "Internal": matches.on("internal"),
        "Ingress": matches.on("ingress"),
        "Attachable": matches.on("attachable"),
        "ConfigOnly": matches.on("config-only"),
        "Scope": matches.text("scope"),
        "Labels": pairs(matches.list("label")),
    });
    // What is not said is the daemon's to decide.
    for (flag, key) in [("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")] {
        if matches.is_set(flag) {
            body[key] = matches.on(flag).into();
        }
    }
    if matches.is_set("config-from") {
        body["ConfigFrom"] = json!({ "Network": matches.text("config-from") });
    }
    Ok(body)
}

/// `a,b` and `a` `b` mean the same.
pub(super) fn commas(given: &[String]) -> Vec<String> {
    given
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::to_owned)
        .collect()
}

/// `key=value` texts as an object; a key alone has an empty value.
pub(super) fn pairs(given: &[String]) -> Map<String, Json> {
    given
        .iter()
        .map(|text| {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            (key.to_owned(), value.into())
        })
        .collect()
}

/// Brings ranges, gateways and reserved addresses to the subnets they lie in.
fn pools(
    subnets: &[String],
    ranges: &[String],
    gateways: &[String],
    reserved: &[String],
) -> Result<Vec<Json>, String> {
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".into());
    }
    let mut pools: Vec<(&str, Map<String, Json>)> = Vec::new();
    for subnet in subnets {
        for (other, _) in &pools {
            if lies_in(subnet, other)? || lies_in(other, subnet)? {
                return Err("multiple overlapping subnet configuration is not supported".into());
            }
        }
        let mut pool = Map::new();
        pool.insert("Subnet".into(), subnet.as_str().into());
        pools.push((subnet, pool));
    }
    for (key, given, one, many) in [
        ("IPRange", ranges, "range", "ranges"),
        ("Gateway", gateways, "gateway", "gateways"),
    ] {
        for text in given {
            let mut found = false;
            for (subnet, pool) in &mut pools {
                if !lies_in(subnet, text)? {
                    continue;
                }
                if let Some(other) = pool.get(key).and_then(Json::as_str) {
                    let on = if one == "range" { "on" } else { "for" };
                    return Err(format!(
                        "cannot configure multiple {many} ({text}, {other}) {on} the same subnet ({subnet})"
                    ));
                }
                pool.insert(key.into(), text.as_str().into());
                found = true;
            }
            if !found {
                return Err(format!("no matching subnet for {one} {text}"));
            }
        }
    }
    for text in reserved {
        let (name, address) = text.split_once('=').unwrap_or((text, ""));
        let mut found = false;
        for (subnet, pool) in &mut pools {
            if !lies_in(subnet, address)? {
                continue;
            }
            let list = pool
                .entry("AuxiliaryAddresses")
                .or_insert_with(|| Json::Object(Map::new()));
            if let Some(list) = list.as_object_mut() {
                list.insert(name.into(), address.into());
            }
            found = true;
        }
        if !found {
            return Err(format!("no matching subnet for aux-address {address}"));
        }
    }
    Ok(pools
        .into_iter()
        .map(|(_, pool)| Json::Object(pool))
        .collect())
}

/// Whether an address, or the address of a range, lies in a subnet.
fn lies_in(subnet: &str, text: &str) -> Result<bool, String> {
    let (network, bits) =
        cidr(subnet).ok_or_else(|| format!("invalid subnet: invalid CIDR address: {subnet}"))?;
    let address = if text.contains('/') {
        cidr(text)
            .map(|(address, _)| address)
            .ok_or_else(|| format!("invalid CIDR address: {text}"))?
    } else {
        match text.parse() {
            Ok(address) => address,
            Err(_) => return Ok(false),
        }
    };
    Ok(match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            (network.to_bits() ^ address.to_bits()) & mask == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            (network.to_bits() ^ address.to_bits()) & mask == 0
        }
        _ => false,
    })
}

fn cidr(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check([subnets, ranges, gateways, reserved]: [&[&str]; 4], expect: Result<Json, &str>) {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let found = pools(&own(subnets), &own(ranges), &own(gateways), &own(reserved));
        assert_eq!(found.map(Json::from), expect.map_err(str::to_owned));
    }

    #[test]
    fn ranges_and_gateways_find_their_subnet() {
        check(
            [
                &["10.5.0.0/16", "fd00::/64"],
                &["10.5.3.0/24"],
                &["fd00::9", "10.5.0.9"],
                &["a=10.5.0.8"],
            ],
            Ok(json!([
                {"Subnet": "10.5.0.0/16", "IPRange": "10.5.3.0/24", "Gateway": "10.5.0.9",
                 "AuxiliaryAddresses": {"a": "10.5.0.8"}},
                {"Subnet": "fd00::/64", "Gateway": "fd00::9"},
            ])),
        );
    }

    #[test]
    fn what_has_no_subnet_is_refused() {
        check(
            [&[], &[], &["1.2.3.4"], &[]],
            Err("every ip-range or gateway must have a corresponding subnet"),
        );
        check(
            [&["10.5.0.0/16"], &[], &["10.6.0.1"], &[]],
            Err("no matching subnet for gateway 10.6.0.1"),
        );
        check(
            [&["10.5.0.0/16"], &["10.6.0.1/24"], &[], &[]],
            Err("no matching subnet for range 10.6.0.1/24"),
        );
        check(
            [&["10.5.0.0/16"], &[], &[], &["a=10.6.0.1"]],
            Err("no matching subnet for aux-address 10.6.0.1"),
        );
        check(
            [&["10.5.0.0/16", "10.5.1.0/24"], &[], &[], &[]],
            Err("multiple overlapping subnet configuration is not supported"),
        );
        check(
            [&["10.5", "10.6.0.0/16"], &[], &[], &[]],
            Err("invalid CIDR address: 10.5")
                .map_err(|_| "invalid subnet: invalid CIDR address: 10.5"),
        );
    }
}
