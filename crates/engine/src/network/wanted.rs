//! Which networks a container is to join, and as what: settled at its creation, looked up again at each start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use api::container::{ContainerConfig, HostConfig};
use api::network::{EndpointIpam, EndpointSettings, NetworkingConfig};
use network::subnet::Subnet;

use super::endpoint::Mac;
use super::endpoint_options::EndpointOptions;
use super::predefined::BRIDGE;
use super::record::{Driver, Record as NetworkRecord};
use super::registry::{Network, Registry};
use crate::container::Record;
use crate::error::{Error, Result};
use crate::options::{DefaultBridge, NetworkOptions};

/// One network to join.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) name: String,
    pub(crate) network: Arc<Network>,
    pub(crate) wish: EndpointSettings,
}

/// Settles what a new container asks for: names in place of ids, every network in the list, nothing that contradicts.
///
/// # Errors
/// Docker's words for contradictions. An unknown network is [`Error::Invalid`]: clients of a creation take "not found" for
/// a missing image, and pull it.
pub(crate) fn settle(
    registry: &Registry,
    options: &NetworkOptions,
    config: &ContainerConfig,
    host: &mut HostConfig,
    networking: &mut NetworkingConfig,
) -> Result<()> {
    if ["", "default"].contains(&host.network_mode.as_str()) {
        host.network_mode = match options.bridge {
            DefaultBridge::None => "none",
            _ => BRIDGE,
        }
        .into();
        if let Some(endpoint) = networking.endpoints_config.remove("default") {
            let mode = host.network_mode.clone();
            networking.endpoints_config.entry(mode).or_insert(endpoint);
        }
    }
    if let Some(target) = host.network_mode.strip_prefix("container:") {
        if target.is_empty() {
            return Err(Error::Invalid(
                "Invalid network mode: invalid container format container:<name|id>".into(),
            ));
        }
        return borrowed(config, host, networking);
    }
    if host.network_mode == "host" && !host.links.is_empty() {
        return Err(Error::Invalid(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior".into(),
        ));
    }
    let mode = host.network_mode.clone();
    let asked = std::mem::take(&mut networking.endpoints_config.0);
    let mut reasons = Vec::new();
    let names = std::iter::once((mode.clone(), EndpointSettings::default())).chain(asked);
    for (target, wish) in names {
        let network = registry.require(&target).map_err(|error| match error {
            Error::NotFound(text) => Error::Invalid(text),
            other => other,
        })?;
        let record = network.record();
        if record.config_only {
            return Err(Error::Denied(format!(
                "cannot create container or sandbox on config-only network {}",
                record.name
            )));
        }
        if let Err(error) = check_endpoint(&record, &wish) {
            reasons.push(format!(
                "invalid config for network {}: invalid endpoint settings:\n{error}",
                record.name
            ));
        }
        let wish = EndpointSettings {
            ipam_config: wish.ipam_config,
            links: wish.links,
            aliases: wish.aliases,
            mac_address: wish.mac_address,
            driver_opts: wish.driver_opts,
            gw_priority: wish.gw_priority,
            ..EndpointSettings::default()
        };
        // The same network by its name and by its id is one.
        networking
            .endpoints_config
            .insert(record.name.clone(), wish);
    }
    if !reasons.is_empty() {
        return Err(Error::Invalid(reasons.join("\n")));
    }
    // Before API 1.44 the address of the first network's link stood beside the networks.
    if !config.mac_address.is_empty()
        && let Ok(first) = registry.require(&mode)
        && let Some(endpoint) = networking.endpoints_config.get_mut(&first.record().name)
        && endpoint.mac_address.is_empty()
    {
        if Mac::parse(&config.mac_address).is_none() {
            return Err(Error::Invalid(format!(
                "invalid MAC address: {}",
                config.mac_address
            )));
        }
        endpoint.mac_address.clone_from(&config.mac_address);
    }
    let alone = networking
        .endpoints_config
        .keys()
        .find(|name| ["host", "none"].contains(&name.as_str()));
    if let (Some(alone), true) = (alone, networking.endpoints_config.len() > 1) {
        return Err(Error::Invalid(match alone.as_str() {
            "host" => {
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
            }
            _ => {
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            }
        }
        .into()));
    }
    Ok(())
}

