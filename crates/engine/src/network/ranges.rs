//! Which ranges of addresses a network gets: what was asked for is checked, what was not is chosen. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::ipam::{self, Ula};
use network::subnet::Subnet;

use super::predefined::BRIDGE;
use super::record::{Driver, Pool, Record};
use super::request::AskedPool;
use crate::error::{Error, Result};

/// Where ranges are chosen from.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// The daemon's own prefix of IPv6.
    pub(crate) ula: Ula,
    /// Blocks to cut subnets from with the size of each; empty: Docker's.
    pub(crate) blocks: Vec<(Subnet, u8)>,
}

/// Whether every family of the network has a range.
pub(crate) fn is_complete(record: &Record) -> bool {
    let has = |v4: bool| record.pools.iter().any(|p| p.subnet.is_ipv4() == v4);
    record.driver != Driver::Bridge || (!record.ipv4 || has(true)) && (!record.ipv6 || has(false))
}

/// The record with ranges for its families: those it has where they are free, others where nobody asked for just these.
///
/// `host` is what the host routes and has addresses in, `ours` what our other networks have.
///
/// # Errors
/// A range that was asked for is in use; none is left.
pub(crate) fn settled(
    record: &Record,
    host: &[Subnet],
    ours: &[Subnet],
    choice: &Choice,
) -> Result<Record> {
    let mut settled = record.clone();
    let mut taken: Vec<Subnet> = host.iter().chain(ours).copied().collect();
    settled.pools.clear();
    for pool in &record.pools {
        if pool.is_asked {
            // A network on a link of the host's is to be in the network that this one is in.
            let host = if record.is_on_link() { &[] } else { host };
            let own: Vec<Subnet> = settled.pools.iter().map(|p| p.subnet).collect();
            require_free(&pool.subnet, host, &[ours, &own].concat())?;
        } else if ipam::conflicts(&pool.subnet, &taken).is_some() {
            tracing::info!(network = record.name, subnet = %pool.subnet, "in use elsewhere by now: another one is chosen");
            continue;
        }
        taken.push(pool.subnet);
        settled.pools.push(pool.clone());
    }
    for (v4, wanted) in [(true, record.ipv4), (false, record.ipv6)] {
        if wanted && !settled.pools.iter().any(|p| p.subnet.is_ipv4() == v4) {
            let subnet = choose(&taken, v4, record.name == BRIDGE, choice)?;
            taken.push(subnet);
            settled.pools.push(whole(subnet, record)?);
        }
    }
    Ok(settled)
}

/// A pool as asked for, its gateway settled; `None` when the subnet is still to be chosen.
pub(crate) fn asked(record: &Record, pool: &AskedPool) -> Result<Option<Pool>> {
    let Some(subnet) = pool.subnet else {
        return Ok(None);
    };
    let reserved: Vec<_> = pool.reserved.iter().map(|(n, a)| (n.clone(), *a)).collect();
    let made = match (pool.gateway, record.needs_gateways()) {
        (None, false) => ipam::Pool::without_gateway(subnet, pool.range, &reserved)?,
        (gateway, _) => ipam::Pool::new(subnet, pool.range, gateway, &reserved)?,
    };
    Ok(Some(Pool {
        subnet,
        range: pool.range,
        gateway: made.gateway(),
        reserved: pool.reserved.clone(),
        is_asked: true,
    }))
}

/// A range that is asked for may lie in a wider route of the host's, whose packets it then takes; it may not contain what
/// the host is at already, nor meet another network of ours.
pub(crate) fn require_free(wanted: &Subnet, host: &[Subnet], ours: &[Subnet]) -> Result<()> {
    if let Some(other) = ipam::conflicts(wanted, ours) {
        return Err(ipam::Error::Overlap {
            wanted: *wanted,
            other,
        }
        .into());
    }
    let is_inside = |other: &&Subnet| other.prefix >= wanted.prefix && wanted.overlaps(other);
    match host.iter().find(is_inside) {
        Some(other) => Err(Error::Denied(format!(
            "invalid pool request: Pool overlaps with other one on this address space: this host has {other}"
        ))),
        None => Ok(()),
    }
}

