//! The names of one network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::ports::Protocol;

/// What one endpoint contributes to its network's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its names in this network; the first is what its addresses are called. Several endpoints may share a name.
    pub names: Vec<String>,
    /// Its addresses in this network.
    pub addresses: Vec<IpAddr>,
    /// The ports it offers, for SRV.
    pub ports: Vec<(Protocol, u16)>,
}

/// Names to addresses and back, for the endpoints of one network. Names are compared without regard to case.
#[derive(Debug)]
pub struct Zone {
    network: String,
    table: RwLock<Table>,
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<String, Entry>,
    /// Name in lower case to the endpoints that have it, in the order in which they came.
    names: HashMap<String, Vec<String>>,
    addresses: HashMap<IpAddr, String>,
}

impl Zone {
    /// A network without endpoints.
    #[must_use]
    pub fn new(network: &str) -> Self {
        Self {
            network: network.to_owned(),
            table: RwLock::default(),
            turn: AtomicUsize::new(0),
        }
    }

    /// The network's name.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Adds an endpoint, in place of what was there under its id.
    pub fn insert(&self, endpoint: &str, entry: Entry) {
        let mut table = self.write();
        table.remove(endpoint);
        for name in &entry.names {
            let holders = table.names.entry(name.to_lowercase()).or_default();
            if !holders.iter().any(|holder| holder == endpoint) {
                holders.push(endpoint.to_owned());
            }
        }
        for address in &entry.addresses {
            table.addresses.insert(*address, endpoint.to_owned());
        }
        table.entries.insert(endpoint.to_owned(), entry);
    }

    /// Removes an endpoint, if it is there.
    pub fn remove(&self, endpoint: &str) {
        self.write().remove(endpoint);
    }

    /// All addresses of a name, beginning with another one each time; none when there is no such name. `name` is in lower
    /// case.
    pub(super) fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let table = self.read();
        let holders = table.names.get(name)?;
        let mut addresses: Vec<IpAddr> = holders
            .iter()
            .filter_map(|holder| table.entries.get(holder))
            .flat_map(|entry| entry.addresses.iter().copied())
            .collect();
        drop(table);
        if addresses.len() > 1 {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
        Some(addresses)
    }

    /// The endpoints of a name that offer a port, each by its first name.
    pub(super) fn offering(&self, name: &str, protocol: Protocol, port: u16) -> Vec<Entry> {
        let table = self.read();
        let holders = table.names.get(name).map(Vec::as_slice).unwrap_or_default();
        holders
            .iter()
            .filter_map(|holder| table.entries.get(holder))
            .filter(|entry| entry.ports.contains(&(protocol, port)))
            .cloned()
            .collect()
    }

    /// What an address is called: `name.network`.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<String> {
        let table = self.read();
        let entry = table.entries.get(table.addresses.get(&address)?)?;
        Some(format!("{}.{}", entry.names.first()?, self.network))
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        // Every change leaves the table whole, also one that panics half-way through nothing.
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove(&mut self, endpoint: &str) {
        let Some(entry) = self.entries.remove(endpoint) else {
            return;
        };
        for name in &entry.names {
            let name = name.to_lowercase();
            if let Some(holders) = self.names.get_mut(&name) {
                holders.retain(|holder| holder != endpoint);
                if holders.is_empty() {
                    self.names.remove(&name);
                }
            }
        }
        for address in &entry.addresses {
            // Another endpoint may have it by now.
            if self
                .addresses
                .get(address)
                .is_some_and(|holder| holder == endpoint)
            {
                self.addresses.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(names: &[&str], addresses: &[&str]) -> Entry {
        Entry {
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            addresses: addresses.iter().map(|a| ip(a)).collect(),
            ports: vec![(Protocol::Tcp, 80)],
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_shared_name_takes_turns() {
        let zone = Zone::new("front");
        zone.insert("1", entry(&["web1", "Web"], &["10.0.0.2"]));
        zone.insert("2", entry(&["web2", "web"], &["10.0.0.3"]));
        let firsts: Vec<_> = (0..4)
            .map(|_| zone.addresses("web").expect("it is there")[0])
            .collect();
        assert_eq!(firsts[0], firsts[2]);
        assert_eq!(firsts[1], firsts[3]);
        assert_ne!(firsts[0], firsts[1]);
        zone.remove("1");
        assert_eq!(zone.addresses("web"), Some(vec![ip("10.0.0.3")]));
        assert_eq!(zone.addresses("web1"), None);
        zone.remove("2");
        assert_eq!(zone.addresses("web"), None);
    }

    #[test]
    fn an_endpoint_that_comes_again_is_replaced() {
        let zone = Zone::new("front");
        zone.insert(
            "1",
            entry(&["web", "web", "alias"], &["10.0.0.2", "fd00::2"]),
        );
        assert_eq!(zone.name_of(ip("fd00::2")).as_deref(), Some("web.front"));
        zone.insert("1", entry(&["web"], &["10.0.0.9"]));
        assert_eq!(zone.addresses("alias"), None);
        assert_eq!(zone.addresses("web"), Some(vec![ip("10.0.0.9")]));
        assert_eq!(zone.name_of(ip("10.0.0.2")), None);
        assert_eq!(zone.offering("web", Protocol::Tcp, 80).len(), 1);
        assert!(zone.offering("web", Protocol::Udp, 80).is_empty());
    }

    #[test]
    fn an_address_that_moved_keeps_its_new_name() {
        let zone = Zone::new("front");
        zone.insert("old", entry(&["old"], &["10.0.0.2"]));
        zone.insert("new", entry(&["new"], &["10.0.0.2"]));
        zone.remove("old");
        assert_eq!(zone.name_of(ip("10.0.0.2")).as_deref(), Some("new.front"));
    }
}
