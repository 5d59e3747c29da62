//! Which networks there are: by id, by name, by the beginning of an id; and what of each is given to whom.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use network::dns::Zone;
use network::ipam;
use network::subnet::Subnet;

use super::ranges::Choice;
use super::record::{self, Driver, Record};
use crate::error::{Error, Result};

/// All networks of an engine.
#[derive(Debug)]
pub(crate) struct Registry {
    folder: PathBuf,
    table: RwLock<Table>,
    choice: Choice,
    /// One network is made at a time: a subnet is free until the next one has it.
    making: Mutex<()>,
}

#[derive(Debug, Default)]
struct Table {
    /// Ordered, so that a prefix is one range.
    by_id: BTreeMap<String, Arc<Network>>,
    names: HashMap<String, String>,
}

/// One network.
#[derive(Debug)]
pub(crate) struct Network {
    record: RwLock<Arc<Record>>,
    /// Its names; unused on the predefined networks.
    pub(crate) zone: Arc<Zone>,
    given: Mutex<Given>,
}

/// What changes while containers come and go.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// It was removed: nobody may join any more.
    is_gone: bool,
    /// Its bridge and its rules are there.
    pub(crate) is_up: bool,
    /// The greatest packet on it, since it is up.
    pub(crate) mtu: Option<u32>,
    pools: Vec<ipam::Pool>,
    /// The containers in it.
    members: BTreeSet<String>,
}

/// The addresses of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) ipv4: Option<(Ipv4Addr, u8)>,
    pub(crate) ipv6: Option<(Ipv6Addr, u8)>,
}

impl Registry {
    /// Reads the records of a data root and adds the networks that are always there.
    pub(crate) fn open(folder: &Path, choice: Choice, predefined: Vec<Record>) -> Result<Self> {
        let registry = Self {
            folder: folder.to_owned(),
            table: RwLock::default(),
            choice,
            making: Mutex::new(()),
        };
        for record in predefined {
            registry.insert(record)?;
        }
        for record in record::read_all(folder)? {
            let name = record.name.clone();
            // One that cannot be is no reason not to start.
            if let Err(error) = registry.insert(record) {
                tracing::error!(
                    network = name,
                    error = fault::chain(&error),
                    "network cannot be taken up, left alone"
                );
            }
        }
        Ok(registry)
    }

    /// Where ranges are chosen from.
    pub(crate) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Where records lie.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Held by whoever chooses a subnet, until the network is known.
    pub(crate) fn making(&self) -> MutexGuard<'_, ()> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A network is there from now on.
    ///
    /// # Errors
    /// Its name is taken, or its ranges contradict each other.
    pub(crate) fn insert(&self, record: Record) -> Result<Arc<Network>> {
        let mut table = self.write();
        if table.names.contains_key(&record.name) {
            return Err(name_taken(&record.name));
        }
        let (id, name) = (record.id.clone(), record.name.clone());
        let network = Arc::new(Network::new(record)?);
        table.names.insert(name, id.clone());
        table.by_id.insert(id, network.clone());
        Ok(network)
    }

    /// A network is gone, and its name free.
    pub(crate) fn forget(&self, record: &Record) {
        let mut table = self.write();
        table.by_id.remove(&record.id);
        table.names.remove(&record.name);
    }

    /// # Errors
    /// [`Error::Conflict`] when there is a network of this name.
    pub(crate) fn require_free(&self, name: &str) -> Result<()> {
        match self.read().names.contains_key(name) {
            true => Err(name_taken(name)),
            false => Ok(()),
        }
    }

