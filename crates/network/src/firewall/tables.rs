//! The tables in the kernel beside what they should be.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use netlink::nft::{Change, Element, Family, Set, commit};
use netlink::socket::Socket;
use rustix::net::netdevice::name_to_index;

use crate::firewall::desired::{Desired, Difference, Owner, Taken};
use crate::firewall::elements::{Placed, of_endpoint, of_network};
use crate::firewall::error::Error;
use crate::firewall::flows::{self, Flows};
use crate::firewall::foreign::{Way, make_way};
use crate::firewall::holes::{Hole, of_hole};
use crate::firewall::obstacles;
use crate::firewall::plan::{self, Ground, Kinds, Shown};
use crate::firewall::{Admission, Endpoint, Guarded, Instance, Net, Policy, Port};

/// There when the host has IPv6.
const IPV6: &str = "/proc/self/net/if_inet6";

/// Whether bridged frames are shown to ip tables; not there without br_netfilter.
const SHOWS_IPV4: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";
const SHOWS_IPV6: &str = "/proc/sys/net/bridge/bridge-nf-call-ip6tables";

/// Shared by the daemon's threads and the one that heals.
#[derive(Debug)]
pub(super) struct Tables {
    table: String,
    policy: Policy,
    admission: Option<Admission>,
    socket: Socket,
    families: Vec<Family>,
    sets: Vec<Set>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    desired: Desired,
    flows: Flows,
    /// The holes of each endpoint that has some.
    holes: HashMap<String, Vec<Hole>>,
    /// For what kinds of networks the tables in the kernel were made; none are there, as far as we know, where it is
    /// `None`.
    built: Option<Kinds>,
    /// All was taken away, and nothing comes again.
    is_over: bool,
    guarded: Guarded,
    /// What stands in the way and was told; each once.
    told: BTreeSet<String>,
}

impl Tables {
    pub(super) fn open(
        instance: Instance,
        policy: Policy,
        admission: Option<Admission>,
    ) -> Result<Self, Error> {
        let admission = match policy {
            Policy::HostInput => Some(admission.ok_or(Error::NoAdmission)?),
            Policy::Open => None,
        };
        let mut families = vec![Family::Ip, Family::Bridge];
        if Path::new(IPV6).exists() {
            families.push(Family::Ip6);
        }
        let sets = families
            .iter()
            .flat_map(|family| plan::sets(*family, &instance.table))
            .collect();
        Ok(Self {
            table: instance.table,
            policy,
            admission,
            socket: Socket::netfilter().map_err(|source| Error::Open { source })?,
            families,
            sets,
            state: Mutex::default(),
        })
    }

    /// From the next build on the host is no road between links that are not ours.
    pub(super) fn guard(&self, guarded: Guarded) {
        self.lock().guarded = guarded;
    }

    /// Whether a table is one of ours.
    pub(super) fn is_own(&self, family: Family, table: &str) -> bool {
        table == self.table && self.families.contains(&family)
    }

    /// Who asks when we change something.
    pub(super) fn port(&self) -> Result<u32, netlink::Error> {
        self.socket.port()
    }

    pub(super) fn restore(
        &self,
        networks: &[Net],
        endpoints: &[(Endpoint, Vec<Port>)],
    ) -> Result<(), Error> {
        let mut state = self.lock();
        let mut desired = Desired::default();
        for network in networks {
            want_network(&mut desired, network);
        }
        for (endpoint, ports) in endpoints {
            let elements = elements_of(&desired, endpoint, ports);
            desired
                .want(&Owner::Endpoint(endpoint.host_name.clone()), elements)
                .map_err(|Taken| taken(&desired, ports))?;
        }
        let before = std::mem::replace(&mut state.desired, desired);
        let done = self.build(&mut state);
        if done.is_err() {
            state.desired = before;
        }
        done?;
        // Flows of the endpoints found go on.
        state.flows = Flows::default();
        state.holes.clear();
        for (endpoint, ports) in endpoints {
            state.flows.lead(&endpoint.host_name, ports);
        }
        self.make_way(&mut state)
    }

    pub(super) fn add_network(&self, network: &Net) -> Result<(), Error> {
        let mut state = self.lock();
        let before_network = state.desired.networks().find(|one| one.id == network.id);
        let before_network = before_network.cloned();
        let (difference, before) = want_network(&mut state.desired, network);
        if let Err(error) = self.apply(&mut state, &difference) {
            put_back(
                &mut state.desired,
                Owner::Network(network.id.clone()),
                before,
            );
            state.desired.put_network(&network.id, before_network);
            return Err(error);
        }
        self.make_way(&mut state)
    }

    pub(super) fn remove_network(&self, id: &str) -> Result<(), Error> {
        let mut state = self.lock();
        let Some(network) = state.desired.put_network(id, None) else {
            return Ok(());
        };
        let owner = Owner::Network(id.to_owned());
        let (difference, before) = forget(&mut state.desired, &owner);
        if let Err(error) = self.apply(&mut state, &difference) {
            put_back(&mut state.desired, owner, before);
            state.desired.put_network(id, Some(network));
            return Err(error);
        }
        self.make_way(&mut state)
    }

