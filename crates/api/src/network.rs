//! Networks and what a container has of them.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize};

use crate::container::PortBinding;
use crate::wire::Empty;

wire! {
    /// The networks a new container joins.
    #[serde(rename_all = "PascalCase")]
    pub struct NetworkingConfig {
        /// Endpoints by network name.
        #[serde(serialize_with = "crate::wire::null")]
        pub endpoints_config: Endpoints,
    }

    /// A container's end of a network.
    #[serde(rename_all = "PascalCase")]
    pub struct EndpointSettings {
        /// Fixed addresses asked for.
        #[serde(rename = "IPAMConfig")]
        pub ipam_config: Option<EndpointIpam>,
        /// Links of the old kind.
        #[serde(serialize_with = "crate::wire::null")]
        pub links: Vec<String>,
        /// Names in this network asked for.
        #[serde(serialize_with = "crate::wire::null")]
        pub aliases: Vec<String>,
        /// The MAC address.
        pub mac_address: String,
        /// The driver's options.
        #[serde(serialize_with = "crate::wire::null")]
        pub driver_opts: BTreeMap<String, String>,
        /// The highest gives the default route.
        pub gw_priority: i64,
        /// The network's id.
        #[serde(rename = "NetworkID")]
        pub network_id: String,
        /// The endpoint's id.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// The IPv4 gateway.
        pub gateway: String,
        /// The IPv4 address.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// Its prefix length.
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        /// The IPv6 gateway.
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        /// The IPv6 address.
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        /// Its prefix length.
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// All names that resolve to it.
        #[serde(rename = "DNSNames", serialize_with = "crate::wire::null")]
        pub dns_names: Vec<String>,
    }

    /// Fixed addresses.
    #[serde(rename_all = "PascalCase")]
    pub struct EndpointIpam {
        /// IPv4.
        #[serde(rename = "IPv4Address", skip_serializing_if = "crate::wire::absent")]
        pub ipv4_address: String,
        /// IPv6.
        #[serde(rename = "IPv6Address", skip_serializing_if = "crate::wire::absent")]
        pub ipv6_address: String,
        /// Link-local addresses.
        #[serde(rename = "LinkLocalIPs", skip_serializing_if = "crate::wire::absent")]
        pub link_local_ips: Vec<String>,
    }

    /// A container's addresses and ports.
    #[serde(rename_all = "PascalCase")]
    pub struct NetworkSettings {
        /// The bridge.
        pub bridge: String,
        /// The sandbox's id.
        #[serde(rename = "SandboxID")]
        pub sandbox_id: String,
        /// The pinned network namespace.
        pub sandbox_key: String,
        /// Bindings by `port/proto`.
        pub ports: BTreeMap<String, Option<Vec<PortBinding>>>,
        /// Obsolete.
        pub hairpin_mode: bool,
        /// Obsolete.
        #[serde(rename = "LinkLocalIPv6Address")]
        pub link_local_ipv6_address: String,
        /// Obsolete.
        #[serde(rename = "LinkLocalIPv6PrefixLen")]
        pub link_local_ipv6_prefix_len: i64,
        /// Obsolete.
        #[serde(rename = "SecondaryIPAddresses", serialize_with = "crate::wire::null")]
        pub secondary_ip_addresses: Vec<Address>,
        /// Obsolete.
        #[serde(rename = "SecondaryIPv6Addresses", serialize_with = "crate::wire::null")]
        pub secondary_ipv6_addresses: Vec<Address>,
        /// On the default bridge: the endpoint's id.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// On the default bridge.
        pub gateway: String,
        /// On the default bridge.
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        /// On the default bridge.
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// On the default bridge.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// On the default bridge.
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        /// On the default bridge.
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        /// On the default bridge.
        pub mac_address: String,
        /// Endpoints by network name.
        pub networks: BTreeMap<String, EndpointSettings>,
    }

    /// An address with its prefix.
    #[serde(rename_all = "PascalCase")]
    pub struct Address {
        /// The address.
        pub addr: String,
        /// The prefix length.
        pub prefix_len: i64,
    }

    /// A network.
    #[serde(rename_all = "PascalCase")]
    pub struct Network {
        /// Its name.
        pub name: String,
        /// Its id.
        pub id: String,
        /// RFC 3339.
        pub created: String,
        /// `local` or `swarm`.
        pub scope: String,
        /// `bridge`, `host`, `null`, …
        pub driver: String,
        /// IPv4 is on.
        #[serde(rename = "EnableIPv4")]
        pub enable_ipv4: bool,
        /// IPv6 is on.
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: bool,
        /// Address management.
        #[serde(rename = "IPAM")]
        pub ipam: Ipam,
        /// No way out.
        pub internal: bool,
        /// Single containers may join a swarm network.
        pub attachable: bool,
        /// The swarm's entry network.
        pub ingress: bool,
        /// Where the configuration comes from.
        pub config_from: ConfigFrom,
        /// Only a configuration for others.
        pub config_only: bool,
        /// Containers by id.
        pub containers: BTreeMap<String, NetworkContainer>,
        /// The driver's options.
        pub options: BTreeMap<String, String>,
        /// Labels.
        pub labels: BTreeMap<String, String>,
    }

    /// Address management of a network.
    #[serde(rename_all = "PascalCase")]
    pub struct Ipam {
        /// `default`.
        pub driver: String,
        /// The driver's options; none and empty ones differ for clients.
        pub options: Option<BTreeMap<String, String>>,
        /// The pools.
        #[serde(serialize_with = "crate::wire::null")]
        pub config: Vec<IpamPool>,
    }

    /// One pool of addresses.
    #[serde(rename_all = "PascalCase")]
    pub struct IpamPool {
        /// The subnet.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub subnet: String,
        /// The part addresses come from.
        #[serde(rename = "IPRange", skip_serializing_if = "crate::wire::absent")]
        pub ip_range: String,
        /// The gateway.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub gateway: String,
        /// Addresses kept for others.
        #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "crate::wire::absent")]
        pub auxiliary_addresses: BTreeMap<String, String>,
    }

    /// Where a network's configuration comes from.
    #[serde(rename_all = "PascalCase")]
    pub struct ConfigFrom {
        /// A configuration-only network.
        pub network: String,
    }

    /// A container on a network.
    #[serde(rename_all = "PascalCase")]
    pub struct NetworkContainer {
        /// The container's name.
        pub name: String,
        /// The endpoint's id.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// The MAC address.
        pub mac_address: String,
        /// The IPv4 address with prefix.
        #[serde(rename = "IPv4Address")]
        pub ipv4_address: String,
        /// The IPv6 address with prefix.
        #[serde(rename = "IPv6Address")]
        pub ipv6_address: String,
    }

    /// What a prune removed.
    #[serde(rename_all = "PascalCase")]
    pub struct NetworksPruned {
        /// The names.
        #[serde(serialize_with = "crate::wire::null")]
        pub networks_deleted: Vec<String>,
    }

    /// The body of a network create request.
    #[serde(rename_all = "PascalCase")]
    pub struct NetworkCreateRequest {
        /// Its name.
        pub name: String,
        /// Its driver; empty: bridge.
        pub driver: String,
        /// `local` or `swarm`.
        #[serde(skip_serializing_if = "crate::wire::absent")]
        pub scope: String,
        /// IPv4; None: yes.
        #[serde(rename = "EnableIPv4", skip_serializing_if = "Option::is_none")]
        pub enable_ipv4: Option<bool>,
        /// IPv6; None: the daemon's default.
        #[serde(rename = "EnableIPv6", skip_serializing_if = "Option::is_none")]
        pub enable_ipv6: Option<bool>,
        /// Address management.
        #[serde(rename = "IPAM")]
        pub ipam: Option<Ipam>,
        /// No way out.
        pub internal: bool,
        /// Single containers may join a swarm network.
        pub attachable: bool,
        /// The swarm's entry network.
        pub ingress: bool,
        /// Only a configuration for others.
        pub config_only: bool,
        /// Where the configuration comes from.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub config_from: Option<ConfigFrom>,
        /// The driver's options.
        pub options: BTreeMap<String, String>,
        /// Labels.
        pub labels: BTreeMap<String, String>,
    }

    /// The body of a request to connect a container.
    #[serde(rename_all = "PascalCase")]
    pub struct ConnectRequest {
        /// The container, by name or id.
        pub container: String,
        /// How.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub endpoint_config: Option<EndpointSettings>,
    }

    /// The body of a request to disconnect a container.
    #[serde(rename_all = "PascalCase")]
    pub struct DisconnectRequest {
        /// The container, by name or id.
        pub container: String,
        /// Whatever stands against it.
        pub force: bool,
    }

    /// The answer of a network create request.
    #[serde(rename_all = "PascalCase")]
    pub struct NetworkCreateResponse {
        /// Its id.
        pub id: String,
        /// What was asked for and not done.
        pub warning: String,
    }
}

/// A set of names, as Docker writes it.
pub type NameSet = BTreeMap<String, Empty>;

/// Endpoints by network name. `null` as an endpoint means one without wishes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Endpoints(pub BTreeMap<String, EndpointSettings>);

impl Deref for Endpoints {
    type Target = BTreeMap<String, EndpointSettings>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Endpoints {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'de> Deserialize<'de> for Endpoints {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, Option<EndpointSettings>>::deserialize(input)?;
        let filled = map
            .into_iter()
            .map(|(name, endpoint)| (name, endpoint.unwrap_or_default()));
        Ok(Self(filled.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_be_null() {
        let read: NetworkingConfig =
            serde_json::from_str(r#"{"EndpointsConfig":{"n":null,"m":{"Aliases":["a"]}}}"#)
                .expect("valid");
        assert_eq!(read.endpoints_config["n"], EndpointSettings::default());
        assert_eq!(read.endpoints_config["m"].aliases, ["a"]);
        let none: NetworkingConfig =
            serde_json::from_str(r#"{"EndpointsConfig":null}"#).expect("valid");
        assert_eq!(
            serde_json::to_string(&none).expect("serialisable"),
            r#"{"EndpointsConfig":null}"#
        );
    }
}
