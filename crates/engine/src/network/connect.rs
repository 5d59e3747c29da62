//! Joining and leaving networks while a container runs, and while it does not.

use std::os::fd::AsFd;
use std::sync::Arc;

use api::network::EndpointSettings;
use network::link;
use tokio::runtime::Handle;

use super::attach::{self, Publish};
use super::endpoint::Live;
use super::files;
use super::ground::namespace_of;
use super::links;
use super::make::tell;
use super::record::Driver;
use super::registry::Network;
use super::wanted::{self, Join};
use crate::container::Record;
use crate::engine::Shared;
use crate::error::{Error, Result};

/// What the shim is to be told after a change.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Ports to be served.
    pub(crate) publish: Vec<Publish>,
    /// Ports to be served no more.
    pub(crate) unpublish: Vec<shim::protocol::Request>,
}

/// Whether a container may join a network as it asks; the endpoint as it is to be kept.
///
/// # Errors
/// Docker's words: it shares another's network, it is in it already, an address or name that cannot be.
pub(crate) fn check(
    record: &Record,
    network: &Network,
    wish: EndpointSettings,
) -> Result<EndpointSettings> {
    let of = network.record();
    let mode = record.host.network_mode.as_str();
    if mode.starts_with("container:") {
        return Err(Error::Invalid(
            "container sharing network namespace with another container or host cannot be connected to any other network".into(),
        ));
    }
    if mode == "host" || of.driver == Driver::Host {
        return Err(Error::Invalid(
            "container cannot be disconnected from host network or connected to host network"
                .into(),
        ));
    }
    let is_in = &record.networking.endpoints_config;
    let is_private = |name: &String| name == "none";
    if of.driver == Driver::Null && !is_in.is_empty() || is_in.keys().any(is_private) {
        return Err(Error::Invalid(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode".into(),
        ));
    }
    if of.config_only {
        return Err(Error::Denied(format!(
            "cannot create container or sandbox on config-only network {}",
            of.name
        )));
    }
    if is_in.contains_key(&of.name) {
        return Err(Error::Denied(format!(
            "endpoint with name {} already exists in network {}",
            record.name, of.name
        )));
    }
    wanted::check_endpoint(&of, &wish)
        .map_err(|text| Error::Invalid(format!("invalid endpoint settings:\n{text}")))?;
    Ok(EndpointSettings {
        ipam_config: wish.ipam_config,
        links: wish.links,
        aliases: wish.aliases,
        mac_address: wish.mac_address,
        driver_opts: wish.driver_opts,
        gw_priority: wish.gw_priority,
        ..EndpointSettings::default()
    })
}

/// Brings a running container into a network that its record names already.
///
/// # Errors
/// An address that is taken, a step that the kernel refuses; the container is as before then.
pub(crate) fn join(
    shared: &Shared,
    record: &Record,
    network: &Arc<Network>,
    pid: i32,
    runtime: &Handle,
) -> Result<Changes> {
    let networks = &shared.networks;
    let of = network.record();
    let before = networks.live(&record.id).unwrap_or_default();
    let mut live = (*before).clone();
    networks.ground.bring_up(&networks.registry, network)?;
    let join = Join {
        name: of.name.clone(),
        network: network.clone(),
        wish: record
            .networking
            .endpoints_config
            .get(&of.name)
            .cloned()
            .unwrap_or_default(),
    };
    let leased = attach::lease(record, &join, &live);
    let endpoint = leased.map_err(|error| attach::with_holder(shared, &join, error))?;
    live.endpoints.insert(of.name.clone(), endpoint.clone());
    let mut is_carrier = false;
    let outcome = plug(
        shared,
        record,
        &join,
        &mut live,
        pid,
        runtime,
        &mut is_carrier,
    );
    match outcome {
        Ok(changes) => {
            keep(shared, record, live);
            Ok(changes)
        }
        Err(error) => {
            if let Ok(namespace) = namespace_of(pid) {
                let _ = link::unplug(namespace.as_fd(), &endpoint.interface);
            }
            attach::leave(networks, &record.id, &endpoint);
            if is_carrier {
                networks.ports.release(&record.id);
            }
            let _ = before.write(&shared.run_dir(&record.id));
            let _ = files::left(shared, record, &endpoint);
            Err(error)
        }
    }
}

