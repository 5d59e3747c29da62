//! What a network or an endpoint puts into the sets. Pure.

use std::net::{IpAddr, Ipv6Addr};

use netlink::nft::{Element, Family, Key};

use crate::firewall::plan::{bridged, routed};
use crate::firewall::{Endpoint, Net, Port};
use crate::subnet::Subnet;

/// An element and the set that it belongs into.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Placed {
    pub(super) family: Family,
    pub(super) set: &'static str,
    pub(super) element: Element,
}

impl Placed {
    /// Whether there cannot be both, unless they are the same.
    pub(super) fn is_at_place_of(&self, other: &Self) -> bool {
        (self.family, self.set) == (other.family, other.set)
            && self.element.key == other.element.key
            && self.element != other.element
    }
}

fn placed(family: Family, set: &'static str, element: Element) -> Placed {
    Placed {
        family,
        set,
        element,
    }
}

/// The family of routed packets to an address.
fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ip,
        IpAddr::V6(_) => Family::Ip6,
    }
}

/// Of a network: its bridge, in both families whatever its subnets are, and the subnets.
pub(super) fn of_network(network: &Net) -> Vec<Placed> {
    let mut elements = Vec::new();
    let bridge = || Key::new().interface(&network.bridge);
    for family in [Family::Ip, Family::Ip6] {
        elements.push(placed(family, routed::BRIDGES, Element::one(bridge())));
        if network.internal {
            elements.push(placed(family, routed::INTERNAL, Element::one(bridge())));
        }
        if network.icc {
            let itself = bridge().interface(&network.bridge);
            elements.push(placed(family, routed::TALKING, Element::one(itself)));
        }
    }
    for subnet in &network.subnets {
        elements.extend(of_subnet(network, subnet));
    }
    for gateway in &network.gateways {
        elements.push(assigned(*gateway));
    }
    elements
}

fn of_subnet(network: &Net, subnet: &Subnet) -> Vec<Placed> {
    let family = family_of(subnet.address);
    let first = || Key::new().address(subnet.network());
    let last = || Key::new().address(subnet.broadcast());
    let mut elements = vec![
        placed(
            family,
            routed::AT_HOME,
            Element::range(
                first().interface(&network.bridge),
                last().interface(&network.bridge),
            ),
        ),
        placed(
            family,
            routed::HAIRPIN,
            Element::range(
                first().address(subnet.network()),
                last().address(subnet.broadcast()),
            ),
        ),
    ];
    let all = || Element::range(first(), last());
    if network.routed.contains(subnet) {
        elements.push(placed(family, routed::ROUTED, all()));
    } else if network.masquerade {
        elements.push(placed(family, routed::MASQUERADED, all()));
    }
    if network.unprotected.contains(subnet) {
        elements.push(placed(family, routed::UNPROTECTED, all()));
    }
    elements
}

/// Of an endpoint: what it may call itself on its network's bridge, and its ports.
pub(super) fn of_endpoint(
    endpoint: &Endpoint,
    network: Option<&Net>,
    ports: &[Port],
) -> Vec<Placed> {
    let bridge = Family::Bridge;
    let wire = || Key::new().interface(&endpoint.host_name);
    let mac = endpoint.mac;
    let mut elements = vec![
        placed(bridge, bridged::WIRES, Element::one(wire())),
        placed(
            bridge,
            bridged::ASSIGNED_MAC,
            Element::one(Key::new().mac(mac)),
        ),
        placed(bridge, bridged::OWNERS_MAC, Element::one(wire().mac(mac))),
    ];
    if network.is_some_and(|network| !network.icc) {
        elements.push(placed(bridge, bridged::QUIET, Element::one(wire())));
    }
    let link_local = endpoint
        .addresses
        .iter()
        .any(IpAddr::is_ipv6)
        .then(|| IpAddr::V6(link_local_of(mac)));
    for address in endpoint.addresses.iter().copied().chain(link_local) {
        let (owners, honest) = match address {
            IpAddr::V4(_) => (bridged::OWNERS4, bridged::HONEST4),
            IpAddr::V6(_) => (bridged::OWNERS6, bridged::HONEST6),
        };
        elements.push(assigned(address));
        elements.push(placed(
            bridge,
            owners,
            Element::one(wire().address(address)),
        ));
        elements.push(placed(
            bridge,
            honest,
            Element::one(wire().mac(mac).address(address)),
        ));
    }
    for address in &endpoint.addresses {
        let at_home = |network: &Net| {
            let key = Key::new().interface(&network.bridge).address(*address);
            placed(family_of(*address), routed::HONEST, Element::one(key))
        };
        elements.extend(network.map(at_home));
    }
    for port in ports {
        elements.extend(of_port(port));
    }
    elements
}

