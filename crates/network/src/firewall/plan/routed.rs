//! The tables of families ip and ip6: what is routed, translated or for the host.

use std::net::IpAddr;

use netlink::nft::{Ct, Family, Hook, Set, Type};

use crate::firewall::Policy;
use crate::firewall::holes::through_hole;
use crate::firewall::plan::{
    BEFORE_FILTER, FILTER, Ground, LAST, NAT_DESTINATION, NAT_SOURCE, PlannedChain, set,
};
use crate::firewall::words::{
    Phrase, accept, copy_to, destination_of, drop, from, from_elsewhere, from_kind, from_none_of,
    from_one_of, from_source_in, from_to_in, go_to, has, masquerade, not_from_link_local,
    not_to_loopback, port_at_in, port_in, rule, source_destination_in, source_of, source_port_in,
    source_to_in, state, to, to_host, to_kind, to_none_of, to_one_of, translate_at_by,
    translate_by, translated, transport,
};

/// Our bridges.
pub(in crate::firewall) const BRIDGES: &str = "bridges";
/// Those of them with no way in or out.
pub(in crate::firewall) const INTERNAL: &str = "internal";
/// Each bridge with itself, where its containers may talk to each other.
pub(in crate::firewall) const TALKING: &str = "talking";
/// Holes in the wall between containers: from, to, protocol and port.
pub(in crate::firewall) const LINKED: &str = "linked";
/// Subnets that go out under the host's address.
pub(in crate::firewall) const MASQUERADED: &str = "masqueraded";
/// Subnets that others have a road to.
pub(in crate::firewall) const ROUTED: &str = "routed";
/// Ports of containers in them that are open to others.
pub(in crate::firewall) const OPEN: &str = "open";
/// Subnets that others have a road to with every port of theirs open.
pub(in crate::firewall) const UNPROTECTED: &str = "unprotected";
/// Subnets with their bridge.
pub(in crate::firewall) const AT_HOME: &str = "at_home";
/// Subnets with themselves.
pub(in crate::firewall) const HAIRPIN: &str = "hairpin";
/// Published ports of all the host's addresses.
pub(in crate::firewall) const PUBLISHED: &str = "published";
/// Published ports of one of the host's addresses.
pub(in crate::firewall) const PUBLISHED_AT: &str = "published_at";
/// Published ports with the container that they lead to: what it sends there is for itself.
pub(in crate::firewall) const TO_ITSELF: &str = "to_itself";
/// Where [`PUBLISHED`] leads.
pub(in crate::firewall) const PORTS: &str = "ports";
/// Where [`PUBLISHED_AT`] leads.
pub(in crate::firewall) const PORTS_AT: &str = "ports_at";

/// Our bridges with the addresses of the containers on them.
pub(in crate::firewall) const HONEST: &str = "honest";
/// The chain for what comes from a bridge.
const INSIDE: &str = "inside";
/// The chain for what comes from outside our bridges.
const OUTSIDE: &str = "outside";
/// `IPPROTO_ICMP` and `IPPROTO_ICMPV6`.
const ICMP: u8 = 1;
const ICMP6: u8 = 58;

/// The chain that lets a new connection in.
const ADMIT: &str = "admit";

/// All sets and maps.
pub(in crate::firewall) fn sets(family: Family, table: &str) -> Vec<Set> {
    let address = match family {
        Family::Ip6 => Type::Ipv6Address,
        _ => Type::Ipv4Address,
    };
    let port = [Type::Protocol, Type::Port];
    let port_at = [address, Type::Protocol, Type::Port];
    let target = [address, Type::Port];
    let way = [address, address, Type::Protocol, Type::Port];
    let set = |name, key: &[Type], data: &[Type], is_interval| {
        set(family, table, name, key, data, is_interval)
    };
    vec![
        set(BRIDGES, &[Type::Interface], &[], false),
        set(INTERNAL, &[Type::Interface], &[], false),
        set(TALKING, &[Type::Interface, Type::Interface], &[], false),
        set(LINKED, &way, &[], false),
        set(MASQUERADED, &[address], &[], true),
        set(ROUTED, &[address], &[], true),
        set(OPEN, &port_at, &[], false),
        set(UNPROTECTED, &[address], &[], true),
        set(AT_HOME, &[address, Type::Interface], &[], true),
        set(HAIRPIN, &[address, address], &[], true),
        set(HONEST, &[Type::Interface, address], &[], false),
        set(PUBLISHED, &port, &[], false),
        set(PUBLISHED_AT, &port_at, &[], false),
        set(TO_ITSELF, &port_at, &[], false),
        set(PORTS, &port, &target, false),
        set(PORTS_AT, &port_at, &target, false),
    ]
}