fn plug(
    shared: &Shared,
    record: &Record,
    join: &Join,
    live: &mut Live,
    pid: i32,
    runtime: &Handle,
    is_carrier: &mut bool,
) -> Result<Changes> {
    let networks = &shared.networks;
    let namespace = namespace_of(pid)?;
    let mut reservations = Vec::new();
    if live.published.is_empty() && carries(shared, live, &join.name) {
        // Until now no network led out: its ports are published from here on.
        *is_carrier = true;
        reservations = attach::reserve(networks, record, live)?;
    }
    live.write(&shared.run_dir(&record.id))?;
    let endpoint = live.endpoints[&join.name].clone();
    let wire = attach::wire(networks, &join.network, &endpoint)?;
    link::plug(namespace.as_fd(), &[wire], &[])?;
    attach::set_switches(namespace.as_fd(), [join], live)?;
    link::set_gateways(namespace.as_fd(), &live.default_gateways())?;
    if !endpoint.host_name.is_empty() {
        let ports = match *is_carrier {
            true => attach::ports_of(live),
            false => Vec::new(),
        };
        let firewall = networks.ground.firewall()?;
        firewall.add_endpoint(&attach::rule(&endpoint), &ports)?;
    }
    resolve(shared, record, live, pid, runtime)?;
    attach::publish_names(networks, record, live);
    files::joined(shared, record, &endpoint)?;
    live.resolv_conf = files::renew_resolv(shared, record, live)?;
    live.write(&shared.run_dir(&record.id))?;
    links::tell_linked(shared, record, live);
    Ok(Changes {
        publish: attach::sockets(reservations, live),
        unpublish: Vec::new(),
    })
}

fn carries(shared: &Shared, live: &Live, name: &str) -> bool {
    attach::carrier(&shared.networks, live).is_some_and(|(carrier, _)| carrier == name)
}

/// Takes a running container out of a network. What of it cannot be undone is told, and the container is out.
///
/// # Errors
/// It is not in it.
pub(crate) fn part(
    shared: &Shared,
    record: &Record,
    name: &str,
    pid: i32,
    runtime: &Handle,
) -> Result<Changes> {
    let networks = &shared.networks;
    let mut live = (*networks.live(&record.id).unwrap_or_default()).clone();
    let carried = carries(shared, &live, name);
    let Some(endpoint) = live.endpoints.remove(name) else {
        return Err(not_connected(&record.id, name));
    };
    let told = |what: &str, result: Result<()>| {
        if let Err(error) = result {
            tracing::warn!(container = %record.id, network = name, error = fault::chain(&error), "{what}");
        }
    };
    let namespace = namespace_of(pid)?;
    let out = link::unplug(namespace.as_fd(), &endpoint.interface);
    told("link stays", out.map(drop).map_err(Error::from));
    attach::leave(networks, &record.id, &endpoint);
    let routes = link::set_gateways(namespace.as_fd(), &live.default_gateways());
    told("default routes stay", routes.map_err(Error::from));
    let changes = match carried {
        true => move_ports(shared, record, &mut live),
        false => Changes::default(),
    };
    told("names stay", resolve(shared, record, &live, pid, runtime));
    told("hosts file stays", files::left(shared, record, &endpoint));
    match files::renew_resolv(shared, record, &live) {
        Ok(text) => live.resolv_conf = text,
        Err(error) => told("resolv.conf stays", Err(error)),
    }
    told(
        "network.json is old",
        live.write(&shared.run_dir(&record.id)),
    );
    keep(shared, record, live);
    Ok(changes)
}