/// What a container that shares another's network may not ask for.
fn borrowed(
    config: &ContainerConfig,
    host: &HostConfig,
    networking: &mut NetworkingConfig,
) -> Result<()> {
    let exposes = !config.exposed_ports.is_empty();
    let dns = !host.dns.is_empty() || !host.dns_search.is_empty() || !host.dns_options.is_empty();
    let publishes = !host.port_bindings.is_empty() || host.publish_all_ports;
    let mac = !config.mac_address.is_empty()
        || networking
            .endpoints_config
            .values()
            .any(|e| !e.mac_address.is_empty());
    let refusals = [
        (
            !host.links.is_empty(),
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (!config.hostname.is_empty(), "hostname and the network mode"),
        (dns, "dns and the network mode"),
        (
            !host.extra_hosts.is_empty(),
            "custom host-to-IP mapping and the network mode",
        ),
        (mac, "mac-address and the network mode"),
        (
            publishes,
            "port publishing and the container type network mode",
        ),
        (exposes, "port exposing and the container type network mode"),
    ];
    if let Some((_, what)) = refusals.iter().find(|(is_asked, _)| *is_asked) {
        return Err(Error::Invalid(format!("conflicting options: {what}")));
    }
    networking.endpoints_config.clear();
    Ok(())
}

/// Whether an endpoint may be so in a network, in Docker's words.
pub(crate) fn check_endpoint(
    record: &NetworkRecord,
    wish: &EndpointSettings,
) -> std::result::Result<(), String> {
    let mut reasons = Vec::new();
    let ipam = wish.ipam_config.clone().unwrap_or_default();
    if !record.is_user_defined() {
        if !ipam.ipv4_address.is_empty() || !ipam.ipv6_address.is_empty() {
            reasons.push(
                "user specified IP address is supported on user defined networks only".to_owned(),
            );
        }
        if !wish.aliases.is_empty() {
            reasons.push(
                "network-scoped alias is supported only for containers in user defined networks"
                    .to_owned(),
            );
        }
    }
    if !wish.mac_address.is_empty() && Mac::parse(&wish.mac_address).is_none() {
        reasons.push(format!("invalid MAC address: {}", wish.mac_address));
    }
    for (text, v4) in [(&ipam.ipv4_address, true), (&ipam.ipv6_address, false)] {
        if let Err(reason) = check_address(record, text, v4) {
            reasons.push(reason);
        }
    }
    for text in &ipam.link_local_ips {
        if text.parse::<IpAddr>().is_err() {
            reasons.push(format!("invalid link-local IP address: {text}"));
        }
    }
    reasons.extend(EndpointOptions::parse(&wish.driver_opts).err());
    for alias in &wish.aliases {
        if alias.is_empty() || alias.contains(|c: char| c.is_whitespace() || c.is_control()) {
            reasons.push(format!("invalid alias: {alias:?}"));
        }
    }
    match reasons.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(many
            .iter()
            .map(|r| format!("* {r}"))
            .collect::<Vec<_>>()
            .join("\n")),
    }
}

fn check_address(record: &NetworkRecord, text: &str, v4: bool) -> std::result::Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let family = if v4 { "IPv4" } else { "IPv6" };
    let address = match text.parse::<IpAddr>() {
        Ok(address) if address.is_ipv4() == v4 => address,
        _ => return Err(format!("invalid {family} address: {text}")),
    };
    if !record.is_user_defined() {
        return Ok(());
    }
    let asked: Vec<&Subnet> = record
        .pools
        .iter()
        .filter(|p| p.is_asked && p.subnet.is_ipv4() == v4)
        .map(|p| &p.subnet)
        .collect();
    if asked.is_empty() {
        return Err("user specified IP address is supported only when connecting to networks with user configured subnets".into());
    }
    match asked.iter().any(|subnet| subnet.contains(address)) {
        true => Ok(()),
        false => Err(format!(
            "no configured subnet or ip-range contain the IP address {text}"
        )),
    }
}