/// The address is someone's.
fn assigned(address: IpAddr) -> Placed {
    let set = match address {
        IpAddr::V4(_) => bridged::ASSIGNED4,
        IpAddr::V6(_) => bridged::ASSIGNED6,
    };
    placed(
        Family::Bridge,
        set,
        Element::one(Key::new().address(address)),
    )
}

/// A port is in three sets: that it leads somewhere, whereto, and for whom it leads back.
pub(super) fn of_port(port: &Port) -> Vec<Placed> {
    let family = family_of(port.target.ip());
    let target = Key::new()
        .address(port.target.ip())
        .port(port.target.port());
    if port.host_port == 0 {
        let itself = Key::new().address(port.target.ip());
        let itself = itself
            .protocol(port.proto.number())
            .port(port.target.port());
        return vec![placed(family, routed::OPEN, Element::one(itself))];
    }
    let (published, ports, key) = match port.host {
        // Connections to loopback addresses are the userland proxy's.
        Some(host) if host.is_loopback() => return Vec::new(),
        // So are those that come in by the other family.
        Some(host) if family_of(host) != family => return Vec::new(),
        Some(host) if !host.is_unspecified() => (
            routed::PUBLISHED_AT,
            routed::PORTS_AT,
            Key::new().address(host),
        ),
        _ => (routed::PUBLISHED, routed::PORTS, Key::new()),
    };
    let numbered = |key: Key| key.protocol(port.proto.number()).port(port.host_port);
    let itself = numbered(Key::new().address(port.target.ip()));
    let key = numbered(key);
    vec![
        placed(family, routed::TO_ITSELF, Element::one(itself)),
        placed(family, published, Element::one(key.clone())),
        placed(family, ports, Element::leading_to(key, target)),
    ]
}

/// The link-local address that the kernel makes from a hardware address. RFC 4291, appendix A.
fn link_local_of(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let interface = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&[0xfe, 0x80]);
    octets[8..].copy_from_slice(&interface);
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::Protocol;

    fn port(host: Option<&str>, target: &str) -> Port {
        Port {
            host: host.map(|host| host.parse().expect("address")),
            proto: Protocol::Tcp,
            host_port: 8080,
            target: target.parse().expect("socket address"),
        }
    }

    fn sets_of(host: Option<&str>, target: &str) -> Vec<(Family, &'static str)> {
        of_port(&port(host, target))
            .into_iter()
            .map(|placed| (placed.family, placed.set))
            .collect()
    }

    #[test]
    fn a_port_goes_where_its_host_address_says() {
        let wildcard = [
            (Family::Ip, routed::TO_ITSELF),
            (Family::Ip, routed::PUBLISHED),
            (Family::Ip, routed::PORTS),
        ];
        assert_eq!(sets_of(None, "172.17.0.2:80"), wildcard);
        assert_eq!(sets_of(Some("0.0.0.0"), "172.17.0.2:80"), wildcard);
        assert_eq!(
            sets_of(Some("10.0.0.1"), "172.17.0.2:80"),
            [
                (Family::Ip, routed::TO_ITSELF),
                (Family::Ip, routed::PUBLISHED_AT),
                (Family::Ip, routed::PORTS_AT)
            ]
        );
        assert_eq!(
            sets_of(Some("::"), "[fd00::2]:80"),
            [
                (Family::Ip6, routed::TO_ITSELF),
                (Family::Ip6, routed::PUBLISHED),
                (Family::Ip6, routed::PORTS)
            ]
        );
    }

    #[test]
    fn a_port_of_no_host_is_the_containers_own() {
        let mut port = port(None, "[fd00::2]:80");
        port.host_port = 0;
        let placed = of_port(&port);
        assert_eq!(placed.len(), 1);
        assert_eq!(
            (placed[0].family, placed[0].set),
            (Family::Ip6, routed::OPEN)
        );
    }

    #[test]
    fn loopback_and_the_other_family_are_left_to_the_proxy() {
        assert_eq!(sets_of(Some("127.0.0.1"), "172.17.0.2:80"), []);
        assert_eq!(sets_of(Some("::1"), "[fd00::2]:80"), []);
        assert_eq!(sets_of(Some("::"), "172.17.0.2:80"), []);
    }

    #[test]
    fn the_link_local_address_is_the_kernels() {
        assert_eq!(
            link_local_of([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]).to_string(),
            "fe80::42:acff:fe11:2"
        );
    }
}
