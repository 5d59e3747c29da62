//! Published ports: reserved on the host, noted, told to the rules and handed to the shim.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use network::firewall::{self, Port};
use network::ports::{Bound, Owner, Protocol, Reservation, Wanted};
use shim::protocol::{Request, Transport};

use crate::container::Record;
use crate::error::{Error, Result};
use crate::network::endpoint::{Endpoint, Live, Published};
use crate::network::options::{BridgeOptions, GatewayMode};
use crate::network::published::{self, Wish};
use crate::network::state::Networks;

/// A socket for the shim, with the request that goes with it.
pub(crate) type Publish = (Request, OwnedFd);

/// The endpoint that published ports lead to: the first that leads out.
pub(in crate::network) fn carrier<'a>(
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
pub(in crate::network) fn reserve(
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
pub(in crate::network) fn sockets(reservations: Vec<Reservation>, live: &Live) -> Vec<Publish> {
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
pub(in crate::network) fn transport(protocol: Protocol) -> Option<Transport> {
    match protocol {
        Protocol::Tcp => Some(Transport::Tcp),
        Protocol::Udp => Some(Transport::Udp),
        Protocol::Sctp => None,
    }
}

/// The published ports as the rules know them.
pub(in crate::network) fn ports_of(live: &Live) -> Vec<Port> {
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
