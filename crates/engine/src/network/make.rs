//! Making and removing networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use api::network::NetworkCreateRequest;
use network::link;

use super::ground::MachineLock;
use super::parent;
use super::ranges;
use super::record::{self, Driver, Pool, Record, VERSION};
use super::registry::Network;
use super::request::{self, Asked};
use crate::engine::Shared;
use crate::error::{Error, Result};

/// Makes a network: record first, then its bridge and rules. Gives what was asked for and not done.
///
/// # Errors
/// The name or a range is taken; options that mean nothing; a step that the kernel refuses. Nothing is left then.
pub(crate) fn create(
    shared: &Shared,
    mut new: NetworkCreateRequest,
) -> Result<(Arc<Network>, String)> {
    let networks = &shared.networks;
    let registry = &networks.registry;
    let config_from = take_configuration(shared, &mut new)?;
    take_defaults(shared, &mut new);
    let has_ipv6 = link::has_ipv6();
    let asked = request::check(&new, has_ipv6)?;
    registry.require_free(&new.name)?;
    if asked.ipv6 && !has_ipv6 && asked.driver == Driver::Bridge {
        return Err(Error::Unavailable(format!(
            "network {} asks for IPv6, which is off on this host (net.ipv6.conf.all.disable_ipv6)",
            new.name
        )));
    }
    let _making = registry.making();
    let lock = MachineLock::take()?;
    registry.require_free(&new.name)?;
    let mut record = fresh(shared, new, &asked, config_from)?;
    if !record.config_only {
        require_own_bridge(shared, &record)?;
        record = ranges::settled(
            &record,
            &link::host_ranges()?,
            &registry.subnets(),
            registry.choice(),
        )?;
    }
    if record.is_on_link()
        && let Err(error) = parent::check(shared, &record)
    {
        parent::release(registry, &networks.ground);
        return Err(error);
    }
    record.write(registry.folder())?;
    let network = registry.insert(record.clone())?;
    if let Err(error) = networks.ground.bring_up_locked(registry, &network, &lock) {
        registry.forget(&record);
        let _ = networks.ground.take_down(&network);
        let _ = record::remove(registry.folder(), &record.id);
        return Err(error);
    }
    tell(shared, "create", &record, []);
    Ok((network, String::new()))
}

/// Removes a network that no container is in.
///
/// # Errors
/// It is predefined, or somebody is in it; a step that the kernel refuses: it is there as before.
pub(crate) fn remove(shared: &Shared, network: &Network) -> Result<()> {
    let registry = &shared.networks.registry;
    let record = network.record();
    if record.is_predefined() {
        return Err(Error::Denied(format!(
            "{} is a pre-defined network and cannot be removed",
            record.name
        )));
    }
    if let Some(user) = registry
        .all()
        .iter()
        .find(|n| n.record().config_from == record.name)
    {
        return Err(Error::Denied(format!(
            "error while removing network: configuration network {:?} is in use by network {}",
            record.name,
            user.record().name
        )));
    }
    if let Err(members) = network.close() {
        return Err(Error::Denied(format!(
            "error while removing network: network {} has active endpoints ({})",
            record.name,
            endpoints(shared, &record, members)
        )));
    }
    let ground = &shared.networks.ground;
    let stripped = ground.strip(network).and_then(|bridge| match bridge {
        Some(bridge) => Ok(Some((bridge, record::bury(registry.folder(), &record.id)?))),
        None => record::remove(registry.folder(), &record.id).map(|()| None),
    });
    match stripped {
        Err(error) => {
            network.reopen();
            return Err(error);
        }
        Ok(Some((bridge, tombstone))) => ground.remove_soon(bridge, tombstone),
        Ok(None) => {}
    }
    registry.forget(&record);
    if record.is_on_link() {
        parent::release(registry, &shared.networks.ground);
    }
    tell(shared, "destroy", &record, []);
    Ok(())
}

/// Who is in a network, in words.
fn endpoints(
    shared: &Shared,
    record: &Record,
    members: impl IntoIterator<Item = String>,
) -> String {
    let words: Vec<String> = members
        .into_iter()
        .map(|id| {
            let name = shared
                .containers
                .require(&id)
                .map_or_else(|_| id.clone(), |handle| handle.view().record.name.clone());
            let endpoint = shared.networks.live(&id).and_then(|live| {
                live.endpoints
                    .get(&record.name)
                    .map(|e| e.endpoint_id[..12].to_owned())
            });
            format!("name:{name:?} id:{:?}", endpoint.unwrap_or_default())
        })
        .collect();
    words.join(", ")
}

