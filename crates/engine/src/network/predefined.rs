//! The networks that are always there: `bridge`, `host`, `none`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::subnet::Subnet;

use super::ranges;
use super::record::{Driver, Pool, Record, VERSION};
use crate::options::{DefaultBridge, NetworkOptions};

/// The name of the network that containers join when they name none.
pub(crate) const BRIDGE: &str = "bridge";

/// The same on every engine: what stands behind these names is not made by anyone.
#[must_use]
pub fn id(name: &str) -> String {
    let mut id = String::new();
    for byte in name.bytes().cycle().take(32) {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

/// Their records. Nothing of them is written down: the bridge's ranges are the daemon's options', those of the bridge that
/// is there, or else chosen when it is made.
pub(crate) fn records(
    options: &NetworkOptions,
    bridge_name: &str,
    addresses: &[(IpAddr, u8)],
    has_ipv6: bool,
    now: i64,
) -> Vec<Record> {
    let mut all = vec![
        plain("host", Driver::Host, now),
        plain("none", Driver::Null, now),
    ];
    if options.bridge == DefaultBridge::None {
        return all;
    }
    let mut bridge = plain(BRIDGE, Driver::Bridge, now);
    bridge.ipv6 = options.ipv6.unwrap_or(has_ipv6);
    bridge.options = bridge_options(options, bridge_name);
    bridge.pools = asked_pools(options);
    let found = found_pools(&bridge, addresses);
    bridge.pools.extend(found);
    all.push(bridge);
    all
}

/// The ranges of a bridge of ours that a former daemon has left for its containers: they have them still.
fn found_pools(record: &Record, addresses: &[(IpAddr, u8)]) -> Vec<Pool> {
    let is_free = |pool: &Pool| {
        let is_v4 = pool.subnet.is_ipv4();
        let has_family = record.pools.iter().any(|p| p.subnet.is_ipv4() == is_v4);
        !has_family && (is_v4 || record.ipv6)
    };
    let found = ranges::of_addresses(addresses).into_iter();
    found
        .filter(is_free)
        .map(|pool| Pool {
            is_asked: false,
            ..pool
        })
        .collect()
}

fn plain(name: &str, driver: Driver, now: i64) -> Record {
    Record {
        version: VERSION,
        id: id(name),
        name: name.into(),
        created_unix_nanos: now,
        driver,
        ipv4: true,
        ipv6: false,
        internal: false,
        attachable: false,
        config_only: false,
        config_from: String::new(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
        ipam_options: None,
        pools: Vec::new(),
    }
}

fn bridge_options(options: &NetworkOptions, name: &str) -> BTreeMap<String, String> {
    let binding = options
        .host_ip
        .unwrap_or_else(|| IpAddr::from([0, 0, 0, 0]));
    let mut all: BTreeMap<String, String> = [
        (
            "com.docker.network.bridge.default_bridge",
            "true".to_owned(),
        ),
        (
            "com.docker.network.bridge.enable_icc",
            options.icc.to_string(),
        ),
        (
            "com.docker.network.bridge.enable_ip_masquerade",
            options.masquerade.to_string(),
        ),
        (
            "com.docker.network.bridge.host_binding_ipv4",
            binding.to_string(),
        ),
        ("com.docker.network.bridge.name", name.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if let Some(mtu) = options.mtu {
        all.insert("com.docker.network.driver.mtu".into(), mtu.to_string());
    }
    all
}

fn asked_pools(options: &NetworkOptions) -> Vec<Pool> {
    let asked = |subnet: Subnet, gateway: IpAddr| Pool {
        subnet,
        range: None,
        gateway: Some(gateway),
        reserved: BTreeMap::new(),
        is_asked: true,
    };
    let own = options
        .bip
        .iter()
        .map(|bip| asked(bip.masked(), bip.address));
    let mut pools: Vec<Pool> = own.collect();
    for fixed in &options.fixed_cidr {
        // Without an address of the bridge the part is the whole.
        if !pools.iter().any(|p| p.subnet.is_ipv4() == fixed.is_ipv4()) {
            pools.push(asked(fixed.masked(), first(fixed)));
        }
    }
    narrow(&mut pools, options);
    pools
}

/// Brings the part that addresses come from, and the way out, to the subnets they lie in.
pub(super) fn narrow(pools: &mut [Pool], options: &NetworkOptions) {
    for pool in pools {
        let lies_in = |ip: IpAddr| pool.subnet.contains(ip);
        let fixed = options.fixed_cidr.iter().find(|f| lies_in(f.address));
        pool.range = fixed
            .map(Subnet::masked)
            .filter(|range| range.prefix > pool.subnet.prefix);
        if let Some(gateway) = options.default_gateway.iter().find(|ip| lies_in(**ip))
            && Some(*gateway) != pool.gateway
        {
            let key = super::record::router_key(gateway.is_ipv4());
            pool.reserved.insert(key.into(), *gateway);
        }
    }
}

/// The first address of a subnet that a link can have.
fn first(subnet: &Subnet) -> IpAddr {
    match subnet.network() {
        IpAddr::V4(ip) => IpAddr::from(std::net::Ipv4Addr::from_bits(ip.to_bits() + 1)),
        IpAddr::V6(ip) => IpAddr::from(std::net::Ipv6Addr::from_bits(ip.to_bits() + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ip: Option<IpAddr>) -> String {
        ip.expect("a bridge has one").to_string()
    }

    fn bridge(options: &NetworkOptions) -> Option<Record> {
        let all = records(options, "estiva0", &[], true, 5);
        all.into_iter().find(|record| record.name == BRIDGE)
    }

    #[test]
    fn the_bridge_is_as_the_daemon_is_told() {
        let mut options = NetworkOptions::default();
        let record = bridge(&options).expect("there is one");
        assert!(record.ipv6 && record.pools.is_empty());
        assert_eq!(record.options["com.docker.network.bridge.name"], "estiva0");
        options.bip = vec!["10.9.0.1/24".parse().expect("a subnet")];
        let record = bridge(&options).expect("there is one");
        assert_eq!(record.pools[0].subnet.to_string(), "10.9.0.0/24");
        assert_eq!(shown(record.pools[0].gateway), "10.9.0.1");
        options.bridge = DefaultBridge::None;
        assert_eq!(bridge(&options), None);
    }

    #[test]
    fn a_part_of_the_bridge_and_another_way_out() {
        let subnet = |text: &str| text.parse().expect("a subnet");
        let mut options = NetworkOptions {
            bip: vec![subnet("10.9.0.1/16")],
            fixed_cidr: vec![subnet("10.9.7.0/24"), subnet("fd00:7::/80")],
            default_gateway: vec!["10.9.0.254".parse().expect("an address")],
            ..NetworkOptions::default()
        };
        let pools = bridge(&options).expect("there is one").pools;
        assert_eq!(pools[0].range, Some(subnet("10.9.7.0/24")));
        assert_eq!(shown(pools[0].router()), "10.9.0.254");
        assert_eq!(shown(pools[0].gateway), "10.9.0.1");
        let six = (pools[1].subnet.to_string(), shown(pools[1].gateway));
        assert_eq!(six, ("fd00:7::/80".into(), "fd00:7::1".into()));
        assert_eq!(pools[1].range, None);
        options.bip.clear();
        let pools = bridge(&options).expect("there is one").pools;
        assert_eq!(pools[0].subnet, subnet("10.9.7.0/24"));
    }

    #[test]
    fn a_bridge_that_is_there_has_its_ranges_where_nothing_else_is_asked_for() {
        let there = [("172.19.0.1", 16), ("fe80::1", 64), ("fd00:5::1", 64)];
        let there = there.map(|(ip, n)| (ip.parse().expect("an address"), n));
        let found = |options: &NetworkOptions| {
            let all = records(options, "estiva0", &there, true, 5);
            let bridge = all.into_iter().find(|r| r.name == BRIDGE).expect("there");
            let show = |p: &Pool| (p.subnet.to_string(), p.is_asked);
            bridge.pools.iter().map(show).collect::<Vec<_>>()
        };
        let own = |text: &str, is_asked| (text.to_owned(), is_asked);
        let mut options = NetworkOptions::default();
        assert_eq!(
            found(&options),
            [own("172.19.0.0/16", false), own("fd00:5::/64", false)]
        );
        options.bip = vec!["10.9.0.1/24".parse().expect("a subnet")];
        options.ipv6 = Some(false);
        assert_eq!(found(&options), [own("10.9.0.0/24", true)]);
    }

    #[test]
    fn ids_have_64_digits() {
        for name in ["bridge", "host", "none"] {
            assert!(id(name).parse::<ids::NetworkId>().is_ok(), "{name}");
        }
    }
}
