//! Names: what an endpoint gives to its network's, and what a container's resolver knows.

use std::os::fd::BorrowedFd;

use api::network::EndpointSettings;
use network::dns::{Entry, Running, Server, Servers, View};
use network::firewall;
use tokio::runtime::Handle;

use crate::container::Record;
use crate::engine::Shared;
use crate::error::Result;
use crate::network::endpoint::{Endpoint, Live};
use crate::network::state::Networks;
use crate::network::{files, links, published};

/// Makes a container known in its networks.
pub(in crate::network) fn publish_names(networks: &Networks, record: &Record, live: &Live) {
    for (name, endpoint) in &live.endpoints {
        if endpoint.names.is_empty() {
            continue;
        }
        if let Some(network) = networks.registry.named(name) {
            network.zone.insert(&record.id, entry(record, endpoint));
        }
    }
}

/// What an endpoint gives to its network's names.
fn entry(record: &Record, endpoint: &Endpoint) -> Entry {
    let ports = published::all(&record.config, &record.host);
    let port = |text: &String| {
        let (port, protocol) = text.split_once('/')?;
        Some((protocol.parse().ok()?, port.parse().ok()?))
    };
    Entry {
        names: endpoint.names.clone(),
        addresses: endpoint.ips(),
        ports: ports.iter().filter_map(port).collect(),
    }
}

/// What a container's resolver knows.
pub(in crate::network) fn view(shared: &Shared, record: &Record, live: &Live) -> View {
    let networks = &shared.networks;
    let mut zones = Vec::new();
    let mut leads_out = false;
    let mut ordered: Vec<_> = live.endpoints.iter().collect();
    ordered.sort_by_key(|(_, endpoint)| std::cmp::Reverse(endpoint.priority));
    for (name, _) in ordered {
        if let Some(network) = networks.registry.named(name) {
            let of = network.record();
            leads_out |= of.leads_out();
            if of.is_user_defined() {
                zones.push(network.zone.clone());
            }
        }
    }
    let wishes = record.networking.endpoints_config.values();
    let links = wishes
        .flat_map(|wish: &EndpointSettings| wish.links.iter())
        .map(|link| {
            let (target, alias) = links::split(link);
            // A link by the beginning of an id means the container whose id it is.
            let name = shared
                .containers
                .require(target)
                .map_or_else(|_| target.to_owned(), |h| h.view().record.name.clone());
            (alias.to_owned(), name)
        });
    let asked = files::asked_conf(shared, record);
    View {
        zones,
        links: links.collect(),
        servers: match (asked.servers.is_empty(), leads_out) {
            (_, false) => Servers::None,
            (true, true) => Servers::Host(networks.resolv.clone()),
            (false, true) => Servers::Given(asked.servers),
        },
    }
}

/// Starts a resolver in a namespace, where port 53 of its address leads to it.
pub(in crate::network) fn start_resolver(
    runtime: &Handle,
    namespace: BorrowedFd<'_>,
    view: View,
) -> Result<Running> {
    let running = Server::start(runtime, namespace, view)?;
    let ports = running.ports();
    firewall::resolver_redirect(namespace, ports.udp, ports.tcp)?;
    Ok(running)
}
