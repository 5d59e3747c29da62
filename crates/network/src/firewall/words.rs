//! The words that our rules are made of, a few expressions each.

use std::net::IpAddr;

use netlink::nft::{
    Ct, Expression, Family, FibResult, Key, Meta, Nat, Payload, Slot, Verdict, fib,
};

/// What a rule says, put together from words.
pub(super) type Phrase = Vec<Expression>;

const FIRST: Slot = Slot(0);
/// Interfaces' names fill four slots.
const BEHIND_INTERFACE: Slot = Slot(4);
/// A hardware address fills two.
const BEHIND_SENDER: Slot = Slot(6);

/// Puts words into one rule.
pub(super) fn rule(words: impl IntoIterator<Item = Phrase>) -> Phrase {
    words.into_iter().flatten().collect()
}

// --- interfaces ---

/// Came in by this interface.
pub(super) fn from(interface: &str) -> Phrase {
    is_interface(Meta::InInterface, interface)
}

/// Goes out by this interface.
pub(super) fn to(interface: &str) -> Phrase {
    is_interface(Meta::OutInterface, interface)
}

/// Came in by an interface whose name begins with these bytes, if any are given.
pub(super) fn from_named(begin: Option<&[u8]>) -> Phrase {
    begin.map_or_else(Phrase::new, |begin| is_named(Meta::InInterface, begin))
}

/// Goes out by an interface whose name begins with these bytes, if any are given.
pub(super) fn to_named(begin: Option<&[u8]>) -> Phrase {
    begin.map_or_else(Phrase::new, |begin| is_named(Meta::OutInterface, begin))
}

/// Came in by an interface of this kind.
pub(super) fn from_kind(kind: &str) -> Phrase {
    is_interface(Meta::InKind, kind)
}

/// Goes out by an interface of this kind.
pub(super) fn to_kind(kind: &str) -> Phrase {
    is_interface(Meta::OutKind, kind)
}

fn is_interface(which: Meta, name: &str) -> Phrase {
    let mut bytes = Key::new().interface(name).bytes().to_vec();
    bytes.resize(16, 0);
    is_named(which, &bytes)
}

fn is_named(which: Meta, begin: &[u8]) -> Phrase {
    vec![
        Expression::Meta(which, FIRST),
        Expression::Equal(FIRST, begin.to_vec()),
    ]
}

/// Came in by one of the set's interfaces.
pub(super) fn from_one_of(set: &str) -> Phrase {
    interface_in(Meta::InInterface, set)
}

/// Came in by none of the set's interfaces.
pub(super) fn from_none_of(set: &str) -> Phrase {
    interface_not_in(Meta::InInterface, set)
}

/// Goes out by one of the set's interfaces.
pub(super) fn to_one_of(set: &str) -> Phrase {
    interface_in(Meta::OutInterface, set)
}

/// Goes out by none of the set's interfaces.
pub(super) fn to_none_of(set: &str) -> Phrase {
    interface_not_in(Meta::OutInterface, set)
}

fn interface_in(which: Meta, set: &str) -> Phrase {
    vec![
        Expression::Meta(which, FIRST),
        Expression::In(set.into(), FIRST),
    ]
}

fn interface_not_in(which: Meta, set: &str) -> Phrase {
    vec![
        Expression::Meta(which, FIRST),
        Expression::NotIn(set.into(), FIRST),
    ]
}

/// The interfaces that it came in and goes out by, as a pair in the set.
pub(super) fn from_to_in(set: &str) -> Phrase {
    vec![
        Expression::Meta(Meta::InInterface, FIRST),
        Expression::Meta(Meta::OutInterface, BEHIND_INTERFACE),
        Expression::In(set.into(), FIRST),
    ]
}

// --- addresses ---

/// Where IPv4 or IPv6 headers have their addresses.
pub(super) fn source_of(family: Family) -> Payload {
    match family {
        Family::Ip6 => network(8, 16),
        _ => network(12, 4),
    }
}

/// As [`source_of`].
pub(super) fn destination_of(family: Family) -> Payload {
    match family {
        Family::Ip6 => network(24, 16),
        _ => network(16, 4),
    }
}

/// Bytes of the network's header.
pub(super) fn network(offset: u32, len_bytes: u32) -> Payload {
    Payload {
        base: 1,
        offset,
        len_bytes,
    }
}

/// The slot behind an address.
fn behind_address(family: Family) -> Slot {
    match family {
        Family::Ip6 => Slot(4),
        _ => Slot(1),
    }
}

/// These bytes of the packet are in the set.
pub(super) fn has(what: Payload, set: &str) -> Phrase {
    vec![
        Expression::Payload(what, FIRST),
        Expression::In(set.into(), FIRST),
    ]
}

