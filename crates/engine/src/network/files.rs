//! `/etc/hosts` and `/etc/resolv.conf` of a container: written at its start, kept right while networks come and go.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use network::dns::Conf;

use super::endpoint::{Endpoint, Live};
use super::hosts::{self, Line};
use super::links;
use super::options::{BridgeOptions, GatewayMode};
use super::registry::Registry;
use super::state::Networks;
use crate::container::Record;
use crate::container::create::put;
use crate::engine::Shared;
use crate::error::{Error, Result};

/// Port of name servers.
const DNS_PORT: u16 = 53;

/// Writes both files afresh, before the program runs; gives the text of resolv.conf.
pub(crate) fn write(shared: &Shared, record: &Record, live: &Live) -> Result<String> {
    let folder = shared.container_folder(&record.id);
    put(&folder, "hosts", &hosts_text(shared, record, live)?)?;
    let resolv = resolv_text(shared, record, live);
    put(&folder, "resolv.conf", &resolv)?;
    Ok(resolv)
}

/// Adds the lines of a network that a running container has joined.
pub(crate) fn joined(shared: &Shared, record: &Record, endpoint: &Endpoint) -> Result<()> {
    let lines = own_lines(shared, record, endpoint);
    edit_hosts(shared, &record.id, |text| hosts::with(text, &lines))
}

/// Takes the lines of a network away that a running container has left.
pub(crate) fn left(shared: &Shared, record: &Record, endpoint: &Endpoint) -> Result<()> {
    let lines = own_lines(shared, record, endpoint);
    edit_hosts(shared, &record.id, |text| hosts::without(text, &lines))
}

/// Changes a hosts file in place: the container has just this file bound into its root.
pub(crate) fn edit_hosts(
    shared: &Shared,
    container: &str,
    edit: impl FnOnce(&str) -> String,
) -> Result<()> {
    let path = shared.container_folder(container).join("hosts");
    let text = fs::read(&path).map_err(|e| Error::file("read", &path, e))?;
    let text = String::from_utf8_lossy(&text);
    let edited = edit(&text);
    match edited == text {
        true => Ok(()),
        false => overwrite(&path, &edited),
    }
}

/// Brings a running container's resolv.conf to its networks, unless the container has changed it; gives the text as we
/// know it then.
pub(crate) fn renew_resolv(shared: &Shared, record: &Record, live: &Live) -> Result<String> {
    let path = shared.container_folder(&record.id).join("resolv.conf");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let wanted = resolv_text(shared, record, live);
    if text != live.resolv_conf {
        return Ok(live.resolv_conf.clone());
    }
    if text != wanted {
        overwrite(&path, &wanted)?;
    }
    Ok(wanted)
}

fn overwrite(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::options().write(true).truncate(true).open(path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|e| Error::file("write", path, e))
}

// --- hosts ---

fn hosts_text(shared: &Shared, record: &Record, live: &Live) -> Result<String> {
    let mut lines = extra(shared, record, live)?;
    lines.extend(links::lines(shared, record)?);
    for endpoint in live.by_priority() {
        lines.extend(own_lines(shared, record, endpoint));
    }
    Ok(hosts::fresh(&lines))
}

fn own_lines(shared: &Shared, record: &Record, endpoint: &Endpoint) -> Vec<Line> {
    let hostname = crate::spec::namespaces::hostname(record, &shared.host.name());
    let hostname = match hostname.is_empty() {
        true => shared.host.name(),
        false => hostname,
    };
    let names = hosts::own_names(&hostname, &record.config.domainname);
    let line = |address| Line {
        address,
        names: names.clone(),
    };
    endpoint.ips().into_iter().map(line).collect()
}

/// What `--add-host` asks for.
fn extra(shared: &Shared, record: &Record, live: &Live) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for text in &record.host.extra_hosts {
        let (name, address) = split_extra(text)?;
        let addresses = match address.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => host_gateways(shared, live),
        };
        lines.extend(addresses.into_iter().map(|address| Line {
            address,
            names: name.to_owned(),
        }));
    }
    Ok(lines)
}

