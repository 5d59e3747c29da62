//! What stands on the host for our networks: a table of rules, bridges, a pair of links. Made on first use, removed when the
//! daemon ends and nobody needs it.
//!
//! ```text
//! names, by the data root's tag:      /var/lib/estiva     any other
//!   table of rules                    estiva              estiva-<tag>
//!   default bridge                    estiva0             est-<tag>
//!   pair for published ports          estiva-o, estiva-i  eso-<tag>, esi-<tag>
//! ```

mod lock;
mod names;
mod rules;

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use network::firewall::{Net, Policy};
use network::link::{self, BridgeSpec};
use network::namespace;

use super::forwarding::Forwarding;
use super::leaving::{Bridge, Leaving};
use super::options::{BridgeOptions, GatewayMode};
use super::predefined::BRIDGE;
use super::record::{Driver, Record};
use super::registry::{Given, Network, Registry};
pub(crate) use lock::MachineLock;
pub(crate) use names::Names;
use rules::Rules;

use crate::error::{Error, Result};
use crate::options::{DefaultBridge, NetworkOptions, Options};

/// The option that names a network's bridge.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// Namespaces kept ready.
const READY_NAMESPACES: usize = 4;

/// The host's side of an engine's networks.
#[derive(Debug)]
pub(crate) struct Ground {
    names: Names,
    policy: Policy,
    bridge: DefaultBridge,
    mtu: Option<u32>,
    forwarding: Forwarding,
    /// What the daemon was told of the default bridge.
    options: NetworkOptions,
    namespaces: namespace::Pool,
    rules: Mutex<Option<Rules>>,
    /// The daemon ends and has left the host: nothing is made any more.
    has_left: AtomicBool,
    leaving: Leaving,
    /// It was said that published ports are open to everyone.
    warned: AtomicBool,
}