    pub(super) fn add_endpoint(&self, endpoint: &Endpoint, ports: &[Port]) -> Result<(), Error> {
        let mut state = self.lock();
        let owner = Owner::Endpoint(endpoint.host_name.clone());
        let elements = elements_of(&state.desired, endpoint, ports);
        let wanted = state.desired.want(&owner, elements);
        let (difference, before) = wanted.map_err(|Taken| taken(&state.desired, ports))?;
        if let Err(error) = self.apply(&mut state, &difference) {
            put_back(&mut state.desired, owner, before);
            return Err(error);
        }
        let led = state.flows.lead(&endpoint.host_name, ports);
        flows::forget(&self.socket, &led);
        Ok(())
    }

    pub(super) fn remove_endpoint(&self, host_name: &str) -> Result<(), Error> {
        let mut state = self.lock();
        let owner = Owner::Endpoint(host_name.to_owned());
        let (difference, before) = forget(&mut state.desired, &owner);
        if let Err(error) = self.apply(&mut state, &difference) {
            put_back(&mut state.desired, owner, before);
            return Err(error);
        }
        let led = state.flows.lead(host_name, &[]);
        flows::forget(&self.socket, &led);
        match state.holes.contains_key(host_name) {
            true => self.set_holes(&mut state, host_name, Vec::new()),
            false => Ok(()),
        }
    }

    pub(super) fn open_holes(&self, host_name: &str, holes: Vec<Hole>) -> Result<(), Error> {
        let mut state = self.lock();
        self.set_holes(&mut state, host_name, holes)
    }

    pub(super) fn close_holes(&self, addresses: &[IpAddr]) -> Result<(), Error> {
        let mut state = self.lock();
        let touched: Vec<(String, Vec<Hole>)> = state
            .holes
            .iter()
            .filter(|(_, holes)| holes.iter().any(|hole| hole.touches(addresses)))
            .map(|(name, holes)| (name.clone(), holes.clone()))
            .collect();
        for (name, mut holes) in touched {
            holes.retain(|hole| !hole.touches(addresses));
            self.set_holes(&mut state, &name, holes)?;
        }
        Ok(())
    }

    fn set_holes(&self, state: &mut State, name: &str, holes: Vec<Hole>) -> Result<(), Error> {
        let owner = Owner::Holes(name.to_owned());
        let elements = holes.iter().flat_map(of_hole).collect();
        let (difference, before) = state
            .desired
            .want(&owner, elements)
            .expect("holes lead nowhere, so none can be taken");
        if let Err(error) = self.apply(state, &difference) {
            put_back(&mut state.desired, owner, before);
            return Err(error);
        }
        match holes.is_empty() {
            true => drop(state.holes.remove(name)),
            false => drop(state.holes.insert(name.to_owned(), holes)),
        }
        Ok(())
    }

    pub(super) fn rebuild(&self) -> Result<(), Error> {
        let mut state = self.lock();
        if state.desired.is_empty() && state.built.is_none() {
            return Ok(());
        }
        self.build(&mut state)?;
        self.make_way(&mut state)
    }

    /// Looks after others' chains only.
    pub(super) fn look_after_others(&self) -> Result<(), Error> {
        let mut state = self.lock();
        if state.built.is_none() {
            return Ok(());
        }
        self.make_way(&mut state)
    }

