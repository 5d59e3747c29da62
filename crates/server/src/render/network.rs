//! Networks, and what containers have of them, as the API shows them.

use std::collections::BTreeMap;

use api::container::{Port, PortBinding};
use api::network::{
    ConfigFrom, EndpointSettings, Ipam, IpamPool, Network, NetworkContainer, NetworkSettings,
};
use engine::container::View;
use engine::network::{Endpoint, Live, NetworkView, Pool};

use crate::when::rfc3339;

/// The network whose endpoint stands beside the others, too, for old clients.
const DEFAULT: &str = "bridge";

/// One network; its containers only where it is looked at alone.
pub(crate) fn network(view: &NetworkView, with_members: bool) -> Network {
    let record = &view.record;
    let members = view.members.iter().filter(|_| with_members);
    Network {
        name: record.name.clone(),
        id: record.id.clone(),
        created: rfc3339(record.created_unix_nanos),
        scope: "local".into(),
        driver: record.driver.name().into(),
        enable_ipv4: record.ipv4,
        enable_ipv6: record.ipv6,
        ipam: Ipam {
            driver: "default".into(),
            options: record.ipam_options.clone(),
            config: record.pools.iter().map(pool).collect(),
        },
        internal: record.internal,
        attachable: record.attachable,
        ingress: false,
        config_from: ConfigFrom {
            network: record.config_from.clone(),
        },
        config_only: record.config_only,
        containers: members
            .map(|member| {
                let container = NetworkContainer {
                    name: member.name.clone(),
                    endpoint_id: member.endpoint.endpoint_id.clone(),
                    mac_address: mac(&member.endpoint),
                    ipv4_address: with_prefix(member.endpoint.ipv4),
                    ipv6_address: with_prefix(member.endpoint.ipv6),
                };
                (member.container.clone(), container)
            })
            .collect(),
        options: record.options.clone(),
        labels: record.labels.clone(),
    }
}

fn pool(pool: &Pool) -> IpamPool {
    IpamPool {
        subnet: pool.subnet.to_string(),
        ip_range: pool.range.map(|r| r.to_string()).unwrap_or_default(),
        gateway: pool.gateway.map(|ip| ip.to_string()).unwrap_or_default(),
        auxiliary_addresses: pool
            .reserved
            .iter()
            .map(|(name, ip)| (name.clone(), ip.to_string()))
            .collect(),
    }
}

fn with_prefix<A: ToString>(address: Option<(A, u8)>) -> String {
    address.map_or_else(String::new, |(ip, prefix)| {
        format!("{}/{prefix}", ip.to_string())
    })
}

fn mac(endpoint: &Endpoint) -> String {
    // That of an ipvlan link is its parent's.
    match endpoint.interface.is_empty() || endpoint.mac == engine::network::Mac::default() {
        true => String::new(),
        false => endpoint.mac.to_string(),
    }
}

/// What `inspect` says of a container's networks.
pub(crate) fn settings(view: &View) -> NetworkSettings {
    let mut settings = NetworkSettings {
        networks: endpoints(view),
        ..NetworkSettings::default()
    };
    // Who shares another's network has none of its own to tell of.
    let is_own = !view.record.host.network_mode.starts_with("container:");
    if let Some(live) = view.network.as_ref().filter(|_| is_own) {
        settings.sandbox_id.clone_from(&live.sandbox_id);
        settings.ports = bindings(view, live);
        if let Some(pid) = view.record.state.pid() {
            settings.sandbox_key = format!("/proc/{pid}/ns/net");
        }
    }
    if let Some(own) = settings.networks.get(DEFAULT).cloned() {
        settings.endpoint_id = own.endpoint_id;
        settings.gateway = own.gateway;
        settings.global_ipv6_address = own.global_ipv6_address;
        settings.global_ipv6_prefix_len = own.global_ipv6_prefix_len;
        settings.ip_address = own.ip_address;
        settings.ip_prefix_len = own.ip_prefix_len;
        settings.ipv6_gateway = own.ipv6_gateway;
        settings.mac_address = own.mac_address;
    }
    settings
}

/// The endpoints by network name: as asked for, and while it runs as it is.
pub(crate) fn endpoints(view: &View) -> BTreeMap<String, EndpointSettings> {
    let asked = view.record.networking.endpoints_config.iter();
    asked
        .map(|(name, asked)| {
            let live = view
                .network
                .as_ref()
                .and_then(|live| live.endpoints.get(name));
            let shown = live.map_or_else(|| asked.clone(), |live| endpoint(asked, live));
            (name.clone(), shown)
        })
        .collect()
}

fn endpoint(asked: &EndpointSettings, live: &Endpoint) -> EndpointSettings {
    let text = |ip: Option<String>| ip.unwrap_or_default();
    EndpointSettings {
        mac_address: mac(live),
        network_id: live.network_id.clone(),
        endpoint_id: live.endpoint_id.clone(),
        gateway: text(live.gateway4.map(|ip| ip.to_string())),
        ip_address: text(live.ipv4.map(|(ip, _)| ip.to_string())),
        ip_prefix_len: live.ipv4.map_or(0, |(_, prefix)| prefix.into()),
        ipv6_gateway: text(live.gateway6.map(|ip| ip.to_string())),
        global_ipv6_address: text(live.ipv6.map(|(ip, _)| ip.to_string())),
        global_ipv6_prefix_len: live.ipv6.map_or(0, |(_, prefix)| prefix.into()),
        dns_names: live.names.clone(),
        ..asked.clone()
    }
}