/// The ranges of a bridge that has these addresses: the first of each family counts.
pub(crate) fn of_addresses(addresses: &[(IpAddr, u8)]) -> Vec<Pool> {
    let of_family = |v4: bool| {
        let usable = |(ip, _): &&(IpAddr, u8)| match ip {
            IpAddr::V4(_) => v4,
            IpAddr::V6(ip) => !v4 && !ip.is_unicast_link_local(),
        };
        addresses.iter().find(usable)
    };
    [of_family(true), of_family(false)]
        .into_iter()
        .flatten()
        .filter_map(|(ip, prefix)| {
            let subnet = Subnet::new(*ip, *prefix)?.masked();
            Some(Pool {
                subnet,
                range: None,
                gateway: Some(*ip),
                reserved: BTreeMap::new(),
                is_asked: true,
            })
        })
        .collect()
}

fn choose(taken: &[Subnet], v4: bool, is_default: bool, choice: &Choice) -> Result<Subnet> {
    if !v4 {
        return Ok(ipam::choose(taken, Some(choice.ula))?);
    }
    if !choice.blocks.is_empty() {
        return from_blocks(taken, &choice.blocks);
    }
    Ok(match is_default {
        true => ipam::choose_default(taken)?,
        false => ipam::choose(taken, None)?,
    })
}

fn from_blocks(taken: &[Subnet], blocks: &[(Subnet, u8)]) -> Result<Subnet> {
    for (block, size) in blocks {
        let step = 1u128 << (32 - u32::from(*size));
        let count = 1u128 << (size - block.prefix);
        let parts = (0..count).filter_map(|n| Subnet::new(block.nth(n * step)?, *size));
        for part in parts {
            if ipam::conflicts(&part, taken).is_none() {
                return Ok(part);
            }
        }
    }
    Err(ipam::Error::NoSubnet.into())
}

