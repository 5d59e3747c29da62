//! Giving a container its networks at its start, and taking everything back at its end.
//!
//! ```text
//! addresses ─► ports ─► network.json ─► links ─► rules ─► resolver ─► names, files ─► sockets to the shim
//!                       (the intent)
//! ```
//! A step that fails takes back all that stand before it. What a crash leaves is a `network.json` of a container that does
//! not run, which start-up removes: addresses and ports are known from nowhere else, and links go with their namespace.

mod names;
mod ports;

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use api::network::EndpointSettings;
use network::firewall;
use network::link::{self, Wire, WireKind};
use network::namespace::Namespace;
use tokio::runtime::Handle;

use super::endpoint::{Endpoint, Live, Mac, host_name};
use super::endpoint_options::EndpointOptions;
use super::files;
use super::links;
use super::options::BridgeOptions;
use super::parent;
use super::record::Driver;
use super::registry::{Lease, Network};
use super::state::{Held, Networks};
use super::wanted::{self, Join};
use crate::container::Record;
use crate::engine::Shared;
pub(super) use names::{publish_names, start_resolver, view};
pub(crate) use ports::Publish;
pub(super) use ports::{carrier, ports_of, reserve, sockets, transport};

use crate::error::{Error, Result};

/// Gives a container that is about to start all that it asks for. Its namespace, if it has one of its own, is fresh.
///
/// # Errors
/// A network that is gone, an address or port that is taken, a step that the kernel refuses. Nothing is left then.
pub(crate) fn attach(
    shared: &Shared,
    record: &Record,
    namespace: Option<Namespace>,
    runtime: &Handle,
) -> Result<Vec<Publish>> {
    let networks = &shared.networks;
    let joins = wanted::joins(&networks.registry, record)?;
    let mut held = Held {
        live: Arc::default(),
        resolver: None,
        namespace,
    };
    let mut live = Live {
        sandbox_id: ids::NetworkId::random().to_string(),
        ..Live::default()
    };
    match build(shared, record, &joins, &mut live, &mut held, runtime) {
        Ok(publish) => {
            held.live = Arc::new(live);
            networks.held().insert(record.id.clone(), held);
            Ok(publish)
        }
        Err(error) => {
            give_back(networks, &record.id, &live);
            Err(error)
        }
    }
}

/// Takes back all that a container has; nothing is done for one that has nothing.
pub(crate) fn detach(networks: &Networks, container: &str) {
    let Some(held) = networks.held().remove(container) else {
        return;
    };
    give_back(networks, container, &held.live);
}

/// The steps of a start, in order.
fn build(
    shared: &Shared,
    record: &Record,
    joins: &[Join],
    live: &mut Live,
    held: &mut Held,
    runtime: &Handle,
) -> Result<Vec<Publish>> {
    let networks = &shared.networks;
    for join in joins {
        networks
            .ground
            .bring_up(&networks.registry, &join.network)?;
        let endpoint = lease(record, join, live).map_err(|e| with_holder(shared, join, e))?;
        live.endpoints.insert(join.name.clone(), endpoint);
    }
    without_links(networks, record, live);
    let reservations = reserve(networks, record, live)?;
    if !joins.is_empty() {
        live.write(&shared.run_dir(&record.id))?;
    }
    if let Some(namespace) = &held.namespace
        && !joins.is_empty()
    {
        let wires: Vec<Wire> = joins
            .iter()
            .map(|join| wire(networks, &join.network, &live.endpoints[&join.name]))
            .collect::<Result<_>>()?;
        link::plug_fresh(namespace, &wires, &live.default_gateways())?;
        let namespace = namespace.as_fd();
        set_switches(namespace, joins, live)?;
        admit(networks, joins, live)?;
        if files::has_resolver(networks, live) {
            let view = view(shared, record, live);
            held.resolver = Some(start_resolver(runtime, namespace, view)?);
        }
    }
    publish_names(networks, record, live);
    if !joins.is_empty() {
        live.resolv_conf = files::write(shared, record, live)?;
        live.write(&shared.run_dir(&record.id))?;
        links::tell_linked(shared, record, live);
    }
    Ok(sockets(reservations, live))
}

/// `host` and `none` are shown as networks, too, and have nothing to give.
fn without_links(networks: &Networks, record: &Record, live: &mut Live) {
    for name in record.networking.endpoints_config.keys() {
        let Some(network) = networks.registry.named(name) else {
            continue;
        };
        let of = network.record();
        if matches!(of.driver, Driver::Host | Driver::Null) {
            let endpoint = Endpoint {
                network_id: of.id.clone(),
                endpoint_id: ids::NetworkId::random().to_string(),
                ..Endpoint::default()
            };
            live.endpoints.insert(name.clone(), endpoint);
        }
    }
}