/// These bytes of the packet are this constant.
pub(super) fn is(what: Payload, value: &[u8]) -> Phrase {
    vec![
        Expression::Payload(what, FIRST),
        Expression::Equal(FIRST, value.to_vec()),
    ]
}

/// These bytes of the packet are not this constant.
pub(super) fn is_not(what: Payload, value: &[u8]) -> Phrase {
    vec![
        Expression::Payload(what, FIRST),
        Expression::Unequal(FIRST, value.to_vec()),
    ]
}

/// The interface it came in by and these bytes of the packet are no pair in the set.
pub(super) fn is_not_owned(what: Payload, owners: &str) -> Phrase {
    vec![
        Expression::Meta(Meta::InInterface, FIRST),
        Expression::Payload(what, BEHIND_INTERFACE),
        Expression::NotIn(owners.into(), FIRST),
    ]
}

/// The interface it came in by, its sender's hardware address and its source address stand together in the set.
pub(super) fn sent_by_one_of(sender: Payload, source: Payload, set: &str) -> Phrase {
    vec![
        Expression::Meta(Meta::InInterface, FIRST),
        Expression::Payload(sender, BEHIND_INTERFACE),
        Expression::Payload(source, BEHIND_SENDER),
        Expression::In(set.into(), FIRST),
    ]
}

/// The interface it came in by and its source are a pair in the set.
pub(super) fn from_source_in(family: Family, set: &str) -> Phrase {
    vec![
        Expression::Meta(Meta::InInterface, FIRST),
        Expression::Payload(source_of(family), BEHIND_INTERFACE),
        Expression::In(set.into(), FIRST),
    ]
}

/// The source and the interface it goes out by are a pair in the set.
pub(super) fn source_to_in(family: Family, set: &str) -> Phrase {
    vec![
        Expression::Payload(source_of(family), FIRST),
        Expression::Meta(Meta::OutInterface, behind_address(family)),
        Expression::In(set.into(), FIRST),
    ]
}

/// Source and destination are a pair in the set.
pub(super) fn source_destination_in(family: Family, set: &str) -> Phrase {
    vec![
        Expression::Payload(source_of(family), FIRST),
        Expression::Payload(destination_of(family), behind_address(family)),
        Expression::In(set.into(), FIRST),
    ]
}

/// Not to an address that leads back to the host alone: loopback, and IPv6's link-local ones, which mean nothing without
/// their interface. The userland proxy serves those.
pub(super) fn not_to_loopback(family: Family) -> Phrase {
    match family {
        Family::Ip6 => {
            let localhost = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
            let mut words = vec![
                Expression::Payload(destination_of(family), FIRST),
                Expression::Unequal(FIRST, localhost.to_vec()),
            ];
            words.extend(not_link_local(24));
            words
        }
        _ => vec![
            Expression::Payload(network(16, 1), FIRST),
            Expression::Unequal(FIRST, vec![127]),
        ],
    }
}

/// Not from an address that means nothing beyond its link.
pub(super) fn not_from_link_local(family: Family) -> Phrase {
    match family {
        Family::Ip6 => not_link_local(8),
        _ => Phrase::new(),
    }
}

/// The IPv6 address at this offset is not in fe80::/10.
fn not_link_local(offset: u32) -> Phrase {
    vec![
        Expression::Payload(network(offset, 2), FIRST),
        Expression::Mask(FIRST, vec![0xff, 0xc0]),
        Expression::Unequal(FIRST, vec![0xfe, 0x80]),
    ]
}

/// To an address of the host.
pub(super) fn to_host() -> Phrase {
    vec![
        Expression::Fib {
            result: FibResult::AddressKind,
            flags: fib::DESTINATION,
            to: FIRST,
        },
        Expression::Equal(FIRST, fib::LOCAL.to_ne_bytes().to_vec()),
    ]
}

/// From an address to which the host would not send by the interface that it came from.
pub(super) fn from_elsewhere() -> Phrase {
    vec![
        Expression::Fib {
            result: FibResult::Present,
            flags: fib::SOURCE | fib::IN_INTERFACE | fib::PRESENT,
            to: FIRST,
        },
        Expression::Equal(FIRST, 0u32.to_ne_bytes().to_vec()),
    ]
}

// --- connections and ports ---

/// In one of these states of connection tracking.
pub(super) fn state(bits: u32) -> Phrase {
    tracked(Ct::State, bits)
}

/// Its destination was translated.
pub(super) fn translated() -> Phrase {
    tracked(Ct::Status, Ct::TRANSLATED)
}

fn tracked(what: Ct, bits: u32) -> Phrase {
    vec![
        Expression::Ct(what, FIRST),
        Expression::Mask(FIRST, bits.to_ne_bytes().to_vec()),
        Expression::Unequal(FIRST, vec![0; 4]),
    ]
}