/// An event of a network.
pub(crate) fn tell<const N: usize>(
    shared: &Shared,
    action: &str,
    record: &Record,
    extra: [(&str, String); N],
) {
    let mut attributes: BTreeMap<String, String> = BTreeMap::new();
    attributes.insert("name".into(), record.name.clone());
    attributes.insert("type".into(), record.driver.name().into());
    attributes.extend(extra.map(|(key, value)| (key.to_owned(), value)));
    shared.tell("network", action, &record.id, attributes);
}

/// What a configuration for others says, in place of what was left out; gives its name.
fn take_configuration(shared: &Shared, new: &mut NetworkCreateRequest) -> Result<String> {
    let Some(from) = new.config_from.take().filter(|f| !f.network.is_empty()) else {
        return Ok(String::new());
    };
    request::check_borrowed(new)?;
    let source = shared.networks.registry.named(&from.network);
    let source = source.map(|network| network.record());
    let source = source.filter(|record| record.config_only).ok_or_else(|| {
        Error::NotFound(format!(
            "configuration network {:?} does not exist",
            from.network
        ))
    })?;
    new.options.clone_from(&source.options);
    new.labels.clone_from(&source.labels);
    new.enable_ipv4 = Some(source.ipv4);
    new.enable_ipv6 = Some(source.ipv6);
    let ipam = new.ipam.get_or_insert_default();
    ipam.options.clone_from(&source.ipam_options);
    ipam.config = source.pools.iter().map(as_asked).collect();
    Ok(source.name.clone())
}

/// A range as its user wrote it.
fn as_asked(pool: &Pool) -> api::network::IpamPool {
    let text = |name: &String, ip: &IpAddr| (name.clone(), ip.to_string());
    api::network::IpamPool {
        subnet: pool.subnet.to_string(),
        ip_range: pool.range.map(|r| r.to_string()).unwrap_or_default(),
        gateway: pool.gateway.map(|ip| ip.to_string()).unwrap_or_default(),
        auxiliary_addresses: pool.reserved.iter().map(|(n, ip)| text(n, ip)).collect(),
    }
}

/// What the daemon was told of every network of a driver, where the user says nothing else.
fn take_defaults(shared: &Shared, new: &mut NetworkCreateRequest) {
    let driver = match new.driver.as_str() {
        "" | "default" => "bridge",
        other => other,
    };
    let defaults = &shared.options.network.driver_options;
    for (key, value) in defaults.get(driver).into_iter().flatten() {
        let options = &mut new.options;
        options.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

fn fresh(
    shared: &Shared,
    new: NetworkCreateRequest,
    asked: &Asked,
    config_from: String,
) -> Result<Record> {
    let mut record = Record {
        version: VERSION,
        id: ids::NetworkId::random().to_string(),
        name: new.name,
        created_unix_nanos: shared.now(),
        driver: asked.driver,
        ipv4: asked.ipv4,
        ipv6: asked.ipv6,
        internal: new.internal,
        attachable: new.attachable,
        config_only: new.config_only,
        config_from,
        options: new.options,
        labels: new.labels,
        ipam_options: new.ipam.and_then(|ipam| ipam.options),
        pools: Vec::new(),
    };
    for pool in &asked.pools {
        let pool = ranges::asked(&record, pool)?;
        record.pools.extend(pool);
    }
    Ok(record)
}

/// A bridge belongs to one network.
fn require_own_bridge(shared: &Shared, record: &Record) -> Result<()> {
    if record.driver != Driver::Bridge {
        return Ok(());
    }
    let ground = &shared.networks.ground;
    let name = ground.bridge_of(record);
    let has_it = |other: &Arc<Network>| {
        let other = other.record();
        other.driver == Driver::Bridge && !other.config_only && ground.bridge_of(&other) == name
    };
    match shared.networks.registry.all().into_iter().find(has_it) {
        Some(other) => Err(Error::Denied(format!(
            "cannot create network {} ({name}): conflicts with network {} ({name}): networks have same bridge name",
            record.id,
            other.record().id
        ))),
        None => Ok(()),
    }
}