/// All chains.
pub(super) fn chains(ground: &Ground<'_>, family: Family) -> Vec<PlannedChain> {
    let mut chains = vec![
        prerouting(ground, family),
        output(family),
        postrouting(family),
        PlannedChain::filter("source", Hook::Input, BEFORE_FILTER, vec![lie()]),
        input(ground, family),
    ];
    chains.extend(forward(ground, family));
    if let Some((admission, device)) = ground.admission {
        let next_hop = match family {
            Family::Ip6 => IpAddr::V6(admission.next_hop6),
            _ => IpAddr::V4(admission.next_hop4),
        };
        chains.push(PlannedChain {
            name: ADMIT,
            base: None,
            rules: vec![
                // A network with no way out has none through the host either.
                rule([from_one_of(INTERNAL), drop()]),
                rule([copy_to(next_hop, device), drop()]),
            ],
        });
    }
    chains
}

/// What belongs to a connection that was let through.
fn established() -> Phrase {
    rule([state(Ct::ESTABLISHED | Ct::RELATED), accept()])
}

/// The first packet of a connection to a published port.
fn prerouting(ground: &Ground<'_>, family: Family) -> PlannedChain {
    let admitted = |translation: Phrase| match (ground.policy, ground.admission) {
        // The destination must be the host's: others could be routed into the pair.
        (Policy::HostInput, Some((pair, _))) => rule([from(&pair.inside), to_host(), translation]),
        _ => rule([
            from_none_of(INTERNAL),
            not_to_loopback(family),
            not_from_link_local(family),
            to_host(),
            translation,
        ]),
    };
    let rules = vec![
        to_itself(family),
        admitted(translate_at_by(family, PORTS_AT)),
        admitted(translate_by(family, PORTS)),
    ];
    PlannedChain::nat("prerouting", Hook::Prerouting, NAT_DESTINATION, rules)
}

/// A container that calls itself by way of the host is left to the userland proxy. Where bridged frames are shown to ip
/// tables (br_netfilter), a packet that is translated on arrival is sent on within the bridge, and a bridge sends nothing
/// back out of the port that it came from.
fn to_itself(family: Family) -> Phrase {
    rule([source_port_in(family, TO_ITSELF), accept()])
}

/// The host to itself by an address of its own.
fn output(family: Family) -> PlannedChain {
    let own = |translation| rule([not_to_loopback(family), to_host(), translation]);
    let rules = vec![
        own(translate_at_by(family, PORTS_AT)),
        own(translate_by(family, PORTS)),
    ];
    PlannedChain::nat("output", Hook::Output, NAT_DESTINATION, rules)
}

/// What passes through the host. Nearly every packet is one of an established connection: those are asked first, and least.
fn forward(ground: &Ground<'_>, family: Family) -> Vec<PlannedChain> {
    // The kind is a word of the link itself, where our bridges are a set to be searched. Links of no kind have no such word.
    let mut ways = vec![rule([from_kind("bridge"), go_to(INSIDE)])];
    if !ground.kinds.internal {
        // Into a bridge, whoever's it is.
        ways.push(rule([to_kind("bridge"), established()]));
    }
    ways.push(go_to(OUTSIDE));
    let chain = |name, rules| PlannedChain {
        name,
        base: None,
        rules,
    };
    vec![
        PlannedChain::filter("forward", Hook::Forward, FILTER, ways),
        chain(INSIDE, inside(ground, family)),
        chain(OUTSIDE, outside(ground, family)),
    ]
}

