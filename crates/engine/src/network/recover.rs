//! Start-up: what running containers have is learnt from their `network.json`, and made whole again.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;

use network::firewall;
use network::ports::Owner;
use tokio::runtime::Handle;

use super::attach;
use super::endpoint::Live;
use super::files;
use super::ground::namespace_of;
use super::links;
use super::record::Driver;
use super::registry::Lease;
use super::state::Held;
use crate::container::Record;
use crate::engine::Shared;
use crate::error::Result;

/// Takes up what a running container has: its addresses, ports and names. Rules and resolvers come with [`settle`].
pub(crate) fn take_up(shared: &Shared, record: &Record) {
    let live = match Live::read(&shared.run_dir(&record.id)) {
        Ok(live) => live.unwrap_or_default(),
        Err(error) => {
            tracing::error!(container = %record.id, error = fault::chain(&error), "what it has of networks is not known");
            return;
        }
    };
    let networks = &shared.networks;
    for (name, endpoint) in &live.endpoints {
        let Some(network) = networks.registry.named(name) else {
            tracing::error!(container = %record.id, network = name, "it is in a network that is gone");
            continue;
        };
        let lease = Lease {
            ipv4: endpoint.ipv4,
            ipv6: endpoint.ipv6,
        };
        network.rejoin(&record.id, &lease);
    }
    let owner = Owner {
        id: record.id.clone(),
        name: record.name.clone(),
    };
    for port in live.published.iter().filter(|port| port.is_of_host()) {
        networks.ports.adopt(&owner, port.protocol, port.host);
    }
    attach::publish_names(networks, record, &live);
    let held = Held {
        live: Arc::new(live),
        resolver: None,
        namespace: None,
    };
    networks.held().insert(record.id.clone(), held);
}

/// Makes rules and resolvers for all that was taken up, or removes what a former daemon has left when nobody needs it.
pub(crate) fn settle(shared: &Shared, runtime: &Handle) {
    let networks = &shared.networks;
    networks.ground.remove_buried(&networks.registry);
    let all = networks.all_live();
    let needs_rules = |live: &Live| live.endpoints.values().any(|e| !e.host_name.is_empty());
    if !all.iter().any(|(_, live)| needs_rules(live)) {
        networks.ground.clear(&networks.registry);
        return;
    }
    if let Err(error) = restore(shared, &all) {
        tracing::error!(
            error = fault::chain(&error),
            "rules of running containers are not as they should be"
        );
    }
    networks.ground.remove_unused_bridges(&networks.registry);
    for (id, live) in &all {
        if let Ok(handle) = shared.containers.require(id) {
            links::open_holes(shared, &handle.view().record, live);
        }
        if let Err(error) = resolver(shared, id, live, runtime) {
            tracing::error!(
                container = id,
                error = fault::chain(&error),
                "it has no resolver"
            );
        }
    }
}

/// The rules for all networks in use and all endpoints, in one transaction.
fn restore(shared: &Shared, all: &[(String, Arc<Live>)]) -> Result<()> {
    let networks = &shared.networks;
    let mut nets = BTreeMap::new();
    let mut endpoints: Vec<(firewall::Endpoint, Vec<firewall::Port>)> = Vec::new();
    for (_, live) in all {
        let carrier = attach::carrier(networks, live).map(|(name, _)| name.clone());
        for (name, endpoint) in &live.endpoints {
            let Some(network) = networks.registry.named(name) else {
                continue;
            };
            let of = network.record();
            if of.driver != Driver::Bridge {
                continue;
            }
            nets.insert(of.id.clone(), networks.ground.net(&of)?);
            let mut given = network.given();
            given.is_up = true;
            given.mtu = networks.ground.mtu_of(&of)?;
            let ports = match carrier.as_ref() == Some(name) {
                true => attach::ports_of(live),
                false => Vec::new(),
            };
            endpoints.push((attach::rule(endpoint), ports));
        }
    }
    let nets: Vec<_> = nets.into_values().collect();
    Ok(networks.ground.firewall()?.restore(&nets, &endpoints)?)
}

fn resolver(shared: &Shared, id: &str, live: &Live, runtime: &Handle) -> Result<()> {
    let networks = &shared.networks;
    if !files::has_resolver(networks, live) {
        return Ok(());
    }
    let view = shared.containers.require(id)?.view();
    let Some(pid) = view.record.state.pid() else {
        return Ok(());
    };
    let namespace = namespace_of(pid)?;
    let names = attach::view(shared, &view.record, live);
    let running = attach::start_resolver(runtime, namespace.as_fd(), names)?;
    if let Some(held) = networks.held().get_mut(id) {
        held.resolver = Some(running);
    }
    Ok(())
}