/// Every exposed port of a running container; with null where it is not published.
fn bindings(view: &View, live: &Live) -> BTreeMap<String, Option<Vec<PortBinding>>> {
    let mut all: BTreeMap<String, Option<Vec<PortBinding>>> = BTreeMap::new();
    if live.endpoints.values().any(|e| !e.interface.is_empty()) {
        for port in view.exposed_ports() {
            all.insert(port, None);
        }
    }
    for (port, bindings) in live.bindings() {
        all.insert(port, Some(bindings));
    }
    all
}

/// The ports of a row of the list.
pub(crate) fn ports(view: &View) -> Vec<Port> {
    let Some(live) = &view.network else {
        return Vec::new();
    };
    let mut ports = Vec::new();
    for (key, bindings) in bindings(view, live) {
        let (private, kind) = key.split_once('/').unwrap_or((&key, "tcp"));
        let port = Port {
            private_port: private.parse().unwrap_or_default(),
            kind: kind.to_owned(),
            ..Port::default()
        };
        match bindings {
            None => ports.push(port),
            Some(bindings) => ports.extend(bindings.into_iter().map(|binding| Port {
                ip: binding.host_ip,
                public_port: binding.host_port.parse().unwrap_or_default(),
                ..port.clone()
            })),
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::network::{Driver, Mac, Member, Record};
    use serde_json::{Value, json};

    use super::*;

    fn live_endpoint() -> Endpoint {
        Endpoint {
            network_id: "c5ce".into(),
            endpoint_id: "d095".into(),
            interface: "eth0".into(),
            host_name: "veth1".into(),
            mac: Mac([2, 0x42, 10, 0x4d, 0, 9]),
            ipv4: Some(([10, 77, 0, 9].into(), 24)),
            ipv6: None,
            link_local: Vec::new(),
            gateway4: Some([10, 77, 0, 1].into()),
            gateway6: None,
            priority: 0,
            names: vec!["c1".into(), "al".into()],
        }
    }

    /// A network as docker tells it, but for the fields that came after 20.10.
    #[test]
    fn a_network_is_told_as_docker_tells_it() {
        let view = NetworkView {
            record: Arc::new(Record {
                version: 1,
                id: "c5ce".into(),
                name: "n1".into(),
                created_unix_nanos: 1_795_229_919_155_531_795,
                driver: Driver::Bridge,
                ipv4: true,
                ipv6: false,
                internal: false,
                attachable: false,
                config_only: false,
                config_from: String::new(),
                options: BTreeMap::new(),
                labels: [("x".to_owned(), "y".to_owned())].into(),
                ipam_options: Some(BTreeMap::new()),
                pools: vec![Pool {
                    subnet: "10.77.0.0/24".parse().expect("a subnet"),
                    range: None,
                    gateway: Some([10, 77, 0, 1].into()),
                    reserved: BTreeMap::new(),
                    is_asked: true,
                }],
            }),
            members: vec![Member {
                container: "1460".into(),
                name: "c1".into(),
                endpoint: live_endpoint(),
            }],
        };
        let expect: Value = json!({
            "Name": "n1", "Id": "c5ce", "Created": "2026-11-21T02:58:39.155531795Z", "Scope": "local",
            "Driver": "bridge", "EnableIPv4": true, "EnableIPv6": false,
            "IPAM": {"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.77.0.0/24", "Gateway": "10.77.0.1"}]},
            "Internal": false, "Attachable": false, "Ingress": false, "ConfigFrom": {"Network": ""}, "ConfigOnly": false,
            "Containers": {"1460": {"Name": "c1", "EndpointID": "d095", "MacAddress": "02:42:0a:4d:00:09",
                "IPv4Address": "10.77.0.9/24", "IPv6Address": ""}},
            "Options": {}, "Labels": {"x": "y"},
        });
        let told = serde_json::to_value(network(&view, true)).expect("serialisable");
        assert_eq!(told, expect);
        assert!(network(&view, false).containers.is_empty());
    }

    #[test]
    fn an_endpoint_is_told_with_what_was_asked_and_what_was_given() {
        let asked = EndpointSettings {
            aliases: vec!["al".into()],
            ..EndpointSettings::default()
        };
        let told = serde_json::to_value(endpoint(&asked, &live_endpoint())).expect("serialisable");
        assert_eq!(
            told,
            json!({
                "IPAMConfig": null, "Links": null, "Aliases": ["al"], "MacAddress": "02:42:0a:4d:00:09", "DriverOpts": null,
                "GwPriority": 0, "NetworkID": "c5ce", "EndpointID": "d095", "Gateway": "10.77.0.1", "IPAddress": "10.77.0.9",
                "IPPrefixLen": 24, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
                "DNSNames": ["c1", "al"],
            })
        );
    }
}
