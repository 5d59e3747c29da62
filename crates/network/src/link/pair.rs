//! The pair of links through which the first packet of a published port's connection comes back to the host.
//!
//! The firewall copies a packet that the host's own input rules have let pass into `out`; it arrives on `inside`, and only
//! what arrives there is translated to a container. See [`crate::firewall`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink::route::link::{self, Change, Ipv4Switch, New};
use netlink::route::{address, neighbour};
use netlink::socket::Socket;

use super::bridge::has_room_for_ipv6;
use super::host::set_ipv6_switch;
use super::{
    Error, Link, MARK, Plan, Step, addresses_with, find_with, host_ranges, is_name, open,
    random_mac, remove_with,
};
use crate::subnet::Subnet;

/// `out`'s own address of IPv6 and the one that stands for `inside`.
const OWN6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const NEXT6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

/// The pair as the firewall's rules name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The link that packets are copied into.
    pub out: String,
    /// The link that they come back on.
    pub inside: String,
    /// To whom they are sent, of IPv4. Nobody has this address; its hardware address is `inside`'s, set for good.
    pub next_hop4: Ipv4Addr,
    /// Likewise of IPv6.
    pub next_hop6: Ipv6Addr,
}

/// Makes the pair, or makes an existing one right again.
///
/// # Errors
/// [`Error::Name`]; [`Error::InTheWay`]: something that is not ours has one of the names; [`Error::Step`]. A pair that we
/// began to make is removed again.
pub fn ensure_pair(out: &str, inside: &str) -> Result<Admission, Error> {
    for name in [out, inside] {
        if !is_name(name) {
            return Err(Error::Name {
                name: name.to_owned(),
            });
        }
    }
    let socket = open()?;
    let links = match existing(&socket, out, inside)? {
        Some(links) => links,
        None => make(&socket, out, inside)?,
    };
    settle(&socket, &links).inspect_err(|_| {
        let _ = remove_with(&socket, out);
    })
}

/// Both ends, `out` first, when they are a pair. Halves and strangers of ours are removed.
fn existing(socket: &Socket, out: &str, inside: &str) -> Result<Option<(Link, Link)>, Error> {
    let found = (find_with(socket, out)?, find_with(socket, inside)?);
    if let (Some(near), Some(far)) = &found
        && near.peer == Some(far.index)
        && far.peer == Some(near.index)
    {
        return Ok(found.0.zip(found.1));
    }
    for link in [found.0, found.1].into_iter().flatten() {
        if link.alias != MARK || link.kind != "veth" {
            return Err(Error::InTheWay { name: link.name });
        }
        remove_with(socket, &link.name)?;
    }
    Ok(None)
}

fn make(socket: &Socket, out: &str, inside: &str) -> Result<(Link, Link), Error> {
    let end = |name, mac| New {
        name,
        mac: Some(mac),
        // What comes here was put together from fragments, and must not be too long for a pair of wires in memory.
        mtu: Some(65_535),
        namespace: None,
    };
    let mut plan = Plan::default();
    plan.add(
        Step::Make(out.to_owned()),
        link::veth(&end(out, random_mac()?), &end(inside, random_mac()?), None),
    );
    plan.carry_out(socket)?;
    let found = |name: &str| {
        find_with(socket, name)?.ok_or_else(|| Error::NoLink {
            name: name.to_owned(),
            source: rustix::io::Errno::NODEV.into(),
        })
    };
    Ok((found(out)?, found(inside)?))
}

fn settle(socket: &Socket, (out, inside): &(Link, Link)) -> Result<Admission, Error> {
    let present = addresses_with(socket, out.index)?;
    let own4 = match own_link_local(&present) {
        Some(own) => own,
        None => free_link_local(&host_ranges()?).ok_or(Error::NoLinkLocalRange)?,
    };
    let next4 = Ipv4Addr::from_bits(own4.to_bits() + 1);
    let has_ipv6 = has_room_for_ipv6(None);
    if has_ipv6 {
        for (name, switch, value) in [
            (&out.name, "disable_ipv6", "0"),
            (&out.name, "accept_ra", "0"),
            (&inside.name, "disable_ipv6", "0"),
            (&inside.name, "accept_ra", "0"),
            (&inside.name, "forwarding", "1"),
        ] {
            set_ipv6_switch(name, switch, value)?;
        }
    }
    let mut plan = Plan::default();
    plan_switches(&mut plan, out, inside, has_ipv6);
    let mut wanted = vec![(IpAddr::from(own4), 30)];
    let mut next = vec![IpAddr::from(next4)];
    if has_ipv6 {
        wanted.push((OWN6.into(), 64));
        next.push(NEXT6.into());
    }
    for (ip, prefix) in wanted.into_iter().filter(|one| !present.contains(one)) {
        plan.add(
            Step::Address(out.name.clone(), ip, prefix),
            address::add(out.index, ip, prefix),
        );
    }
    plan_inner_address(socket, &mut plan, inside, own4)?;
    let mac = inside.mac.unwrap_or_default();
    for ip in next {
        plan.add(
            Step::Neighbour(ip),
            neighbour::set_permanent(out.index, ip, mac),
        );
    }
    plan.carry_out(socket)?;
    Ok(Admission {
        out: out.name.clone(),
        inside: inside.name.clone(),
        next_hop4: next4,
        next_hop6: NEXT6,
    })
}

