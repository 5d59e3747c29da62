//! A network to be made: from what the user wrote to a record, everything checked before anything is made.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::network::NetworkCreateRequest;
use network::subnet::Subnet;

use super::options::{BridgeOptions, GatewayMode};
use super::record::{Driver, is_predefined};
use crate::error::{Error, Result};

/// A range of addresses as asked for, checked in itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AskedPool {
    pub(crate) subnet: Option<Subnet>,
    pub(crate) range: Option<Subnet>,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) reserved: BTreeMap<String, IpAddr>,
}

/// What was asked for, understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) driver: Driver,
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
    pub(crate) pools: Vec<AskedPool>,
}

/// Checks a request in itself, in Docker's words. `host_has_ipv6` decides where the user does not.
///
/// # Errors
/// [`Error::Denied`] for predefined names, [`Error::NotFound`] for drivers, [`Error::Invalid`] for the rest.
pub(crate) fn check(new: &NetworkCreateRequest, host_has_ipv6: bool) -> Result<Asked> {
    if new.name.trim().is_empty() {
        return Err(Error::Invalid("invalid name: name is empty".into()));
    }
    // What stands in a line of a hosts file or a path of the API must be one word.
    if new.name.contains(|c: char| c.is_control() || c == '/') || new.name.len() > 255 {
        return Err(Error::Invalid(format!(
            "invalid name: {:?}: a name has no slashes or control characters and at most 255 bytes",
            new.name
        )));
    }
    if is_predefined(&new.name) || new.name.starts_with("container:") {
        return Err(Error::Denied(format!(
            "operation is not permitted on predefined {} network",
            new.name
        )));
    }
    if new.config_only && (new.internal || new.attachable) {
        return Err(Error::Denied(
            "configuration network can only contain network specific fields. Network operator fields like \
             [ ingress | internal | attachable | scope ] are not supported."
                .into(),
        ));
    }
    if new.ingress || new.scope == "swarm" {
        return Err(Error::Unavailable(
            "This node is not a swarm manager. Swarm networks are not in this engine: leave out --ingress and --scope".into(),
        ));
    }
    if !["", "local"].contains(&new.scope.as_str()) {
        return Err(Error::Invalid(format!(
            "invalid scope {:?}: local is the only one",
            new.scope
        )));
    }
    let driver = driver(new)?;
    let ipam = new.ipam.clone().unwrap_or_default();
    if !["", "default"].contains(&ipam.driver.as_str()) {
        return Err(Error::NotFound(format!(
            "plugin {:?} not found",
            ipam.driver
        )));
    }
    let asks_v6 = |pool: &api::network::IpamPool| pool.subnet.contains(':');
    let ipv6 = new.enable_ipv6.unwrap_or({
        // A subnet of IPv6 says as much as the flag.
        ipam.config.iter().any(asks_v6) || (host_has_ipv6 && driver == Driver::Bridge)
    });
    let ipv4 = new.enable_ipv4.unwrap_or(true);
    if !ipv4 && !ipv6 && !new.config_only {
        return Err(Error::Invalid(
            "IPv4 or IPv6 must be enabled for a network".into(),
        ));
    }
    let mut reasons = Vec::new();
    let mut pools = Vec::new();
    for config in &ipam.config {
        match pool(config, ipv6, &mut reasons) {
            Some(pool) if pool.subnet.is_some_and(|s| !s.is_ipv4()) && !ipv6 => {}
            Some(pool) => pools.push(pool),
            None => {}
        }
    }
    if !reasons.is_empty() {
        return Err(Error::Invalid(format!(
            "invalid network config:\n{}",
            reasons.join("\n")
        )));
    }
    if driver == Driver::Bridge {
        one_of_each_family(driver, &pools)?;
        let options = BridgeOptions::parse(&new.options)?;
        let modes = [options.mode4, options.mode6];
        if modes.contains(&GatewayMode::Isolated) && !new.internal {
            return Err(Error::Invalid(
                "gateway mode 'isolated' can only be used for an internal network".into(),
            ));
        }
    }
    Ok(Asked {
        driver,
        ipv4,
        ipv6,
        pools,
    })
}

