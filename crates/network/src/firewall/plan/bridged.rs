//! The table of family bridge: who may say who they are on our bridges.

use netlink::nft::{Family, Hook, Payload, Set, Type};

use crate::firewall::holes::{asks_through_hole, back_through_hole, through_hole};
use crate::firewall::plan::{BRIDGE_FILTER, BRIDGE_FIRST, Ground, PlannedChain, Shown, set};
use crate::firewall::words::{
    Phrase, accept, carries, drop, from_none_of, from_one_of, has, is, is_not, is_not_owned,
    network, not_transport, rule, sent_by_one_of, transport,
};

/// The host's ends of all wires.
pub(in crate::firewall) const WIRES: &str = "wires";
/// Those of them whose container may not talk to others on its bridge.
pub(in crate::firewall) const QUIET: &str = "quiet";
/// Holes between these: from, to, protocol and port.
pub(in crate::firewall) const LINKED: &str = "linked";
/// Addresses between which there is a hole, in both orders.
pub(in crate::firewall) const LINKED_PAIRS: &str = "linked_pairs";
/// IPv4 addresses that are someone's.
pub(in crate::firewall) const ASSIGNED4: &str = "assigned4";
/// Wires with the IPv4 addresses of their containers.
pub(in crate::firewall) const OWNERS4: &str = "owners4";
/// IPv6 addresses that are someone's.
pub(in crate::firewall) const ASSIGNED6: &str = "assigned6";
/// Wires with the IPv6 addresses of their containers.
pub(in crate::firewall) const OWNERS6: &str = "owners6";
/// Hardware addresses that are someone's.
pub(in crate::firewall) const ASSIGNED_MAC: &str = "assigned_mac";
/// Wires with the hardware addresses of their containers.
pub(in crate::firewall) const OWNERS_MAC: &str = "owners_mac";

/// Wires with the hardware address and an IPv4 address of their containers: who is in it is who they say they are.
pub(in crate::firewall) const HONEST4: &str = "honest4";
/// Likewise of IPv6.
pub(in crate::firewall) const HONEST6: &str = "honest6";

/// All sets.
pub(in crate::firewall) fn sets(table: &str) -> Vec<Set> {
    let set = |name, key: &[Type]| set(Family::Bridge, table, name, key, &[], false);
    let (wire, mac) = (Type::Interface, Type::EthernetAddress);
    vec![
        set(WIRES, &[Type::Interface]),
        set(QUIET, &[Type::Interface]),
        set(
            LINKED,
            &[
                Type::Ipv4Address,
                Type::Ipv4Address,
                Type::Protocol,
                Type::Port,
            ],
        ),
        set(LINKED_PAIRS, &[Type::Ipv4Address, Type::Ipv4Address]),
        set(ASSIGNED4, &[Type::Ipv4Address]),
        set(OWNERS4, &[Type::Interface, Type::Ipv4Address]),
        set(ASSIGNED6, &[Type::Ipv6Address]),
        set(OWNERS6, &[Type::Interface, Type::Ipv6Address]),
        set(ASSIGNED_MAC, &[Type::EthernetAddress]),
        set(OWNERS_MAC, &[Type::Interface, Type::EthernetAddress]),
        set(HONEST4, &[wire, mac, Type::Ipv4Address]),
        set(HONEST6, &[wire, mac, Type::Ipv6Address]),
    ]
}

/// All chains.
pub(super) fn chains(ground: &Ground<'_>) -> Vec<PlannedChain> {
    let mut chains = vec![PlannedChain::filter(
        "prerouting",
        Hook::Prerouting,
        BRIDGE_FIRST,
        prerouting(),
    )];
    // Every frame between two containers would look into a set that is empty nearly everywhere.
    if ground.kinds.quiet {
        let rules = forward(ground.shown);
        let forward = PlannedChain::filter("forward", Hook::Forward, BRIDGE_FILTER, rules);
        chains.push(forward);
    }
    chains
}

/// Between two containers. Frames that the routed tables get to see are left to them: they know which are part of a
/// connection to a published port, translated on arrival and sent on within the bridge. They see nothing with a VLAN's tag,
/// so what counts is the type that the frame itself shows.
fn forward(shown: Shown) -> Vec<Phrase> {
    let mut words = vec![from_one_of(QUIET)];
    if shown.v4 {
        words.push(is_not(ETHER_TYPE, &IPV4));
        // Who is let through must be found; who has no open port gains nothing by being found.
        words.push(is_not(ETHER_TYPE, &ARP));
    }
    if shown.v6 {
        words.push(is_not(ETHER_TYPE, &IPV6));
    }
    words.push(drop());
    let holed =
        |kind: &[u8], hole| rule([from_one_of(QUIET), is(ETHER_TYPE, kind), hole, accept()]);
    vec![
        holed(&ARP, asks_through_hole(LINKED_PAIRS)),
        holed(&IPV4, through_hole(Family::Ip, LINKED)),
        holed(&IPV4, back_through_hole(Family::Ip, LINKED)),
        rule(words),
    ]
}

/// Bytes of the link's header.
const fn link(offset: u32, len_bytes: u32) -> Payload {
    Payload {
        base: 0,
        offset,
        len_bytes,
    }
}

const SENDER: Payload = link(6, 6);
const ETHER_TYPE: Payload = link(12, 2);
const IPV4: [u8; 2] = [0x08, 0x00];
const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;
/// Type of a message that says "this address is at my hardware address". RFC 4861, section 4.4.
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

fn prerouting() -> Vec<Phrase> {
    let arp_sender = network(14, 4);
    let advertised = Payload {
        base: 2,
        offset: 8,
        len_bytes: 16,
    };
    let message_type = Payload {
        base: 2,
        offset: 0,
        len_bytes: 1,
    };
    vec![
        // Nearly every frame ends here, after one look: the rules below ask a question at a time. ICMPv6 does not, because
        // it tells of addresses other than its sender's.
        rule([
            carries(IPV4),
            sent_by_one_of(SENDER, network(12, 4), HONEST4),
            accept(),
        ]),
        rule([
            carries(IPV6),
            not_transport(ICMPV6),
            sent_by_one_of(SENDER, network(8, 16), HONEST6),
            accept(),
        ]),
        // Other programs' bridges.
        rule([from_none_of(WIRES), accept()]),
        stolen(SENDER, ASSIGNED_MAC, OWNERS_MAC),
        rule([carries(IPV4), stolen(network(12, 4), ASSIGNED4, OWNERS4)]),
        rule([carries(ARP), stolen(arp_sender, ASSIGNED4, OWNERS4)]),
        rule([carries(IPV6), stolen(network(8, 16), ASSIGNED6, OWNERS6)]),
        rule([
            carries(IPV6),
            transport(ICMPV6),
            is(message_type, &[NEIGHBOUR_ADVERTISEMENT]),
            stolen(advertised, ASSIGNED6, OWNERS6),
        ]),
    ]
}

/// These bytes are someone's, but not of who sends them: gone.
fn stolen(what: Payload, assigned: &str, owners: &str) -> Phrase {
    rule([has(what, assigned), is_not_owned(what, owners), drop()])
}