/// The networks of a container as they are now, the one of its network mode first. `host` and `none` are not among them.
///
/// # Errors
/// A network that is gone.
pub(crate) fn joins(registry: &Registry, record: &Record) -> Result<Vec<Join>> {
    let mode = &record.host.network_mode;
    if mode.starts_with("container:") || mode == "host" {
        return Ok(Vec::new());
    }
    let mut joins = Vec::new();
    for (name, wish) in record.networking.endpoints_config.iter() {
        let network = registry
            .named(name)
            .ok_or_else(|| Error::NotFound(format!("network {name} not found")))?;
        if matches!(network.record().driver, Driver::Host | Driver::Null) {
            continue;
        }
        joins.push(Join {
            name: name.clone(),
            network,
            wish: wish.clone(),
        });
    }
    let first = registry.require(mode).map(|n| n.record().name.clone());
    joins.sort_by_key(|join| (first.as_ref().ok() != Some(&join.name), join.name.clone()));
    Ok(joins)
}

/// The addresses that an endpoint asks for; they were checked before.
pub(crate) fn asked_addresses(wish: &EndpointSettings) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    let ipam: EndpointIpam = wish.ipam_config.clone().unwrap_or_default();
    (
        ipam.ipv4_address.parse().ok(),
        ipam.ipv6_address.parse().ok(),
    )
}

/// Every name that leads to a container in a user-defined network: its name, aliases, the beginning of its id, its host
/// name. Each once.
pub(crate) fn names(record: &Record, wish: &EndpointSettings) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let all = std::iter::once(record.name.clone())
        .chain(wish.aliases.iter().cloned())
        .chain([record.id[..12].to_owned(), record.config.hostname.clone()]);
    for name in all {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record as network_record;
    use super::*;

    fn wish(ipv4: &str, aliases: &[&str]) -> EndpointSettings {
        EndpointSettings {
            ipam_config: Some(EndpointIpam {
                ipv4_address: ipv4.into(),
                ..EndpointIpam::default()
            }),
            aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
            ..EndpointSettings::default()
        }
    }

    #[test]
    fn static_addresses_need_a_subnet_of_the_users() {
        let mut network = network_record("n");
        let check = |network: &NetworkRecord, ip: &str| check_endpoint(network, &wish(ip, &[]));
        assert_eq!(check(&network, "10.1.0.7"), Ok(()));
        assert_eq!(
            check(&network, "1.2.3.4"),
            Err("no configured subnet or ip-range contain the IP address 1.2.3.4".into())
        );
        assert_eq!(check(&network, "x"), Err("invalid IPv4 address: x".into()));
        network.pools[0].is_asked = false;
        assert_eq!(
            check(&network, "10.1.0.7"),
            Err("user specified IP address is supported only when connecting to networks with user configured subnets".into())
        );
        network.name = "bridge".into();
        assert_eq!(
            check(&network, "10.1.0.7"),
            Err("user specified IP address is supported on user defined networks only".into())
        );
        let both = check_endpoint(&network, &wish("10.1.0.7", &["a"]));
        assert_eq!(both.expect_err("two reasons").lines().count(), 2);
    }

    #[test]
    fn a_borrowed_network_leaves_nothing_to_ask_for() {
        let check = |config: &ContainerConfig, host: &HostConfig| {
            borrowed(config, host, &mut NetworkingConfig::default())
                .expect_err("refused")
                .to_string()
        };
        let host = HostConfig {
            publish_all_ports: true,
            ..HostConfig::default()
        };
        assert_eq!(
            check(&ContainerConfig::default(), &host),
            "conflicting options: port publishing and the container type network mode"
        );
        let config = ContainerConfig {
            hostname: "x".into(),
            ..ContainerConfig::default()
        };
        assert_eq!(
            check(&config, &host),
            "conflicting options: hostname and the network mode"
        );
    }
}