/// The endpoint that published ports led to is gone: they lead to the next one that leads out, if there is one. The
/// sockets stay where they are; the shim is told where they lead to now.
fn move_ports(shared: &Shared, record: &Record, live: &mut Live) -> Changes {
    let networks = &shared.networks;
    let unpublish: Vec<_> = live
        .published
        .iter()
        .filter(|p| p.is_of_host())
        .filter_map(|p| attach::transport(p.protocol).map(|transport| (transport, p.host)))
        .map(|(transport, host)| shim::protocol::Request::Unpublish { transport, host })
        .collect();
    // The shim closes its sockets when it hears of it; until then nobody can bind them again, so the ports are given up.
    live.published.clear();
    networks.ports.release(&record.id);
    Changes {
        publish: Vec::new(),
        unpublish,
    }
}

/// Publishes what a container still has to publish, once its shim has given up the former sockets.
///
/// # Errors
/// A port that is taken by now.
pub(crate) fn publish_again(shared: &Shared, record: &Record) -> Result<Vec<Publish>> {
    let networks = &shared.networks;
    let Some(live) = networks.live(&record.id) else {
        return Ok(Vec::new());
    };
    let mut live = (*live).clone();
    let Some((name, endpoint)) = attach::carrier(networks, &live) else {
        return Ok(Vec::new());
    };
    let (name, rule) = (name.clone(), attach::rule(endpoint));
    let reservations = attach::reserve(networks, record, &mut live)?;
    let firewall = networks.ground.firewall()?;
    if let Err(error) = firewall.add_endpoint(&rule, &attach::ports_of(&live)) {
        networks.ports.release(&record.id);
        return Err(error.into());
    }
    tracing::debug!(container = %record.id, network = name, "ports lead there now");
    live.write(&shared.run_dir(&record.id))?;
    let publish = attach::sockets(reservations, &live);
    keep(shared, record, live);
    Ok(publish)
}

/// Lets a container's resolver know its networks; starts it with the first network that has names.
pub(crate) fn resolve(
    shared: &Shared,
    record: &Record,
    live: &Live,
    pid: i32,
    runtime: &Handle,
) -> Result<()> {
    let networks = &shared.networks;
    let view = attach::view(shared, record, live);
    if let Some(held) = networks.held().get_mut(&record.id)
        && let Some(resolver) = &held.resolver
    {
        resolver.set_view(view);
        return Ok(());
    }
    if !files::has_resolver(networks, live) {
        return Ok(());
    }
    let namespace = namespace_of(pid)?;
    let running = attach::start_resolver(runtime, namespace.as_fd(), view)?;
    if let Some(held) = networks.held().get_mut(&record.id) {
        held.resolver = Some(running);
    }
    Ok(())
}

fn keep(shared: &Shared, record: &Record, live: Live) {
    if let Some(held) = shared.networks.held().get_mut(&record.id) {
        held.live = Arc::new(live);
    }
}

/// Docker's words.
pub(crate) fn not_connected(container: &str, network: &str) -> Error {
    Error::Denied(format!(
        "container {container} is not connected to network {network}"
    ))
}

/// A container's new name takes the place of the old one in all its networks.
pub(crate) fn renamed(shared: &Shared, record: &Record) {
    let networks = &shared.networks;
    let Some(live) = networks.live(&record.id) else {
        return;
    };
    let mut live = (*live).clone();
    for (name, endpoint) in &mut live.endpoints {
        if let Some(wish) = record.networking.endpoints_config.get(name)
            && !endpoint.names.is_empty()
        {
            endpoint.names = wanted::names(record, wish);
        }
    }
    attach::publish_names(networks, record, &live);
    if let Err(error) = live.write(&shared.run_dir(&record.id)) {
        tracing::warn!(container = %record.id, error = fault::chain(&error), "the new name is not written");
    }
    keep(shared, record, live);
}

/// The events of a container that came or went.
pub(crate) fn tell_of(shared: &Shared, action: &str, network: &Network, container: &str) {
    tell(
        shared,
        action,
        &network.record(),
        [("container", container.to_owned())],
    );
}