/// Any IPv4 address will do: on a link that has none, the kernel's loose reverse path check fails whatever the routes say.
fn plan_inner_address(
    socket: &Socket,
    plan: &mut Plan,
    inside: &Link,
    own: Ipv4Addr,
) -> Result<(), Error> {
    let present = address::list(socket).map_err(|source| Error::Read {
        what: "addresses",
        source,
    })?;
    let is_there = present
        .iter()
        .any(|one| one.link == inside.index && one.address.is_ipv4());
    if !is_there {
        plan.add(
            Step::Address(inside.name.clone(), own.into(), 32),
            address::add(inside.index, own.into(), 32),
        );
    }
    Ok(())
}

fn plan_switches(plan: &mut Plan, out: &Link, inside: &Link, has_ipv6: bool) {
    let link_local = has_ipv6.then_some(false);
    let common = Change {
        alias: Some(MARK),
        link_local,
        ..Change::default()
    };
    let inner = Change {
        // What comes in here has come in elsewhere before: its source is behind another link. The kernel takes the
        // greater of this and of "all", and 2 (loose) is the greatest.
        ipv4: &[
            (Ipv4Switch::ReversePathFilter, 2),
            (Ipv4Switch::Forwarding, 1),
            (Ipv4Switch::SendRedirects, 0),
        ],
        ..common
    };
    let up = Change {
        up: Some(true),
        ..Change::default()
    };
    // Both are told how to behave before either has a carrier.
    for (link, change) in [(inside, inner), (out, common)] {
        plan.add(
            Step::Configure(link.name.clone()),
            link::change(link.index, &change),
        );
    }
    for link in [inside, out] {
        plan.add(
            Step::SetUp(link.name.clone()),
            link::change(link.index, &up),
        );
    }
}

/// The address that an earlier call gave.
fn own_link_local(present: &[(IpAddr, u8)]) -> Option<Ipv4Addr> {
    present.iter().find_map(|one| match one {
        (IpAddr::V4(v4), 30) if v4.is_link_local() && v4.to_bits() % 4 == 1 => Some(*v4),
        _ => None,
    })
}

/// The first address of a range of four in 169.254.0.0/16 that nobody uses.
///
/// Ranges wider than a /24 do not count: some hosts route all of 169.254.0.0/16 to a network where hardly anyone is. Left
/// out are the clouds' metadata services (169.254.169-171.x) and the first and last /24, which RFC 3927 reserves.
fn free_link_local(taken: &[Subnet]) -> Option<Ipv4Addr> {
    let taken: Vec<&Subnet> = taken.iter().filter(|range| range.prefix >= 24).collect();
    (77..=254u8)
        .chain(1..=76)
        .filter(|third| !(169..=171).contains(third))
        .flat_map(|third| (0..=252u8).step_by(4).map(move |last| (third, last)))
        .map(|(third, last)| Ipv4Addr::new(169, 254, third, last))
        .find(|first| {
            let range = Subnet {
                address: (*first).into(),
                prefix: 30,
            };
            !taken.iter().any(|other| other.overlaps(&range))
        })
        .map(|first| Ipv4Addr::from_bits(first.to_bits() + 1))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_free_range_keeps_clear_of_what_is_there() {
        let check = |taken: &[&str], expect: Option<[u8; 4]>| {
            let taken: Vec<Subnet> = taken
                .iter()
                .map(|text| text.parse().expect("a subnet"))
                .collect();
            assert_eq!(free_link_local(&taken), expect.map(Ipv4Addr::from));
        };
        check(&[], Some([169, 254, 77, 1]));
        check(&["169.254.0.0/16"], Some([169, 254, 77, 1]));
        check(&["169.254.77.2/32"], Some([169, 254, 77, 5]));
        check(&["169.254.77.0/24"], Some([169, 254, 78, 1]));
        let all: Vec<String> = (0..=255).map(|n| format!("169.254.{n}.0/24")).collect();
        check(&all.iter().map(String::as_str).collect::<Vec<_>>(), None);
    }
}
