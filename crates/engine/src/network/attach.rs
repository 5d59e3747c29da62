//! Giving a container its networks at its start, and taking everything back at its end.
//!
//! ```text
//! addresses ─► ports ─► network.json ─► links ─► rules ─► resolver ─► names, files ─► sockets to the shim
//!                       (the intent)
//! ```
//! A step that fails takes back all that stand before it. What a crash leaves is a `network.json` of a container that does
//! not run, which start-up removes: addresses and ports are known from nowhere else, and links go with their namespace.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use api::network::EndpointSettings;
use network::dns::{Entry, Running, Server, Servers, View as Names};
use network::firewall::{self, Port};
use network::link::{self, Wire, WireKind};
use network::namespace::Namespace;
use network::ports::{Bound, Owner, Protocol, Reservation, Wanted};
use shim::protocol::{Request, Transport};
use tokio::runtime::Handle;

use super::endpoint::{Endpoint, Live, Mac, Published, host_name};
use super::endpoint_options::EndpointOptions;
use super::files;
use super::links;
use super::options::{BridgeOptions, GatewayMode, MacvlanOptions};
use super::published::{self, Wish};
use super::record::Driver;
use super::registry::{Lease, Network};
use super::state::{Held, Networks};
use super::wanted::{self, Join};
use crate::container::Record;
use crate::engine::Shared;
use crate::error::{Error, Result};

