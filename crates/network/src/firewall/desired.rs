//! What should be in the tables: networks and endpoints, and how many of them want each element. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use netlink::nft::{Element, Family, Key};

use crate::firewall::Net;
use crate::firewall::elements::Placed;
use crate::firewall::plan::Kinds;

/// Everything that is wanted.
#[derive(Debug, Default)]
pub(super) struct Desired {
    networks: HashMap<String, Net>,
    /// What each network and each endpoint wants.
    owners: HashMap<Owner, Vec<Placed>>,
    wanted: BTreeMap<Place, Wanted>,
}

/// Who wants elements.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// A network, by its id.
    Network(String),
    /// An endpoint, by the host's end of its wire.
    Endpoint(String),
    /// The holes that an endpoint has in others' walls.
    Holes(String),
}

/// There can be one element at a place.
type Place = (Family, &'static str, Key);

/// An element and how many want it: two endpoints may have the same hardware address, for instance.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    element: Element,
    count: usize,
}

/// What a change means for the sets: these elements go, then those come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) gone: Vec<Placed>,
    pub(super) new: Vec<Placed>,
}

/// A key of a map cannot lead to two targets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken;

impl Desired {
    /// Whether nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// The network's place is taken by this one, or by none.
    pub(super) fn put_network(&mut self, id: &str, network: Option<Net>) -> Option<Net> {
        match network {
            Some(network) => self.networks.insert(id.to_owned(), network),
            None => self.networks.remove(id),
        }
    }

    /// All networks.
    pub(super) fn networks(&self) -> impl Iterator<Item = &Net> {
        self.networks.values()
    }

    /// The network whose subnets have one of these addresses.
    pub(super) fn network_of(&self, addresses: &[IpAddr]) -> Option<&Net> {
        self.networks().find(|network| {
            let is_here = |one: &IpAddr| network.subnets.iter().any(|subnet| subnet.contains(*one));
            addresses.iter().any(is_here)
        })
    }

    /// What kinds of networks there are.
    pub(super) fn kinds(&self) -> Kinds {
        Kinds {
            internal: self.networks().any(|network| network.internal),
            quiet: self.networks().any(|network| !network.icc),
            unprotected: self
                .networks()
                .any(|network| !network.unprotected.is_empty()),
        }
    }

    /// The bridges of all networks, sorted.
    pub(super) fn bridges(&self) -> BTreeSet<&str> {
        self.networks().map(|one| one.bridge.as_str()).collect()
    }

    /// All elements, those of one set together.
    pub(super) fn elements(&self) -> Vec<Placed> {
        self.wanted
            .iter()
            .map(|(place, wanted)| at(place, &wanted.element))
            .collect()
    }

    /// What this one wants from now on, in the place of what it wanted before, which is told too so that it can be put
    /// back. Nothing is changed when a target is taken.
    pub(super) fn want(
        &mut self,
        owner: &Owner,
        elements: Vec<Placed>,
    ) -> Result<(Difference, Vec<Placed>), Taken> {
        let before = self.owners.get(owner).cloned().unwrap_or_default();
        let touched: BTreeSet<Place> = before.iter().chain(&elements).map(place).collect();
        let old: Vec<(Place, Option<Wanted>)> = touched
            .into_iter()
            .map(|place| {
                let wanted = self.wanted.get(&place).cloned();
                (place, wanted)
            })
            .collect();
        for one in &before {
            self.release(one);
        }
        if elements
            .iter()
            .try_for_each(|one| self.acquire(one))
            .is_err()
        {
            for (place, wanted) in old {
                match wanted {
                    Some(wanted) => self.wanted.insert(place, wanted),
                    None => self.wanted.remove(&place),
                };
            }
            return Err(Taken);
        }
        if elements.is_empty() {
            self.owners.remove(owner);
        } else {
            self.owners.insert(owner.clone(), elements);
        }
        Ok((self.difference(old), before))
    }

    fn difference(&self, old: Vec<(Place, Option<Wanted>)>) -> Difference {
        let mut difference = Difference::default();
        for (place, old) in old {
            let old = old.map(|wanted| wanted.element);
            let new = self.wanted.get(&place).map(|wanted| &wanted.element);
            if old.as_ref() != new {
                difference
                    .gone
                    .extend(old.map(|element| at(&place, &element)));
                difference
                    .new
                    .extend(new.map(|element| at(&place, element)));
            }
        }
        difference
    }

    fn acquire(&mut self, one: &Placed) -> Result<(), Taken> {
        let wanted = self.wanted.entry(place(one)).or_insert_with(|| Wanted {
            element: one.element.clone(),
            count: 0,
        });
        if wanted.element != one.element {
            return Err(Taken);
        }
        wanted.count += 1;
        Ok(())
    }

    fn release(&mut self, one: &Placed) {
        let place = place(one);
        if let Some(wanted) = self.wanted.get_mut(&place) {
            wanted.count -= 1;
            if wanted.count == 0 {
                self.wanted.remove(&place);
            }
        }
    }
}

fn place(one: &Placed) -> Place {
    (one.family, one.set, one.element.key.clone())
}

fn at(place: &Place, element: &Element) -> Placed {
    Placed {
        family: place.0,
        set: place.1,
        element: element.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(port: u16) -> Placed {
        Placed {
            family: Family::Ip,
            set: "published",
            element: Element::one(Key::new().protocol(6).port(port)),
        }
    }

    fn leading(port: u16, to: u16) -> Placed {
        Placed {
            family: Family::Ip,
            set: "ports",
            element: Element::leading_to(Key::new().port(port), Key::new().port(to)),
        }
    }

    fn owner(name: &str) -> Owner {
        Owner::Endpoint(name.into())
    }

    #[test]
    fn what_two_want_goes_with_the_second() {
        let mut desired = Desired::default();
        let (first, _) = desired.want(&owner("a"), vec![element(1)]).expect("free");
        assert_eq!(first.new, [element(1)]);
        let (second, _) = desired.want(&owner("b"), vec![element(1)]).expect("same");
        assert_eq!(second, Difference::default());
        let (third, before) = desired.want(&owner("a"), vec![]).expect("less");
        assert_eq!(third, Difference::default());
        assert_eq!(before, [element(1)]);
        let (last, _) = desired.want(&owner("b"), vec![]).expect("less");
        assert_eq!(last.gone, [element(1)]);
        assert!(desired.is_empty() && desired.elements().is_empty());
    }

    #[test]
    fn a_port_leads_to_one_target() {
        let mut desired = Desired::default();
        let all = vec![element(1), leading(1, 80)];
        desired.want(&owner("a"), all.clone()).expect("free");
        let refused = desired.want(&owner("b"), vec![element(2), leading(1, 81)]);
        assert_eq!(refused, Err(Taken));
        assert_eq!(desired.elements().len(), 2, "nothing of b's is left");
        // But the one who has it may lead it elsewhere.
        let (moved, before) = desired
            .want(&owner("a"), vec![element(1), leading(1, 81)])
            .expect("its own");
        assert_eq!(moved.gone, [leading(1, 80)]);
        assert_eq!(moved.new, [leading(1, 81)]);
        assert_eq!(before, all);
        let twice = vec![leading(5, 1), leading(5, 2)];
        assert_eq!(desired.want(&owner("c"), twice), Err(Taken));
        assert_eq!(desired.elements().len(), 2);
    }
}