/// Addresses and names of one endpoint. The network knows the container as its member from here on.
pub(super) fn lease(record: &Record, join: &Join, live: &Live) -> Result<Endpoint> {
    let of = join.network.record();
    let (asked4, asked6) = wanted::asked_addresses(&join.wish);
    let Lease { ipv4, ipv6 } = join.network.join(&record.id, asked4, asked6)?;
    let gateway = |address: IpAddr| {
        let pools = of.pools.iter().filter(|_| of.leads_out());
        let mut around = pools.filter(|pool| pool.subnet.contains(address));
        around.find_map(super::record::Pool::router)
    };
    let prefix = BridgeOptions::parse(&of.options).map_or_else(|_| "eth".into(), |o| o.prefix);
    let interface = options_of(&join.wish)?
        .interface
        .unwrap_or_else(|| live.free_interface(&prefix));
    let ipam = join.wish.ipam_config.clone().unwrap_or_default();
    // Made from the address: who takes it over later is then found where neighbours remember it.
    let first = ipv4
        .map(|(ip, _)| ip.into())
        .or(ipv6.map(|(ip, _)| ip.into()));
    let mac = Mac::parse(&join.wish.mac_address)
        .or((of.driver == Driver::Ipvlan).then(Mac::default))
        .or_else(|| first.map(|ip| Mac(link::mac_of(ip))))
        .unwrap_or_else(Mac::random);
    Ok(Endpoint {
        network_id: of.id.clone(),
        endpoint_id: ids::NetworkId::random().to_string(),
        interface,
        host_name: match of.driver {
            Driver::Bridge => host_name(),
            _ => String::new(),
        },
        mac,
        ipv4,
        ipv6,
        link_local: ipam
            .link_local_ips
            .iter()
            .filter_map(|ip| ip.parse().ok())
            .collect(),
        gateway4: ipv4.and_then(|(ip, _)| match gateway(ip.into()) {
            Some(IpAddr::V4(ip)) => Some(ip),
            _ => None,
        }),
        gateway6: ipv6.and_then(|(ip, _)| match gateway(ip.into()) {
            Some(IpAddr::V6(ip)) => Some(ip),
            _ => None,
        }),
        priority: join.wish.gw_priority,
        names: match of.is_user_defined() {
            true => wanted::names(record, &join.wish),
            false => Vec::new(),
        },
    })
}

/// Tells who has an address that was asked for.
pub(super) fn with_holder(shared: &Shared, join: &Join, error: Error) -> Error {
    let Error::Ipam(network::ipam::Error::InUse { address }) = &error else {
        return error;
    };
    let of = join.network.record();
    let has_it = |live: &Live| {
        let mut here = live.endpoints.values();
        here.any(|e| e.network_id == of.id && e.ips().contains(address))
    };
    let holder = shared
        .networks
        .all_live()
        .into_iter()
        .find(|(_, live)| has_it(live));
    let holder = match holder {
        Some((id, _)) => match shared.containers.require(&id) {
            Ok(handle) => format!("container {}", handle.view().record.name),
            Err(_) => return error,
        },
        None => format!("network {} itself", of.name),
    };
    Error::Denied(format!("{error}: {address} is of {holder}"))
}

/// The link of one endpoint.
pub(super) fn wire(networks: &Networks, network: &Network, endpoint: &Endpoint) -> Result<Wire> {
    let of = network.record();
    let (kind, mtu) = match of.driver {
        Driver::Macvlan | Driver::Ipvlan => {
            let options = parent::options(&of)?;
            parent::require(&networks.ground, &options)?;
            (options.kind, options.mtu)
        }
        _ => {
            let kind = WireKind::Bridge {
                master: networks.ground.bridge_of(&of),
                host_name: endpoint.host_name.clone(),
            };
            (kind, network.given().mtu)
        }
    };
    Ok(Wire {
        kind,
        name: endpoint.interface.clone(),
        mac: endpoint.mac.0,
        addresses: endpoint.link_addresses(),
        mtu,
    })
}

/// Tells the rules of every endpoint, the one that carries the ports with them.
fn admit(networks: &Networks, joins: &[Join], live: &Live) -> Result<()> {
    for join in joins {
        let endpoint = &live.endpoints[&join.name];
        if endpoint.host_name.is_empty() {
            continue;
        }
        let ports = match carrier(networks, live) {
            Some((name, _)) if *name == join.name => ports_of(live),
            _ => Vec::new(),
        };
        networks
            .ground
            .firewall()?
            .add_endpoint(&rule(endpoint), &ports)?;
    }
    Ok(())
}

/// An endpoint as the rules know it.
pub(super) fn rule(endpoint: &Endpoint) -> firewall::Endpoint {
    firewall::Endpoint {
        host_name: endpoint.host_name.clone(),
        mac: endpoint.mac.0,
        addresses: endpoint
            .link_addresses()
            .into_iter()
            .map(|(ip, _)| ip)
            .collect(),
    }
}

/// What an endpoint is told beside its addresses.
fn options_of(wish: &EndpointSettings) -> Result<EndpointOptions> {
    EndpointOptions::parse(&wish.driver_opts).map_err(Error::Invalid)
}

/// Sets the switches that endpoints ask for; their links are there.
pub(super) fn set_switches<'a>(
    namespace: BorrowedFd<'_>,
    joins: impl IntoIterator<Item = &'a Join>,
    live: &Live,
) -> Result<()> {
    for join in joins {
        let options = options_of(&join.wish)?;
        options.apply(namespace, &live.endpoints[&join.name].interface)?;
    }
    Ok(())
}

// --- Giving back ---

fn give_back(networks: &Networks, container: &str, live: &Live) {
    for endpoint in live.endpoints.values() {
        leave(networks, container, endpoint);
    }
    networks.ports.release(container);
}

/// Takes one endpoint out of the rules, the names and the addresses of its network.
pub(super) fn leave(networks: &Networks, container: &str, endpoint: &Endpoint) {
    if !endpoint.host_name.is_empty()
        && let Some(firewall) = networks.ground.opened()
        && let Err(error) = firewall.remove_endpoint(&endpoint.host_name)
    {
        tracing::warn!(
            container,
            error = fault::chain(&error),
            "rules of an endpoint stay"
        );
    }
    if let Some(firewall) = networks.ground.opened()
        && let Err(error) = firewall.close_holes(&endpoint.ips())
    {
        tracing::warn!(
            container,
            error = fault::chain(&error),
            "links to a container that is gone stay open"
        );
    }
    if let Ok(network) = networks.registry.require(&endpoint.network_id) {
        network.zone.remove(container);
        let lease = Lease {
            ipv4: endpoint.ipv4,
            ipv6: endpoint.ipv6,
        };
        network.leave(container, &lease);
    }
}
