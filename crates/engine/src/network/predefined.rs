//! The networks that are always there: `bridge`, `host`, `none`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::subnet::Subnet;

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

/// Their records, with what a former daemon has chosen for the bridge where this one was not told otherwise.
pub(crate) fn records(
    options: &NetworkOptions,
    bridge_name: &str,
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
    all.push(bridge);
    all
}

/// The record of the bridge as this daemon is told, with the ranges that a former one has chosen.
pub(crate) fn renewed(mut fresh: Record, former: &Record) -> Record {
    fresh.created_unix_nanos = former.created_unix_nanos;
    for pool in &former.pools {
        let is_v4 = pool.subnet.is_ipv4();
        let has_family = fresh.pools.iter().any(|p| p.subnet.is_ipv4() == is_v4);
        // What was asked for then is not asked for now.
        if !has_family && !pool.is_asked && (is_v4 || fresh.ipv6) {
            fresh.pools.push(pool.clone());
        }
    }
    fresh
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
    let asked = |subnet: &Subnet| Pool {
        subnet: subnet.masked(),
        range: None,
        gateway: subnet.address,
        reserved: BTreeMap::new(),
        is_asked: true,
    };
    options.bip.iter().map(asked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(options: &NetworkOptions) -> Option<Record> {
        let all = records(options, "estiva0", true, 5);
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
        assert_eq!(record.pools[0].gateway.to_string(), "10.9.0.1");
        options.bridge = DefaultBridge::None;
        assert_eq!(bridge(&options), None);
    }

    #[test]
    fn ranges_once_chosen_stay_and_ranges_once_asked_for_do_not() {
        let mut options = NetworkOptions::default();
        let mut former = bridge(&options).expect("there is one");
        former.pools = vec![Pool {
            subnet: "172.19.0.0/16".parse().expect("a subnet"),
            range: None,
            gateway: "172.19.0.1".parse().expect("an address"),
            reserved: BTreeMap::new(),
            is_asked: false,
        }];
        let fresh = || bridge(&NetworkOptions::default()).expect("there is one");
        assert_eq!(renewed(fresh(), &former).pools, former.pools);
        former.pools[0].is_asked = true;
        assert!(renewed(fresh(), &former).pools.is_empty());
        options.bip = vec!["10.9.0.1/24".parse().expect("a subnet")];
        let told = bridge(&options).expect("there is one");
        assert_eq!(renewed(told.clone(), &former).pools, told.pools);
    }

    #[test]
    fn ids_have_64_digits() {
        for name in ["bridge", "host", "none"] {
            assert!(id(name).parse::<ids::NetworkId>().is_ok(), "{name}");
        }
    }
}
