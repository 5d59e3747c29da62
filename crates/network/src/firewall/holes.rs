//! Holes in the wall between containers that shall not talk: one for each port that a link opens. Pure.
//!
//! ```text
//! routed tables, which see bridged frames where the host shows them:   linked: from, to, protocol, port; answers pass anyway
//! bridge table, which knows no connections:                            linked, looked up in both directions; ARP by pairs
//! ```

use std::net::{IpAddr, Ipv4Addr};

use netlink::nft::{Element, Expression, Family, Key, Meta, Payload, Slot};

use crate::firewall::elements::Placed;
use crate::firewall::plan::{bridged, routed};
use crate::firewall::words::{Phrase, destination_of, network, source_of};
use crate::ports::Protocol;

/// A port of one container that another one may reach, where containers may not talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// Who may reach it.
    pub from: Ipv4Addr,
    /// Whose port it is.
    pub to: Ipv4Addr,
    /// The protocol.
    pub proto: Protocol,
    /// The port.
    pub port: u16,
}

impl Hole {
    /// Whether it begins or ends at one of these addresses.
    pub(super) fn touches(&self, addresses: &[IpAddr]) -> bool {
        let ends = [self.from, self.to].map(IpAddr::from);
        addresses.iter().any(|address| ends.contains(address))
    }
}

/// What a hole puts into the sets.
pub(super) fn of_hole(hole: &Hole) -> Vec<Placed> {
    let (from, to) = (IpAddr::from(hole.from), IpAddr::from(hole.to));
    let pair = |one, other| Key::new().address(one).address(other);
    let way = || pair(from, to).protocol(hole.proto.number()).port(hole.port);
    [
        (Family::Ip, routed::LINKED, way()),
        (Family::Bridge, bridged::LINKED, way()),
        (Family::Bridge, bridged::LINKED_PAIRS, pair(from, to)),
        (Family::Bridge, bridged::LINKED_PAIRS, pair(to, from)),
    ]
    .map(|(family, set, key)| Placed {
        family,
        set,
        element: Element::one(key),
    })
    .into()
}

/// It goes through a hole.
pub(super) fn through_hole(family: Family, set: &str) -> Phrase {
    way_in(set, source_of(family), destination_of(family), 2)
}

/// It comes back through a hole.
pub(super) fn back_through_hole(family: Family, set: &str) -> Phrase {
    way_in(set, destination_of(family), source_of(family), 0)
}

/// One end of a hole asks for the hardware address of the other, or answers.
pub(super) fn asks_through_hole(set: &str) -> Phrase {
    vec![
        Expression::Payload(network(14, 4), Slot(0)),
        Expression::Payload(network(24, 4), Slot(1)),
        Expression::In(set.into(), Slot(0)),
    ]
}

/// Two addresses, the protocol, and the port at this place of the transport's header are in the set.
fn way_in(set: &str, from: Payload, to: Payload, port_at: u32) -> Phrase {
    let slots = if from.len_bytes == 16 { 4 } else { 1 };
    let slot = |n: u8| Slot(n * slots);
    let port = Payload {
        base: 2,
        offset: port_at,
        len_bytes: 2,
    };
    vec![
        Expression::Payload(from, slot(0)),
        Expression::Payload(to, slot(1)),
        Expression::Meta(Meta::Transport, slot(2)),
        Expression::Payload(port, Slot(slot(2).0 + 1)),
        Expression::In(set.into(), Slot(0)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_touches_both_of_its_ends() {
        let hole = Hole {
            from: Ipv4Addr::new(10, 0, 0, 2),
            to: Ipv4Addr::new(10, 0, 0, 3),
            proto: Protocol::Tcp,
            port: 80,
        };
        for (address, expect) in [
            ([10, 0, 0, 2], true),
            ([10, 0, 0, 3], true),
            ([10, 0, 0, 4], false),
        ] {
            assert_eq!(hole.touches(&[address.into()]), expect);
        }
        assert_eq!(of_hole(&hole).len(), 4);
    }
}