    /// The network of exactly this name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Network>> {
        let table = self.read();
        table
            .names
            .get(name)
            .and_then(|id| table.by_id.get(id))
            .cloned()
    }

    /// The network that `target` means: a full id, a name, or the beginning of one id, in this order.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Invalid`] when several ids begin so.
    pub(crate) fn require(&self, target: &str) -> Result<Arc<Network>> {
        let table = self.read();
        if let Some(network) = table.by_id.get(target) {
            return Ok(network.clone());
        }
        if let Some(network) = table.names.get(target).and_then(|id| table.by_id.get(id)) {
            return Ok(network.clone());
        }
        let found: Vec<_> = match target {
            "" => Vec::new(),
            _ => table
                .by_id
                .range(target.to_owned()..)
                .take_while(|(id, _)| id.starts_with(target))
                .map(|(_, network)| network)
                .collect(),
        };
        match found.as_slice() {
            [network] => Ok((*network).clone()),
            [] => Err(Error::NotFound(format!("network {target} not found"))),
            several => Err(Error::Invalid(format!(
                "network {target} is ambiguous ({} matches found on ID prefix)",
                several.len()
            ))),
        }
    }

    /// All networks, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Arc<Network>> {
        self.read().by_id.values().cloned().collect()
    }

    /// Every subnet that a network of ours has; a configuration for others has none itself.
    pub(crate) fn subnets(&self) -> Vec<Subnet> {
        self.all()
            .iter()
            .map(|network| network.record())
            .filter(|record| !record.config_only)
            .flat_map(|record| {
                record
                    .pools
                    .iter()
                    .map(|pool| pool.subnet)
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_taken(name: &str) -> Error {
    Error::Conflict(format!("network with name {name} already exists"))
}

impl Network {
    fn new(record: Record) -> Result<Self> {
        Ok(Self {
            zone: Arc::new(Zone::new(&record.name)),
            given: Mutex::new(Given {
                pools: pools(&record)?,
                ..Given::default()
            }),
            record: RwLock::new(Arc::new(record)),
        })
    }

    /// What is written of it.
    pub(crate) fn record(&self) -> Arc<Record> {
        self.record
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Gives it other ranges; nobody may be in it.
    pub(crate) fn set_record(&self, record: Record, given: &mut Given) -> Result<()> {
        given.pools = pools(&record)?;
        *self.record.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(record);
        Ok(())
    }

    /// What is given to whom; held while something of it changes.
    pub(crate) fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a container in and gives it addresses: those asked for, or free ones.
    ///
    /// # Errors
    /// The network is gone; an address is taken or not of this network; none is left. Nothing is given then.
    pub(crate) fn join(
        &self,
        container: &str,
        asked4: Option<Ipv4Addr>,
        asked6: Option<Ipv6Addr>,
    ) -> Result<Lease> {
        let record = self.record();
        let mut given = self.given();
        if given.is_gone {
            return Err(Error::NotFound(format!(
                "network {} not found",
                record.name
            )));
        }
        let mut lease = Lease::default();
        let asked4 = asked4.map(IpAddr::from);
        let asked6 = asked6.map(IpAddr::from);
        for (is_v4, asked) in [(true, asked4), (false, asked6)] {
            let taken = match given.take(is_v4, asked) {
                Ok(taken) => taken,
                Err(error) => {
                    given.give_back(&lease);
                    return Err(error.into());
                }
            };
            match taken {
                Some((IpAddr::V4(ip), prefix)) => lease.ipv4 = Some((ip, prefix)),
                Some((IpAddr::V6(ip), prefix)) => lease.ipv6 = Some((ip, prefix)),
                None if asked.is_some() => {
                    given.give_back(&lease);
                    return Err(Error::Invalid(format!(
                        "{} is not enabled for network {}",
                        if is_v4 { "IPv4" } else { "IPv6" },
                        record.name
                    )));
                }
                None => {}
            }
        }
        given.members.insert(container.to_owned());
        Ok(lease)
    }

    /// Takes in a container that had its addresses before this daemon began; what is taken stays as it is.
    pub(crate) fn rejoin(&self, container: &str, lease: &Lease) {
        let mut given = self.given();
        let v4 = lease.ipv4.map(|(ip, _)| IpAddr::from(ip));
        let v6 = lease.ipv6.map(|(ip, _)| IpAddr::from(ip));
        for ip in v4.into_iter().chain(v6) {
            if let Err(error) = given.take(ip.is_ipv4(), Some(ip)) {
                tracing::warn!(container, %ip, error = fault::chain(&error), "address held twice");
            }
        }
        given.members.insert(container.to_owned());
    }

    /// A container is out of it: its addresses are free.
    pub(crate) fn leave(&self, container: &str, lease: &Lease) {
        let mut given = self.given();
        if given.members.remove(container) {
            given.give_back(lease);
        }
    }

    /// The containers in it.
    pub(crate) fn members(&self) -> BTreeSet<String> {
        self.given().members.clone()
    }

    /// Lets nobody in any more, if nobody is in it.
    ///
    /// # Errors
    /// The containers in it.
    pub(crate) fn close(&self) -> std::result::Result<(), BTreeSet<String>> {
        let mut given = self.given();
        if !given.members.is_empty() {
            return Err(given.members.clone());
        }
        given.is_gone = true;
        Ok(())
    }

    /// The removal failed: it is there as before.
    pub(crate) fn reopen(&self) {
        self.given().is_gone = false;
    }
}

impl Given {
    /// Whether the network was removed: nothing of it is made again.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Whether somebody is in it.
    pub(crate) fn is_used(&self) -> bool {
        !self.members.is_empty()
    }

    /// An address of a family with its prefix length: the one asked for, or one of the first range that has any left. None
    /// where the network has no such family.
    fn take(
        &mut self,
        is_v4: bool,
        asked: Option<IpAddr>,
    ) -> std::result::Result<Option<(IpAddr, u8)>, ipam::Error> {
        let of_family = |pool: &&mut ipam::Pool| pool.subnet().is_ipv4() == is_v4;
        let mut refused = None;
        for pool in self.pools.iter_mut().filter(of_family) {
            match pool.take(asked) {
                Ok(address) => return Ok(Some((address, pool.subnet().prefix))),
                Err(error @ (ipam::Error::NoAddress { .. } | ipam::Error::OutOfRange { .. })) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(None), Err)
    }

    fn give_back(&mut self, lease: &Lease) {
        let v4 = lease.ipv4.map(|(ip, _)| IpAddr::from(ip));
        let v6 = lease.ipv6.map(|(ip, _)| IpAddr::from(ip));
        for ip in v4.into_iter().chain(v6) {
            for pool in &mut self.pools {
                pool.give_back(ip);
            }
        }
    }
}

fn pools(record: &Record) -> Result<Vec<ipam::Pool>> {
    if matches!(record.driver, Driver::Host | Driver::Null) {
        return Ok(Vec::new());
    }
    let pool = |pool: &record::Pool| -> Result<ipam::Pool> {
        let reserved: Vec<_> = pool.reserved.iter().map(|(n, a)| (n.clone(), *a)).collect();
        let made = match pool.gateway {
            Some(own) => ipam::Pool::new(pool.subnet, pool.range, Some(own), &reserved)?,
            None => ipam::Pool::without_gateway(pool.subnet, pool.range, &reserved)?,
        };
        Ok(made.named(format!("{} ({})", record.name, &record.id[..12])))
    };
    record.pools.iter().map(pool).collect()
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    fn registry(records: &[&str]) -> Registry {
        let registry = Registry {
            folder: PathBuf::new(),
            table: RwLock::default(),
            choice: Choice {
                ula: network::ipam::Ula::random().expect("random bytes"),
                blocks: Vec::new(),
            },
            making: Mutex::new(()),
        };
        for name in records {
            registry.insert(record(name)).expect("a free name");
        }
        registry
    }

    #[test]
    fn a_network_is_found_by_id_name_and_beginning() {
        let registry = registry(&["one", "two"]);
        let one = registry.require("one").expect("there").record();
        for target in [&one.id[..], &one.id[..12], "one"] {
            let found = registry.require(target).expect("there").record();
            assert_eq!(found.name, "one", "{target}");
        }
        let error = |target: &str| registry.require(target).expect_err("nothing").to_string();
        assert_eq!(error("three"), "network three not found");
        assert_eq!(error(""), "network  not found");
        let taken = registry.insert(record("one")).expect_err("taken");
        assert_eq!(taken.to_string(), "network with name one already exists");
        registry.forget(&one);
        assert!(registry.require("one").is_err());
    }

    #[test]
    fn addresses_are_given_once_and_come_back() {
        let registry = registry(&["n"]);
        let network = registry.require("n").expect("there");
        let ip = |lease: &Lease| lease.ipv4.expect("given").0.to_string();
        let first = network.join("a", None, None).expect("free");
        assert_eq!(ip(&first), "10.1.0.2");
        let asked = "10.1.0.9".parse().ok();
        let second = network.join("b", asked, None).expect("free");
        assert_eq!(ip(&second), "10.1.0.9");
        let taken = network.join("c", asked, None).expect_err("taken");
        assert_eq!(taken.to_string(), "Address already in use");
        let no_v6 = network.join("c", None, "fd00::2".parse().ok());
        assert!(
            no_v6
                .expect_err("no IPv6")
                .to_string()
                .contains("IPv6 is not enabled")
        );
        assert_eq!(network.members().len(), 2);
        assert!(network.close().is_err());
        network.leave("a", &first);
        network.leave("a", &first);
        network.leave("b", &second);
        assert_eq!(
            ip(&network.join("d", None, None).expect("free")),
            "10.1.0.2"
        );
        network.leave("d", &first);
        assert!(network.close().is_ok());
        assert!(network.join("e", None, None).is_err(), "it is gone");
    }

    #[test]
    fn the_second_range_serves_when_asked_or_when_the_first_is_full() {
        let mut of = record("n");
        of.driver = Driver::Macvlan;
        of.pools[0].subnet = "10.1.0.0/30".parse().expect("a subnet");
        let mut second = of.pools[0].clone();
        second.subnet = "10.2.0.0/24".parse().expect("a subnet");
        second.gateway = None;
        of.pools.push(second);
        let registry = registry(&[]);
        let network = registry.insert(of).expect("a free name");
        let take = |container: &str, asked: Option<&str>| {
            let asked = asked.map(|ip| ip.parse().expect("an address"));
            network.join(container, asked, None)
        };
        let shown = |lease: &Lease| lease.ipv4.map(|(ip, prefix)| format!("{ip}/{prefix}"));
        let asked = take("a", Some("10.2.0.7")).expect("free");
        assert_eq!(shown(&asked).as_deref(), Some("10.2.0.7/24"));
        assert!(take("b", Some("10.2.0.7")).is_err(), "taken");
        assert!(take("b", Some("10.3.0.7")).is_err(), "of none of them");
        let first = take("b", None).expect("free");
        assert_eq!(shown(&first).as_deref(), Some("10.1.0.2/30"));
        let over = take("c", None).expect("the first is full");
        assert_eq!(shown(&over).as_deref(), Some("10.2.0.1/24"));
        network.leave("b", &first);
        let again = take("d", None).expect("free");
        assert_eq!(shown(&again).as_deref(), Some("10.1.0.2/30"));
    }

    #[test]
    fn what_a_former_daemon_gave_is_not_given_again() {
        let registry = registry(&["n"]);
        let network = registry.require("n").expect("there");
        let lease = Lease {
            ipv4: Some(("10.1.0.2".parse().expect("an address"), 24)),
            ipv6: None,
        };
        network.rejoin("a", &lease);
        let next = network.join("b", None, None).expect("free");
        assert_eq!(next.ipv4.expect("given").0.to_string(), "10.1.0.3");
    }
}