/// The destination port stands at the same place for TCP, UDP and SCTP.
pub(super) const DESTINATION_PORT: Payload = Payload {
    base: 2,
    offset: 2,
    len_bytes: 2,
};

/// The key of a wildcard port: protocol and port.
fn port_key(at: Slot) -> Phrase {
    vec![
        Expression::Meta(Meta::Transport, at),
        Expression::Payload(DESTINATION_PORT, Slot(at.0 + 1)),
    ]
}

/// The key of a port of one address: address, protocol and port.
fn port_key_at(family: Family) -> Phrase {
    let mut words = vec![Expression::Payload(destination_of(family), FIRST)];
    words.extend(port_key(behind_address(family)));
    words
}

/// Source, protocol and destination port are in the set.
pub(super) fn source_port_in(family: Family, set: &str) -> Phrase {
    let mut words = vec![Expression::Payload(source_of(family), FIRST)];
    words.extend(port_key(behind_address(family)));
    words.push(Expression::In(set.into(), FIRST));
    words
}

/// Protocol and destination port are in the set.
pub(super) fn port_in(set: &str) -> Phrase {
    let mut words = port_key(FIRST);
    words.push(Expression::In(set.into(), FIRST));
    words
}

/// Destination, protocol and port are in the set.
pub(super) fn port_at_in(family: Family, set: &str) -> Phrase {
    let mut words = port_key_at(family);
    words.push(Expression::In(set.into(), FIRST));
    words
}

/// Translated to where the map leads from protocol and port; goes on where it leads nowhere.
pub(super) fn translate_by(family: Family, map: &str) -> Phrase {
    translate(family, map, port_key(FIRST))
}

/// Translated to where the map leads from destination, protocol and port; goes on where it leads nowhere.
pub(super) fn translate_at_by(family: Family, map: &str) -> Phrase {
    translate(family, map, port_key_at(family))
}

fn translate(family: Family, map: &str, mut words: Phrase) -> Phrase {
    words.push(Expression::Map {
        map: map.into(),
        key: FIRST,
        to: FIRST,
    });
    words.push(Expression::Nat {
        kind: Nat::Destination,
        family,
        address: Some(FIRST),
        port: Some(behind_address(family)),
    });
    words
}

/// Translated to this very address and port.
pub(super) fn translate_to(family: Family, address: IpAddr, port: u16) -> Phrase {
    vec![
        Expression::Load(Key::new().address(address).bytes().to_vec(), FIRST),
        Expression::Load(port.to_be_bytes().to_vec(), behind_address(family)),
        Expression::Nat {
            kind: Nat::Destination,
            family,
            address: Some(FIRST),
            port: Some(behind_address(family)),
        },
    ]
}

/// Carries what this `EtherType` says, be it behind a VLAN's tag.
pub(super) fn carries(ether_type: [u8; 2]) -> Phrase {
    vec![
        Expression::Meta(Meta::Protocol, FIRST),
        Expression::Equal(FIRST, ether_type.to_vec()),
    ]
}

/// Of this transport protocol.
pub(super) fn transport(protocol: u8) -> Phrase {
    vec![
        Expression::Meta(Meta::Transport, FIRST),
        Expression::Equal(FIRST, vec![protocol]),
    ]
}

/// Of another transport protocol.
pub(super) fn not_transport(protocol: u8) -> Phrase {
    vec![
        Expression::Meta(Meta::Transport, FIRST),
        Expression::Unequal(FIRST, vec![protocol]),
    ]
}

/// A copy goes to a neighbour behind an interface.
pub(super) fn copy_to(next_hop: IpAddr, device: u32) -> Phrase {
    vec![
        Expression::Load(Key::new().address(next_hop).bytes().to_vec(), FIRST),
        Expression::Load(device.to_ne_bytes().to_vec(), BEHIND_INTERFACE),
        Expression::Duplicate {
            address: FIRST,
            device: BEHIND_INTERFACE,
        },
    ]
}

// --- verdicts ---

/// Leaves under the address of the interface that it leaves by.
pub(super) fn masquerade() -> Phrase {
    vec![Expression::Masquerade]
}

/// Counted.
pub(super) fn counted() -> Phrase {
    vec![Expression::Counter]
}

/// Goes on.
pub(super) fn accept() -> Phrase {
    vec![Expression::Verdict(Verdict::Accept)]
}

/// Gone.
pub(super) fn drop() -> Phrase {
    vec![Expression::Verdict(Verdict::Drop)]
}

/// On in another chain.
pub(super) fn go_to(chain: &str) -> Phrase {
    vec![Expression::Verdict(Verdict::Goto(chain.into()))]
}