impl Ground {
    /// Makes nothing yet.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            names: Names::of(&options.data_root),
            policy: match options.network.published_ports_open {
                true => Policy::Open,
                false => Policy::HostInput,
            },
            bridge: options.network.bridge.clone(),
            mtu: options.network.mtu,
            forwarding: Forwarding::new(&options.network),
            options: options.network.clone(),
            namespaces: namespace::Pool::new(READY_NAMESPACES),
            rules: Mutex::new(None),
            has_left: AtomicBool::new(false),
            leaving: Leaving::default(),
            warned: AtomicBool::new(false),
        }
    }

    /// A fresh namespace with loopback up.
    pub(crate) fn namespace(&self) -> Result<namespace::Namespace> {
        Ok(self.namespaces.take()?)
    }

    /// The name of a network's bridge on the host.
    pub(crate) fn bridge_of(&self, record: &Record) -> String {
        let asked = record.options.get(BRIDGE_NAME);
        match (record.name.as_str(), asked) {
            (BRIDGE, _) => match &self.bridge {
                DefaultBridge::Named(name) => name.clone(),
                _ => self.names.bridge.clone(),
            },
            (_, Some(name)) => name.clone(),
            _ => format!("br-{}", &record.id[..12]),
        }
    }

    /// The name of this engine's tables, which is no other's.
    pub(crate) fn table(&self) -> &str {
        &self.names.table
    }

    /// The name of the default bridge.
    pub(crate) fn default_bridge(&self) -> &str {
        match &self.bridge {
            DefaultBridge::Named(name) => name,
            _ => &self.names.bridge,
        }
    }

    /// Makes a network's bridge and rules, if they are not there. Its ranges are chosen anew when the host has come to route
    /// them elsewhere and nobody asked for just these.
    pub(crate) fn bring_up(&self, registry: &Registry, network: &Network) -> Result<()> {
        if network.record().driver != Driver::Bridge || network.given().is_up {
            return Ok(());
        }
        let _making = registry.making();
        let lock = MachineLock::take()?;
        self.bring_up_locked(registry, network, &lock)
    }

    /// The same for who holds the locks already.
    pub(crate) fn bring_up_locked(
        &self,
        registry: &Registry,
        network: &Network,
        _lock: &MachineLock,
    ) -> Result<()> {
        let mut given = network.given();
        if network.record().driver != Driver::Bridge || given.is_up || given.is_gone() {
            return Ok(());
        }
        self.leaving.await_gone(&self.bridge_of(&network.record()));
        self.settle_ranges(registry, network, &mut given)?;
        let record = network.record();
        let name = self.bridge_of(&record);
        given.mtu = self.mtu_of(&record)?;
        if self.owns_bridge(&record) {
            let options = BridgeOptions::parse(&record.options)?;
            let with_host = pools_with_host(&record, &options);
            let gateways = with_host.filter_map(|p| Some((p.gateway?, p.subnet.prefix)));
            link::ensure_bridge(&BridgeSpec {
                name,
                gateways: gateways.collect(),
                mtu: given.mtu,
            })?;
        }
        let added = self.firewall().and_then(|firewall| {
            firewall.add_network(&self.net(&record)?)?;
            Ok(())
        });
        if let Err(error) = added {
            if !given.is_used() {
                self.remove_bridge_of(&record);
            }
            return Err(error);
        }
        given.is_up = true;
        Ok(())
    }

    /// Gives a network that is about to be shown the ranges it would have, where none have been chosen yet.
    pub(crate) fn show(&self, registry: &Registry, network: &Network) {
        if super::ranges::is_complete(&network.record()) {
            return;
        }
        let _making = registry.making();
        let settled = MachineLock::take()
            .and_then(|_lock| self.settle_ranges(registry, network, &mut network.given()));
        if let Err(error) = settled {
            tracing::debug!(error = fault::chain(&error), "no ranges to show yet");
        }
    }

    /// Removes a network's rules and its bridge.
    pub(crate) fn take_down(&self, network: &Network) -> Result<()> {
        self.take_rules(network)?;
        match self.own_bridge(&network.record()) {
            Some(bridge) => bridge.remove(),
            None => Ok(()),
        }
    }

    /// Removes a network's rules and all that is on its bridge; gives the bridge, which is still to go.
    pub(crate) fn strip(&self, network: &Network) -> Result<Option<Bridge>> {
        self.take_rules(network)?;
        let bridge = self.own_bridge(&network.record());
        bridge.iter().try_for_each(Bridge::strip)?;
        Ok(bridge)
    }

    fn take_rules(&self, network: &Network) -> Result<()> {
        let record = network.record();
        if record.driver != Driver::Bridge {
            return Ok(());
        }
        let mut given = network.given();
        if let Some(firewall) = self.opened() {
            firewall.remove_network(&record.id)?;
        }
        given.is_up = false;
        Ok(())
    }

    /// Removes the bridge of a network that is gone, soon, and then the file that says so.
    pub(crate) fn remove_soon(&self, bridge: Bridge, tombstone: PathBuf) {
        self.leaving.remove(bridge, tombstone);
    }

    /// Removes what a former daemon had no time to remove.
    pub(crate) fn remove_buried(&self, registry: &Registry) {
        let buried = match super::record::buried(registry.folder()) {
            Ok(buried) => buried,
            Err(error) => {
                let error = fault::chain(&error);
                return tracing::warn!(error, "bridges of removed networks stay");
            }
        };
        let all = registry.all();
        let is_used = |bridge: &Bridge| {
            let mut others = all.iter().map(|network| network.record());
            others.any(|other| {
                self.own_bridge(&other)
                    .is_some_and(|b| b.name == bridge.name)
            })
        };
        for (tombstone, record) in buried {
            match self.own_bridge(&record).filter(|bridge| !is_used(bridge)) {
                Some(bridge) => self.leaving.remove(bridge, tombstone),
                None => drop(fs::remove_file(tombstone)),
            }
        }
    }

    /// Waits until all bridges are gone that are on their way out.
    pub(crate) fn await_leaving(&self) {
        self.leaving.await_all();
    }

    /// Removes the bridges of networks that nobody is in: those in use are known by now.
    pub(crate) fn remove_unused_bridges(&self, registry: &Registry) {
        for network in registry.all() {
            let given = network.given();
            if !given.is_up {
                self.remove_bridge_of(&network.record());
            }
        }
    }

    fn remove_bridge_of(&self, record: &Record) {
        let removed = self.own_bridge(record).map_or(Ok(()), |b| b.remove());
        if let Err(error) = removed {
            tracing::warn!(
                network = record.name,
                error = fault::chain(&error),
                "bridge stays"
            );
        }
    }

    /// A network's bridge, if it is ours.
    fn own_bridge(&self, record: &Record) -> Option<Bridge> {
        let is_ours = record.driver == Driver::Bridge && self.owns_bridge(record);
        is_ours.then(|| Bridge {
            name: self.bridge_of(record),
            is_named: record.is_user_defined() && record.options.contains_key(BRIDGE_NAME),
        })
    }

    /// Whether the bridge is ours to make and to remove.
    fn owns_bridge(&self, record: &Record) -> bool {
        record.name != BRIDGE || self.bridge == DefaultBridge::Own
    }

    /// What the rules are told of a network.
    pub(crate) fn net(&self, record: &Record) -> Result<Net> {
        let options = BridgeOptions::parse(&record.options)?;
        let mode_of = |is_ipv4| options.mode_of(is_ipv4);
        let of_mode = |mode| {
            let subnets = record.pools.iter().map(|p| p.subnet);
            subnets.filter(move |s| mode_of(s.is_ipv4()) == mode)
        };
        Ok(Net {
            id: record.id.clone(),
            bridge: self.bridge_of(record),
            subnets: record.pools.iter().map(|p| p.subnet).collect(),
            internal: record.internal,
            masquerade: options.masquerade,
            routed: of_mode(GatewayMode::Routed).collect(),
            unprotected: of_mode(GatewayMode::NatUnprotected).collect(),
            icc: options.icc,
            gateways: pools_with_host(record, &options)
                .filter_map(|p| p.gateway)
                .collect(),
        })
    }

    /// The greatest packet of a network.
    pub(crate) fn mtu_of(&self, record: &Record) -> Result<Option<u32>> {
        let asked = BridgeOptions::parse(&record.options)?.mtu;
        let default = self.mtu.filter(|_| record.name == BRIDGE);
        match asked.or(default) {
            Some(mtu) => Ok(Some(mtu)),
            None => Ok(link::uplink_mtu()?),
        }
    }

    /// Gives a network the ranges it still lacks, and others for those that the host routes elsewhere by now.
    fn settle_ranges(
        &self,
        registry: &Registry,
        network: &Network,
        given: &mut Given,
    ) -> Result<()> {
        let record = network.record();
        if record.name == BRIDGE && matches!(self.bridge, DefaultBridge::Named(_)) {
            return self.adopt_ranges(network, given);
        }
        // A bridge that is there has its ranges: what the host routes there is its own.
        let exists = link_exists(&self.bridge_of(&record));
        let complete = super::ranges::is_complete(&record);
        if (exists || given.is_used()) && complete {
            return Ok(());
        }
        let host = link::host_ranges()?;
        let mut ours = registry.subnets();
        ours.retain(|subnet| !record.pools.iter().any(|p| p.subnet == *subnet));
        let settled = super::ranges::settled(&record, &host, &ours, registry.choice())?;
        if settled != *record {
            if settled.is_user_defined() {
                settled.write(registry.folder())?;
            }
            network.set_record(settled, given)?;
        }
        Ok(())
    }

    /// The ranges of a bridge that somebody else has made are those it has addresses in.
    fn adopt_ranges(&self, network: &Network, given: &mut Given) -> Result<()> {
        let mut record = (*network.record()).clone();
        let name = self.bridge_of(&record);
        let addresses: Vec<(IpAddr, u8)> = link::addresses_of(&name)?;
        let mut pools = super::ranges::of_addresses(&addresses);
        super::predefined::narrow(&mut pools, &self.options);
        if pools.is_empty() {
            return Err(Error::Invalid(format!(
                "the bridge {name} has no address: give it one, or leave out --bridge"
            )));
        }
        record.ipv6 = pools.iter().any(|p| !p.subnet.is_ipv4());
        record.pools = pools;
        network.set_record(record, given)
    }
}

/// The ranges in which the host has an address, too.
fn pools_with_host<'a>(
    record: &'a Record,
    options: &'a BridgeOptions,
) -> impl Iterator<Item = &'a super::record::Pool> {
    let is_with_host =
        |p: &&super::record::Pool| options.mode_of(p.subnet.is_ipv4()) != GatewayMode::Isolated;
    record.pools.iter().filter(is_with_host)
}

/// Whether the host has a link of this name.
pub(crate) fn link_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// A container's network namespace, by its process.
pub(crate) fn namespace_of(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/net");
    File::open(&path)
        .map(OwnedFd::from)
        .map_err(|e| Error::file("open", path, e))
}