/// A socket for the shim, with the request that goes with it.
pub(crate) type Publish = (Request, OwnedFd);

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
    let gateway = |v4: bool| {
        let is_of = |p: &&super::record::Pool| p.subnet.is_ipv4() == v4 && !of.internal;
        of.pools.iter().find(is_of).map(super::record::Pool::router)
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
        gateway4: gateway(true).and_then(|ip| match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }),
        gateway6: gateway(false).and_then(|ip| match ip {
            IpAddr::V6(ip) => Some(ip),
            IpAddr::V4(_) => None,
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
        Driver::Macvlan => {
            let options = MacvlanOptions::parse(&of.options)?;
            let kind = WireKind::Macvlan {
                parent: options.parent,
                mode: options.mode,
            };
            (kind, options.mtu)
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

/// The published ports as the rules know them.
pub(super) fn ports_of(live: &Live) -> Vec<Port> {
    let port = |p: &Published| Port {
        host: Some(p.host.ip()).filter(|ip| !ip.is_unspecified()),
        proto: match p.protocol {
            Protocol::Tcp => firewall::Protocol::Tcp,
            Protocol::Udp => firewall::Protocol::Udp,
            Protocol::Sctp => firewall::Protocol::Sctp,
        },
        host_port: p.host.port(),
        target: p.target,
    };
    // What another family leads to is served by the shim.
    let is_same_family = |p: &&Published| p.host.is_ipv4() == p.target.is_ipv4();
    live.published
        .iter()
        .filter(is_same_family)
        .map(port)
        .collect()
}

// --- Ports ---

/// The endpoint that published ports lead to: the first that leads out.
pub(super) fn carrier<'a>(
    networks: &Networks,
    live: &'a Live,
) -> Option<(&'a String, &'a Endpoint)> {
    let mut able: Vec<_> = live
        .endpoints
        .iter()
        .filter(|(name, endpoint)| {
            let network = networks.registry.named(name);
            !endpoint.host_name.is_empty() && network.is_some_and(|n| !n.record().internal)
        })
        .collect();
    able.sort_by_key(|(_, endpoint)| std::cmp::Reverse(endpoint.priority));
    able.into_iter().next()
}

/// Reserves every port that is to be published, and notes it.
pub(super) fn reserve(
    networks: &Networks,
    record: &Record,
    live: &mut Live,
) -> Result<Vec<Reservation>> {
    if record.host.port_bindings.is_empty() && !record.host.publish_all_ports {
        return Ok(Vec::new());
    }
    let Some((name, endpoint)) = carrier(networks, live) else {
        return Ok(Vec::new());
    };
    let options = networks
        .registry
        .named(name)
        .and_then(|n| BridgeOptions::parse(&n.record().options).ok())
        .unwrap_or_default();
    let binding = options.binding;
    let endpoint = endpoint.clone();
    let owner = Owner {
        id: record.id.clone(),
        name: record.name.clone(),
    };
    let mut reservations = Vec::new();
    for wish in published::wishes(&record.config, &record.host)? {
        let Some(host) = beside_routed(&endpoint, &options, &wish, live) else {
            continue;
        };
        let host = host.or(binding);
        let Some(target) = target(&endpoint, host.is_some_and(|ip| ip.is_ipv6()), wish.port) else {
            continue;
        };
        let Wish {
            protocol, ports, ..
        } = wish;
        let wanted = Wanted {
            host,
            ports,
            protocol,
            target,
        };
        let reserved = networks
            .ports
            .reserve(&owner, &wanted)
            .map_err(|source| Error::Ports {
                name: record.name.clone(),
                endpoint: endpoint.endpoint_id.clone(),
                source: Box::new(source),
            })?;
        for Bound { address, .. } in &reserved.bound {
            networks.ground.warn_of_exposure(*address);
            let inside = self::target(&endpoint, address.is_ipv6(), target.port());
            live.published.push(Published {
                protocol: reserved.protocol,
                host: *address,
                target: inside.unwrap_or(target),
            });
        }
        reservations.push(reserved);
    }
    Ok(reservations)
}

/// Notes a port that others reach by the container's own address, for the families whose networks are routed. Tells what
/// is left to the host: nothing, or one of its addresses, or all of them.
fn beside_routed(
    endpoint: &Endpoint,
    options: &BridgeOptions,
    wish: &Wish,
    live: &mut Live,
) -> Option<Option<IpAddr>> {
    let mut left = Vec::new();
    for ip in endpoint.ips() {
        let is_wanted = wish.host.is_none_or(|host| host.is_ipv4() == ip.is_ipv4());
        let any = match ip {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        if options.mode_of(ip.is_ipv4()) != GatewayMode::Routed {
            left.push(any);
        } else if is_wanted {
            live.published.push(Published {
                protocol: wish.protocol,
                host: SocketAddr::new(any, 0),
                target: SocketAddr::new(ip, wish.port),
            });
        }
    }
    let has_routed = left.len() < endpoint.ips().len();
    match wish.host {
        _ if !has_routed => Some(wish.host),
        None => left.first().map(|any| Some(*any)),
        Some(host) => left
            .iter()
            .any(|any| any.is_ipv4() == host.is_ipv4())
            .then_some(Some(host)),
    }
}

/// The container's side of a port: of the host's family if it has that, else of the other.
fn target(endpoint: &Endpoint, v6: bool, port: u16) -> Option<SocketAddr> {
    let v4 = endpoint.ipv4.map(|(ip, _)| IpAddr::from(ip));
    let six = endpoint.ipv6.map(|(ip, _)| IpAddr::from(ip));
    let ip = if v6 { six.or(v4) } else { v4.or(six) };
    ip.map(|ip| SocketAddr::new(ip, port))
}

/// What the shim is to serve: the reserved sockets, in the order of what is noted.
pub(super) fn sockets(reservations: Vec<Reservation>, live: &Live) -> Vec<Publish> {
    let mut all = Vec::new();
    for reservation in reservations {
        let Some(transport) = transport(reservation.protocol) else {
            continue;
        };
        for Bound { address, socket } in reservation.bound {
            let is_it = |p: &&Published| p.host == address && p.protocol == reservation.protocol;
            let Some(published) = live.published.iter().find(is_it) else {
                continue;
            };
            if let Some(socket) = socket {
                let target = published.target;
                all.push((Request::Publish { transport, target }, socket));
            }
        }
    }
    all
}

/// What the shim can serve: all but SCTP, which only the rules pass on.
pub(super) fn transport(protocol: Protocol) -> Option<Transport> {
    match protocol {
        Protocol::Tcp => Some(Transport::Tcp),
        Protocol::Udp => Some(Transport::Udp),
        Protocol::Sctp => None,
    }
}

// --- Names ---

/// Makes a container known in its networks.
pub(super) fn publish_names(networks: &Networks, record: &Record, live: &Live) {
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
pub(super) fn entry(record: &Record, endpoint: &Endpoint) -> Entry {
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
pub(super) fn view(shared: &Shared, record: &Record, live: &Live) -> Names {
    let networks = &shared.networks;
    let mut zones = Vec::new();
    let mut leads_out = false;
    let mut ordered: Vec<_> = live.endpoints.iter().collect();
    ordered.sort_by_key(|(_, endpoint)| std::cmp::Reverse(endpoint.priority));
    for (name, _) in ordered {
        if let Some(network) = networks.registry.named(name) {
            let of = network.record();
            leads_out |= !of.internal;
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
    Names {
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
pub(super) fn start_resolver(
    runtime: &Handle,
    namespace: BorrowedFd<'_>,
    view: Names,
) -> Result<Running> {
    let running = Server::start(runtime, namespace, view)?;
    let ports = running.ports();
    firewall::resolver_redirect(namespace, ports.udp, ports.tcp)?;
    Ok(running)
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