/// Whether what is to come from another's configuration says nothing of the kind itself, in Docker's words.
///
/// # Errors
/// [`Error::Denied`].
pub(crate) fn check_borrowed(new: &NetworkCreateRequest) -> Result<()> {
    let ipam = new.ipam.as_ref();
    let has_ipam = ipam.is_some_and(|ipam| {
        let has_options = ipam.options.as_ref().is_some_and(|o| !o.is_empty());
        has_options || !ipam.config.is_empty() || !["", "default"].contains(&ipam.driver.as_str())
    });
    let why = if new.config_only {
        "a configuration network cannot depend on another configuration network"
    } else if has_ipam || new.enable_ipv6 == Some(true) || !new.labels.is_empty() {
        "user specified configurations are not supported if the network depends on a configuration network"
    } else if !new.options.is_empty() {
        "network driver options are not supported if the network depends on a configuration network"
    } else {
        return Ok(());
    };
    Err(Error::Denied(why.into()))
}

fn driver(new: &NetworkCreateRequest) -> Result<Driver> {
    if new.config_only {
        return Ok(Driver::Null);
    }
    match new.driver.as_str() {
        "" | "default" | "bridge" => Ok(Driver::Bridge),
        "macvlan" => Ok(Driver::Macvlan),
        name @ ("host" | "null") => Err(Error::Denied(format!(
            "only one instance of {name:?} network is allowed"
        ))),
        "ipvlan" => Ok(Driver::Ipvlan),
        "overlay" => Err(Error::Unavailable(
            "This node is not a swarm manager. Overlay networks are not in this engine: use the driver bridge".into(),
        )),
        other => Err(Error::NotFound(format!("plugin {other:?} not found"))),
    }
}

fn one_of_each_family(driver: Driver, pools: &[AskedPool]) -> Result<()> {
    let count = |v4: bool| {
        let is_of = |p: &&AskedPool| p.subnet.is_none_or(|s| s.is_ipv4()) == v4;
        pools.iter().filter(is_of).count()
    };
    if count(true) > 1 || count(false) > 1 {
        return Err(Error::Denied(format!(
            "{} driver doesn't support multiple subnets",
            driver.name()
        )));
    }
    Ok(())
}

fn pool(
    config: &api::network::IpamPool,
    ipv6: bool,
    reasons: &mut Vec<String>,
) -> Option<AskedPool> {
    let before = reasons.len();
    let subnet: Option<Subnet> = match config.subnet.as_str() {
        "" => None,
        text => match text.parse() {
            Ok(subnet) => Some(subnet),
            Err(_) => {
                reasons.push(format!(
                    "invalid subnet {text}: invalid CIDR block notation"
                ));
                return None;
            }
        },
    };
    if subnet.is_some_and(|s| !s.is_ipv4()) && !ipv6 {
        return Some(AskedPool {
            subnet,
            range: None,
            gateway: None,
            reserved: BTreeMap::new(),
        });
    }
    let range: Option<Subnet> = match config.ip_range.as_str() {
        "" => None,
        text => match text.parse() {
            Ok(range) => Some(range),
            Err(_) => {
                reasons.push(format!(
                    "invalid ip-range {text}: invalid CIDR block notation"
                ));
                None
            }
        },
    };
    let gateway: Option<IpAddr> = match config.gateway.as_str() {
        "" => None,
        text => match text.split('/').next().unwrap_or_default().parse() {
            Ok(gateway) => Some(gateway),
            Err(_) => {
                reasons.push(format!("invalid gateway {text}: invalid address"));
                None
            }
        },
    };
    let mut reserved = BTreeMap::new();
    for (name, text) in &config.auxiliary_addresses {
        match text.parse::<IpAddr>() {
            Ok(address) => drop(reserved.insert(name.clone(), address)),
            Err(_) => reasons.push(format!("invalid auxiliary address {name}: invalid address")),
        }
    }
    match subnet {
        None if range.is_some() || gateway.is_some() || !reserved.is_empty() => {
            reasons.push("invalid subnet : invalid CIDR block notation".into());
        }
        None => {}
        Some(subnet) => {
            let list: Vec<_> = reserved.iter().map(|(n, a)| (n.clone(), *a)).collect();
            if let Err(network::ipam::Error::Description { reasons: more }) =
                network::ipam::validate(&subnet, range.as_ref(), gateway, &list)
            {
                reasons.extend(more);
            }
        }
    }
    (reasons.len() == before).then_some(AskedPool {
        subnet,
        range,
        gateway,
        reserved,
    })
}