    /// Whether every table of ours is there with all chains and as many rules as planned.
    pub(super) fn is_whole(&self) -> Result<bool, Error> {
        let state = self.lock();
        let Some(kinds) = state.built else {
            return Ok(true);
        };
        let failed = |source| Error::Rebuild {
            table: self.table.clone(),
            source,
        };
        let admission = self.find_admission()?;
        for family in &self.families {
            for (chain, count) in plan::rule_counts(&self.ground(&state, admission, kinds), *family)
            {
                let found = netlink::nft::rules(&self.socket, *family, &self.table, &chain);
                if found.map_err(failed)?.len() != count {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    pub(super) fn remove_all(&self) -> Result<(), Error> {
        let mut state = self.lock();
        state.desired = Desired::default();
        state.flows = Flows::default();
        state.holes.clear();
        state.built = None;
        state.is_over = true;
        let changes: Vec<Change> = self
            .families
            .iter()
            .flat_map(|family| {
                [
                    Change::AddTable(*family, self.table.clone()),
                    Change::DeleteTable(*family, self.table.clone()),
                ]
            })
            .collect();
        commit(&self.socket, &changes).map_err(|source| self.change_failed(source))?;
        self.make_way(&mut state)
    }

    /// Makes the difference in the kernel, or everything where the tables are not what we think.
    fn apply(&self, state: &mut State, difference: &Difference) -> Result<(), Error> {
        match state.built {
            // Nothing wanted and nothing there: leave it so.
            None if state.desired.is_empty() => return Ok(()),
            Some(kinds) if kinds.include(state.desired.kinds()) => {}
            _ => return self.build(state),
        }
        let mut changes = self.elements(&difference.gone, Change::delete_elements);
        changes.extend(self.elements(&difference.new, Change::add_elements));
        match commit(&self.socket, &changes) {
            // Someone took away what is ours, and the healer has not been there yet.
            Err(error) if error.kind() == fault::Kind::NotFound => self.build(state),
            done => done.map_err(|source| self.change_failed(source)),
        }
    }

    /// All tables from nothing, in one transaction.
    fn build(&self, state: &mut State) -> Result<(), Error> {
        if state.is_over {
            return Err(Error::Over);
        }
        let admission = self.find_admission()?;
        let kinds = state.desired.kinds();
        let ground = self.ground(state, admission, kinds);
        let mut changes: Vec<Change> = self
            .families
            .iter()
            .flat_map(|family| plan::table(&ground, *family))
            .collect();
        changes.extend(self.elements(&state.desired.elements(), Change::add_elements));
        commit(&self.socket, &changes).map_err(|source| Error::Rebuild {
            table: self.table.clone(),
            source,
        })?;
        state.built = Some(kinds);
        Ok(())
    }

    fn make_way(&self, state: &mut State) -> Result<(), Error> {
        let bridges = state.desired.bridges();
        let way = Way {
            table: &self.table,
            bridges: &bridges,
            out: self.admission.as_ref().map(|pair| pair.out.as_str()),
            inside: self.admission.as_ref().map(|pair| pair.inside.as_str()),
        };
        let closed = make_way(&self.socket, &way).map_err(|source| Error::Foreign { source })?;
        obstacles::tell(&closed, &bridges, &mut state.told);
        Ok(())
    }

    fn ground(&self, state: &State, device: Option<u32>, kinds: Kinds) -> Ground<'_> {
        Ground {
            table: &self.table,
            policy: self.policy,
            admission: self.admission.as_ref().zip(device),
            shown: Shown {
                v4: is_on(SHOWS_IPV4),
                v6: is_on(SHOWS_IPV6),
            },
            guarded: state.guarded,
            kinds,
        }
    }

    /// The number of the pair's outer end: it is another one each time the pair is made.
    fn find_admission(&self) -> Result<Option<u32>, Error> {
        let Some(pair) = &self.admission else {
            return Ok(None);
        };
        // Asked of the socket, whose namespace is the right one whatever thread this is.
        match name_to_index(&self.socket, &pair.out) {
            Ok(index) => Ok(Some(index)),
            Err(source) => Err(Error::NoInterface {
                name: pair.out.clone(),
                source: source.into(),
            }),
        }
    }

    /// Groups elements by their set. Those of families that the host has not are left out.
    fn elements(
        &self,
        placed: &[Placed],
        change: fn(&Set, &[Element]) -> Vec<Change>,
    ) -> Vec<Change> {
        placed
            .chunk_by(|one, other| (one.family, one.set) == (other.family, other.set))
            .filter_map(|group| {
                let set = self.sets.iter().find(|set| {
                    (set.family, set.name.as_str()) == (group[0].family, group[0].set)
                })?;
                let elements: Vec<Element> =
                    group.iter().map(|placed| placed.element.clone()).collect();
                Some(change(set, &elements))
            })
            .flatten()
            .collect()
    }

    fn change_failed(&self, source: netlink::Error) -> Error {
        Error::Change {
            table: self.table.clone(),
            source,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two maps' changes leaves at worst an element too many in memory; going on is better.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_on(switch: &str) -> bool {
    std::fs::read(switch).is_ok_and(|text| text.starts_with(b"1"))
}

fn want_network(desired: &mut Desired, network: &Net) -> (Difference, Vec<Placed>) {
    desired.put_network(&network.id, Some(network.clone()));
    desired
        .want(&Owner::Network(network.id.clone()), of_network(network))
        .expect("a network's elements lead nowhere, so none can be taken")
}

fn forget(desired: &mut Desired, owner: &Owner) -> (Difference, Vec<Placed>) {
    desired
        .want(owner, Vec::new())
        .expect("nothing is asked for, so nothing can be taken")
}

fn put_back(desired: &mut Desired, owner: Owner, elements: Vec<Placed>) {
    desired
        .want(&owner, elements)
        .expect("it was so a moment ago");
}

fn elements_of(desired: &Desired, endpoint: &Endpoint, ports: &[Port]) -> Vec<Placed> {
    of_endpoint(endpoint, desired.network_of(&endpoint.addresses), ports)
}

/// Names the first of the ports that leads elsewhere already.
fn taken(desired: &Desired, ports: &[Port]) -> Error {
    let present = desired.elements();
    let is_there = |port: &&Port| {
        crate::firewall::elements::of_port(port)
            .iter()
            .any(|one| present.iter().any(|other| one.is_at_place_of(other)))
    };
    let port = ports.iter().find(is_there).or(ports.first());
    let port = port.expect("only ports can be taken");
    let unspecified: IpAddr = match port.target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Error::PortTaken {
        address: SocketAddr::new(port.host.unwrap_or(unspecified), port.host_port),
        protocol: port.proto,
    }
}
