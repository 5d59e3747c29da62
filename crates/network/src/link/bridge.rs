//! The bridge of one network.

use std::net::{IpAddr, Ipv6Addr};

use netlink::route::address;
use netlink::route::link::{self, Change, New};
use netlink::socket::Socket;

use super::host::{has_ipv6_in_kernel, set_ipv6_switch};
use super::{
    Error, Link, MARK, Plan, Step, addresses_with, find_with, is_name, open, random_mac,
    remove_with,
};

/// Every bridge with IPv6 has this address too, as Docker's have: a gateway that never changes.
const LINK_LOCAL: (Ipv6Addr, u8) = (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 64);

/// What a network's bridge shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeSpec {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its own addresses with their prefixes: the gateways of the network's containers. May be empty.
    pub gateways: Vec<(IpAddr, u8)>,
    /// Bytes; the kernel's default when `None`.
    pub mtu: Option<u32>,
}

/// A bridge that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridge {
    /// Its index.
    pub index: u32,
    /// Whether it was not there before.
    pub is_new: bool,
}

/// Makes the bridge, or makes an existing one fit: up, with these addresses. One that somebody else made keeps its other
/// addresses and its MTU; one that we made loses what is not in the specification.
///
/// # Errors
/// [`Error::Name`], [`Error::NotABridge`], [`Error::Step`] (EEXIST: the address is on another link). A bridge that we
/// began to make is removed again.
pub fn ensure_bridge(spec: &BridgeSpec) -> Result<Bridge, Error> {
    if !is_name(&spec.name) {
        return Err(Error::Name {
            name: spec.name.clone(),
        });
    }
    let socket = open()?;
    if let Some(link) = find_with(&socket, &spec.name)? {
        if link.kind != "bridge" {
            return Err(Error::NotABridge {
                name: spec.name.clone(),
            });
        }
        let present = addresses_with(&socket, link.index)?;
        settle(&socket, spec, &link, &present)?;
        return Ok(Bridge {
            index: link.index,
            is_new: false,
        });
    }
    make(&socket, spec).inspect_err(|error| {
        // EEXIST: somebody else made one of this name since we looked.
        let is_foreign = matches!(
            error,
            Error::Step {
                step: Step::Make(_),
                ..
            }
        );
        if !is_foreign {
            let _ = remove_with(&socket, &spec.name);
        }
    })
}

/// Removes a bridge that we made; `false` when there is none of this name, or when somebody else made it.
///
/// # Errors
/// [`Error::Remove`].
pub fn remove_bridge(name: &str) -> Result<bool, Error> {
    let socket = open()?;
    match find_with(&socket, name)? {
        Some(link) if link.kind == "bridge" && link.alias == MARK => remove_with(&socket, name),
        _ => Ok(false),
    }
}

/// Takes all addresses of a bridge, and with them the host's routes to its ranges; `false` when there is none of this
/// name, or when only one of ours is meant and it is somebody else's.
///
/// # Errors
/// [`Error::Read`]; [`Error::Step`].
pub fn strip_bridge(name: &str, only_ours: bool) -> Result<bool, Error> {
    let socket = open()?;
    let Some(link) = find_with(&socket, name)? else {
        return Ok(false);
    };
    if link.kind != "bridge" || (only_ours && link.alias != MARK) {
        return Ok(false);
    }
    let mut plan = Plan::default();
    for (ip, prefix) in addresses_with(&socket, link.index)? {
        plan.add(
            Step::NoAddress(name.to_owned(), ip, prefix),
            address::remove(link.index, ip, prefix),
        );
    }
    plan.carry_out(&socket)?;
    Ok(true)
}

fn make(socket: &Socket, spec: &BridgeSpec) -> Result<Bridge, Error> {
    let mut plan = Plan::default();
    plan.add(
        Step::Make(spec.name.clone()),
        // An address of its own: otherwise it takes its lowest port's and changes with them.
        link::bridge(&New {
            name: &spec.name,
            mac: Some(random_mac()?),
            // Told afterwards: only a change makes it independent of the ports.
            mtu: None,
            namespace: None,
        }),
    );
    plan.carry_out(socket)?;
    let link = find_with(socket, &spec.name)?.ok_or_else(|| Error::NoLink {
        name: spec.name.clone(),
        source: rustix::io::Errno::NODEV.into(),
    })?;
    let index = link.index;
    let ours = Link {
        alias: MARK.to_owned(),
        ..link
    };
    settle(socket, spec, &ours, &[])?;
    Ok(Bridge {
        index,
        is_new: true,
    })
}

fn settle(
    socket: &Socket,
    spec: &BridgeSpec,
    link: &Link,
    present: &[(IpAddr, u8)],
) -> Result<(), Error> {
    let index = link.index;
    let is_ours = link.alias == MARK;
    let wants_ipv6 = spec.gateways.iter().any(|(address, _)| address.is_ipv6());
    if has_ipv6_in_kernel() {
        if is_ours {
            set_ipv6_switch(&spec.name, "accept_ra", "0")?;
        }
        if wants_ipv6 {
            set_ipv6_switch(&spec.name, "disable_ipv6", "0")?;
        }
    }
    let mut plan = Plan::default();
    let name = || spec.name.clone();
    if is_ours {
        let change = Change {
            alias: Some(MARK),
            mtu: spec.mtu.filter(|mtu| *mtu != link.mtu),
            // Ours alone: a network without IPv6 has no way to the host by a link-local address.
            link_local: has_room_for_ipv6(spec.mtu).then_some(false),
            ..Change::default()
        };
        plan.add(Step::Configure(name()), link::change(index, &change));
    }
    if !link.is_up() {
        let up = Change {
            up: Some(true),
            ..Change::default()
        };
        plan.add(Step::SetUp(name()), link::change(index, &up));
    }
    let mut wanted = spec.gateways.clone();
    if wants_ipv6 {
        wanted.push((LINK_LOCAL.0.into(), LINK_LOCAL.1));
    }
    if is_ours {
        for (ip, prefix) in present.iter().filter(|one| !wanted.contains(one)) {
            plan.add(
                Step::NoAddress(name(), *ip, *prefix),
                address::remove(index, *ip, *prefix),
            );
        }
    }
    for (ip, prefix) in wanted.iter().filter(|one| !present.contains(one)) {
        plan.add(
            Step::Address(name(), *ip, *prefix),
            address::add(index, *ip, *prefix),
        );
    }
    plan.carry_out(socket)
}

/// Whether a link of this MTU takes part in IPv6 at all; the kernel refuses settings of IPv6 for one that does not.
pub(super) fn has_room_for_ipv6(mtu: Option<u32>) -> bool {
    has_ipv6_in_kernel() && mtu.is_none_or(|mtu| mtu >= 1280)
}