fn whole(subnet: Subnet, record: &Record) -> Result<Pool> {
    let made = match record.needs_gateways() {
        true => ipam::Pool::new(subnet, None, None, &[])?,
        false => ipam::Pool::without_gateway(subnet, None, &[])?,
    };
    Ok(Pool {
        subnet,
        range: None,
        gateway: made.gateway(),
        reserved: BTreeMap::new(),
        is_asked: false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a subnet")
    }

    fn subnets(list: &[&str]) -> Vec<Subnet> {
        list.iter().map(|text| subnet(text)).collect()
    }

    fn choice(blocks: &[(&str, u8)]) -> Choice {
        Choice {
            ula: Ula::of("fd12:3456:789a::".parse().expect("an address")).expect("a local one"),
            blocks: blocks.iter().map(|(b, size)| (subnet(b), *size)).collect(),
        }
    }

    fn gateway(pool: &Pool) -> String {
        pool.gateway
            .map_or_else(|| "none".into(), |ip| ip.to_string())
    }

    fn shown(record: &Record) -> Vec<String> {
        let show = |p: &Pool| format!("{} {}", p.subnet, gateway(p));
        record.pools.iter().map(show).collect()
    }

    #[test]
    fn what_is_missing_is_chosen_beside_what_is_there() {
        let mut record = record("n");
        record.pools.clear();
        record.ipv6 = true;
        assert!(!is_complete(&record));
        let host = subnets(&["172.18.0.0/16", "0.0.0.0/0"]);
        let settled = settled(&record, &host, &[], &choice(&[])).expect("free");
        assert_eq!(
            shown(&settled),
            [
                "172.19.0.0/16 172.19.0.1",
                "fd12:3456:789a::/64 fd12:3456:789a::1"
            ]
        );
        assert!(is_complete(&settled));
    }

    #[test]
    fn a_chosen_range_moves_when_the_host_routes_it_elsewhere_and_an_asked_one_does_not() {
        let mut record = record("n");
        let host = subnets(&["10.1.0.0/16", "10.1.0.0/24"]);
        let refused = settled(&record, &host, &[], &choice(&[])).expect_err("in use");
        assert!(
            refused.to_string().ends_with("this host has 10.1.0.0/24"),
            "{refused}"
        );
        record.pools[0].is_asked = false;
        let moved = settled(&record, &host, &[], &choice(&[])).expect("free");
        assert_eq!(shown(&moved), ["172.18.0.0/16 172.18.0.1"]);
    }

    #[test]
    fn an_asked_range_may_lie_in_a_wider_route_but_not_in_ours() {
        let wanted = subnet("10.5.0.0/24");
        assert!(require_free(&wanted, &subnets(&["10.0.0.0/8"]), &[]).is_ok());
        assert!(require_free(&wanted, &subnets(&["10.5.0.128/25"]), &[]).is_err());
        let ours = require_free(&wanted, &[], &subnets(&["10.5.0.0/16"]));
        assert_eq!(
            ours.expect_err("ours").to_string(),
            "invalid pool request: Pool overlaps with other one on this address space: \
             10.5.0.0/24 and 10.5.0.0/16, which is in use"
        );
    }

    #[test]
    fn several_ranges_of_one_network_do_not_meet_and_a_closed_one_has_no_gateway() {
        let mut record = record("n");
        record.driver = Driver::Macvlan;
        record.options.insert("parent".into(), "eth0".into());
        let ask = |text: &str| AskedPool {
            subnet: Some(subnet(text)),
            range: None,
            gateway: None,
            reserved: BTreeMap::new(),
        };
        let second = asked(&record, &ask("10.1.1.0/24")).expect("valid");
        record.pools.extend(second);
        let settled_as = |record: &Record| settled(record, &[], &[], &choice(&[]));
        let both = settled_as(&record).expect("free");
        assert_eq!(
            shown(&both),
            ["10.1.0.0/24 10.1.0.1", "10.1.1.0/24 10.1.1.1"]
        );
        record.internal = true;
        let third = asked(&record, &ask("10.1.0.128/25")).expect("valid");
        assert_eq!(third.as_ref().and_then(|p| p.gateway), None);
        record.pools.extend(third);
        let meets = settled_as(&record).expect_err("it is in the first");
        assert!(meets.to_string().contains("10.1.0.0/24"), "{meets}");
        record.pools.clear();
        assert_eq!(
            shown(&settled_as(&record).expect("free")),
            ["172.18.0.0/16 none"]
        );
    }

    #[test]
    fn blocks_of_the_daemon_are_cut_in_order() {
        let blocks = choice(&[("10.20.0.0/23", 24), ("10.30.0.0/24", 24)]);
        let mut taken = Vec::new();
        for expect in ["10.20.0.0/24", "10.20.1.0/24", "10.30.0.0/24"] {
            let found = choose(&taken, true, false, &blocks).expect("free");
            assert_eq!(found.to_string(), expect);
            taken.push(found);
        }
        assert!(choose(&taken, true, false, &blocks).is_err());
    }

    #[test]
    fn a_foreign_bridge_has_the_ranges_of_its_addresses() {
        let addresses = [
            ("fe80::1", 64),
            ("10.7.0.9", 24),
            ("10.8.0.1", 24),
            ("fd00::9", 64),
        ];
        let addresses = addresses.map(|(ip, n)| (ip.parse().expect("an address"), n));
        let found: Vec<_> = of_addresses(&addresses)
            .iter()
            .map(|p| format!("{} {}", p.subnet, gateway(p)))
            .collect();
        assert_eq!(found, ["10.7.0.0/24 10.7.0.9", "fd00::/64 fd00::9"]);
    }
}