#[cfg(test)]
mod tests {
    use api::network::{Ipam, IpamPool};

    use super::*;

    fn with(pool: IpamPool) -> NetworkCreateRequest {
        NetworkCreateRequest {
            name: "n".into(),
            ipam: Some(Ipam {
                config: vec![pool],
                ..Ipam::default()
            }),
            ..NetworkCreateRequest::default()
        }
    }

    fn refused(new: &NetworkCreateRequest) -> String {
        check(new, false).expect_err("refused").to_string()
    }

    #[test]
    fn predefined_names_and_unknown_drivers_are_refused() {
        let new = |name: &str, driver: &str| NetworkCreateRequest {
            name: name.into(),
            driver: driver.into(),
            ..NetworkCreateRequest::default()
        };
        for name in ["bridge", "host", "none", "default"] {
            assert_eq!(
                refused(&new(name, "")),
                format!("operation is not permitted on predefined {name} network")
            );
        }
        assert_eq!(refused(&new("a", "foo")), "plugin \"foo\" not found");
        assert_eq!(refused(&new(" ", "")), "invalid name: name is empty");
        assert!(refused(&new("a/b", "")).starts_with("invalid name"));
    }

    #[test]
    fn bad_pools_are_told_all_at_once() {
        let subnet = |text: &str| IpamPool {
            subnet: text.into(),
            ..IpamPool::default()
        };
        assert_eq!(
            refused(&with(subnet("10.5"))),
            "invalid network config:\ninvalid subnet 10.5: invalid CIDR block notation"
        );
        assert_eq!(
            refused(&with(subnet("10.5.1.1/24"))),
            "invalid network config:\ninvalid subnet 10.5.1.1/24: it should be 10.5.1.0/24"
        );
        let mut pool = subnet("10.5.0.0/16");
        pool.gateway = "10.6.0.1".into();
        pool.ip_range = "x".into();
        assert_eq!(
            refused(&with(pool)),
            "invalid network config:\ninvalid ip-range x: invalid CIDR block notation\n\
             invalid gateway 10.6.0.1: parent subnet 10.5.0.0/16 doesn't contain this address"
        );
    }

    #[test]
    fn ipv6_is_on_where_the_host_has_it_or_the_user_says_so() {
        let mut new = NetworkCreateRequest {
            name: "n".into(),
            ..NetworkCreateRequest::default()
        };
        assert!(check(&new, true).is_ok_and(|asked| asked.ipv6));
        assert!(check(&new, false).is_ok_and(|asked| !asked.ipv6));
        new.enable_ipv6 = Some(false);
        assert!(check(&new, true).is_ok_and(|asked| !asked.ipv6));
        new.enable_ipv4 = Some(false);
        assert_eq!(refused(&new), "IPv4 or IPv6 must be enabled for a network");
        let v6 = with(IpamPool {
            subnet: "fd01::/64".into(),
            ..IpamPool::default()
        });
        assert!(check(&v6, false).is_ok_and(|asked| asked.ipv6));
    }
}