/// Reads `name:address` or `name:host-gateway`.
///
/// # Errors
/// [`Error::Invalid`], in Docker's words.
pub(crate) fn split_extra(text: &str) -> Result<(&str, &str)> {
    let (name, address) = text
        .split_once(':')
        .filter(|(name, address)| !name.is_empty() && !address.is_empty())
        .ok_or_else(|| Error::Invalid(format!("bad format for add-host: {text:?}")))?;
    if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
        return Err(Error::Invalid(format!("bad format for add-host: {text:?}")));
    }
    let address = address.trim_matches(['[', ']']);
    if address != "host-gateway" && address.parse::<IpAddr>().is_err() {
        return Err(Error::Invalid(format!(
            "invalid IP address in add-host: {address:?}"
        )));
    }
    Ok((name, address))
}

/// Where a container reaches its host.
fn host_gateways(shared: &Shared, live: &Live) -> Vec<IpAddr> {
    let told = &shared.options.network.host_gateway;
    if !told.is_empty() {
        return told.clone();
    }
    let registry = &shared.networks.registry;
    let found = live
        .by_priority()
        .into_iter()
        .map(|endpoint| gateways(registry, endpoint))
        .find(|gateways| !gateways.is_empty());
    // Without a link the host's own loopback is the nearest there is.
    found.unwrap_or_else(|| vec![Ipv4Addr::LOCALHOST.into()])
}

/// The host's addresses in an endpoint's network, also where it is no way out.
fn gateways(registry: &Registry, endpoint: &Endpoint) -> Vec<IpAddr> {
    let Ok(network) = registry.require(&endpoint.network_id) else {
        return Vec::new();
    };
    let record = network.record();
    let options = BridgeOptions::parse(&record.options).unwrap_or_default();
    let is_of = |ip: &IpAddr| {
        let has_family = match ip.is_ipv4() {
            true => endpoint.ipv4.is_some(),
            false => endpoint.ipv6.is_some(),
        };
        has_family && options.mode_of(ip.is_ipv4()) != GatewayMode::Isolated
    };
    record
        .pools
        .iter()
        .filter_map(|p| p.gateway)
        .filter(is_of)
        .collect()
}

// --- resolv.conf ---

/// What a container or else the daemon was told about names.
pub(crate) fn asked_conf(shared: &Shared, record: &Record) -> Conf {
    let (own, daemon) = (&record.host, &shared.options.network);
    let or = |own: &Vec<String>, daemon: &Vec<String>| match own.is_empty() {
        true => daemon.clone(),
        false => own.clone(),
    };
    let servers: Vec<IpAddr> = match own.dns.is_empty() {
        true => daemon.dns.clone(),
        false => own
            .dns
            .iter()
            .filter_map(|s| s.trim().parse().ok())
            .collect(),
    };
    Conf {
        servers: servers
            .into_iter()
            .map(|ip| SocketAddr::new(ip, DNS_PORT))
            .collect(),
        search: or(&own.dns_search, &daemon.dns_search),
        options: or(&own.dns_options, &daemon.dns_options),
    }
}

fn resolv_text(shared: &Shared, record: &Record, live: &Live) -> String {
    let networks = &shared.networks;
    let asked = asked_conf(shared, record);
    let host = networks.resolv.current();
    if has_resolver(networks, live) {
        return host.for_resolver(&asked);
    }
    let has_ipv6 = live.endpoints.values().any(|e| e.ipv6.is_some());
    let behind = networks.resolv_behind.current();
    host.for_default_bridge(&asked, Some(&behind), has_ipv6)
}

/// Whether one of the networks resolves names.
pub(crate) fn has_resolver(networks: &Networks, live: &Live) -> bool {
    live.endpoints.keys().any(|name| {
        let network = networks.registry.named(name);
        network.is_some_and(|n| n.record().is_user_defined())
    })
}