/// What passes through the host and comes from a bridge.
fn inside(ground: &Ground<'_>, family: Family) -> Vec<Phrase> {
    // Whose address it is needs no look at the host's routes.
    let honest = rule([from_source_in(family, HONEST), established()]);
    let mut rules = vec![
        rule([from_none_of(BRIDGES), go_to(OUTSIDE)]),
        // Seen here only where bridged frames are shown to ip tables (br_netfilter).
        rule([from_to_in(TALKING), accept()]),
    ];
    if ground.kinds.internal {
        // Before anything that accepts: no connection, however old, leaves an internal network.
        rules.push(rule([from_one_of(INTERNAL), drop()]));
        rules.push(rule([to_one_of(INTERNAL), drop()]));
        rules.push(honest);
    } else {
        rules.insert(0, honest);
    }
    rules.extend(not_into_the_pair(ground));
    rules.extend([
        lie(),
        established(),
        rule([translated(), accept()]),
        rule([to_none_of(BRIDGES), accept()]),
    ]);
    if ground.kinds.quiet {
        rules.push(rule([through_hole(family, LINKED), accept()]));
    }
    rules.push(drop());
    rules
}

/// What passes through the host and comes from none of our bridges. Addresses of containers are nobody's business outside,
/// even of one who routes to them through this host: what is let in was translated, or is on a network that says so.
fn outside(ground: &Ground<'_>, family: Family) -> Vec<Phrase> {
    let mut rules = Vec::new();
    if !ground.kinds.internal && !ground.is_guarded(family) {
        rules.push(established());
    }
    rules.extend(not_into_the_pair(ground));
    rules.extend(of_others(ground, family));
    if ground.kinds.internal {
        rules.push(rule([to_one_of(INTERNAL), drop()]));
    }
    let (destination, icmp) = match family {
        Family::Ip6 => (destination_of(family), ICMP6),
        _ => (destination_of(family), ICMP),
    };
    rules.extend([
        established(),
        rule([translated(), accept()]),
        rule([port_at_in(family, OPEN), accept()]),
        rule([transport(icmp), has(destination, ROUTED), accept()]),
    ]);
    if ground.kinds.unprotected {
        rules.push(rule([has(destination, UNPROTECTED), accept()]));
    }
    rules.push(drop());
    rules
}

/// What is neither from nor to a bridge of ours: not our business, unless the host forwards for our sake alone. Bridges
/// of others are other engines', which look after themselves.
fn of_others(ground: &Ground<'_>, family: Family) -> Vec<Phrase> {
    let others = |more: Phrase| rule([to_none_of(BRIDGES), more]);
    match ground.is_guarded(family) {
        false => vec![others(accept())],
        true => vec![
            others(rule([from_kind("bridge"), accept()])),
            others(rule([to_kind("bridge"), accept()])),
            others(drop()),
        ],
    }
}

/// Only the host itself sends into the pair.
fn not_into_the_pair(ground: &Ground<'_>) -> Option<Phrase> {
    let (pair, _) = ground.admission?;
    Some(rule([to(&pair.out), drop()]))
}

/// From a bridge, under an address to which the host would send elsewhere. Looked for on input before translation is
/// undone, which makes answers to the host itself come from its own address; and not on arrival, because frames that stay
/// within a bridge are shown there too and are the bridge table's business.
fn lie() -> Phrase {
    rule([from_one_of(BRIDGES), from_elsewhere(), drop()])
}

/// What leaves.
fn postrouting(family: Family) -> PlannedChain {
    let rules = vec![
        // A container that calls its own network through the host: answers must come back this way.
        rule([
            translated(),
            source_destination_in(family, HAIRPIN),
            masquerade(),
        ]),
        rule([source_to_in(family, AT_HOME), accept()]),
        rule([has(source_of(family), MASQUERADED), masquerade()]),
    ];
    PlannedChain::nat("postrouting", Hook::Postrouting, NAT_SOURCE, rules)
}

/// What is for the host, and was accepted by all of its own chains.
fn input(ground: &Ground<'_>, family: Family) -> PlannedChain {
    let mut rules = Vec::new();
    if let Some((pair, _)) = ground.admission {
        let new = |port| {
            rule([
                not_to_loopback(family),
                not_from_link_local(family),
                to_host(),
                state(Ct::NEW),
                port,
                go_to(ADMIT),
            ])
        };
        rules.extend([
            // Came back through the pair and led nowhere.
            rule([from(&pair.inside), drop()]),
            established(),
            rule([from("lo"), accept()]),
            to_itself(family),
            new(port_at_in(family, PUBLISHED_AT)),
            new(port_in(PUBLISHED)),
        ]);
    }
    PlannedChain::filter("input", Hook::Input, LAST, rules)
}
