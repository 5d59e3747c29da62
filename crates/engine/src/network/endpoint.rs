//! What a running container has of its networks: `EXEC-ROOT/containers/<id>/network.json`.
//!
//! Written before anything of it is made, and removed with the run. Start-up reads it for each container that runs, and only
//! so learns which addresses and ports are given: there is no other store that could contradict.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use api::container::PortBinding;
use network::ports::Protocol;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const FILE: &str = "network.json";

/// Everything that a run has of networks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Names the namespace; new with each run.
    pub sandbox_id: String,
    /// The endpoints by the network's name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Ports of the host that lead into it.
    pub published: Vec<Published>,
    /// `resolv.conf` as we wrote it last: what differs from it the container has edited.
    pub resolv_conf: String,
}

/// One end of one network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The network's id.
    pub network_id: String,
    /// Its own id; new with each run.
    pub endpoint_id: String,
    /// The link's name in the container; empty where there is none (`host`, `none`).
    pub interface: String,
    /// The link's other end on the host; empty where there is none.
    pub host_name: String,
    /// The link's address.
    pub mac: Mac,
    /// The IPv4 address with its prefix length.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// The IPv6 address with its prefix length.
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// Addresses that are good on this link alone; nobody is told of them.
    #[serde(default)]
    pub link_local: Vec<IpAddr>,
    /// Where IPv4 packets to elsewhere go.
    pub gateway4: Option<Ipv4Addr>,
    /// Where IPv6 packets to elsewhere go.
    pub gateway6: Option<Ipv6Addr>,
    /// The highest gives the default route.
    pub priority: i64,
    /// Names that lead to it for others in the network.
    pub names: Vec<String>,
}

impl Endpoint {
    /// Its addresses with their prefix lengths.
    #[must_use]
    pub fn addresses(&self) -> Vec<(IpAddr, u8)> {
        let v4 = self.ipv4.map(|(address, prefix)| (address.into(), prefix));
        let v6 = self.ipv6.map(|(address, prefix)| (address.into(), prefix));
        v4.into_iter().chain(v6).collect()
    }

    /// All addresses of its link, those of the link alone too, with their prefix lengths.
    #[must_use]
    pub fn link_addresses(&self) -> Vec<(IpAddr, u8)> {
        let local = self.link_local.iter();
        let local = local.map(|ip| (*ip, if ip.is_ipv4() { 16 } else { 64 }));
        self.addresses().into_iter().chain(local).collect()
    }

    /// Its addresses.
    #[must_use]
    pub fn ips(&self) -> Vec<IpAddr> {
        self.addresses().into_iter().map(|(ip, _)| ip).collect()
    }
}

/// A link's hardware address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// One for a single machine, given by nobody else.
    #[must_use]
    pub fn random() -> Self {
        let hex = ids::NetworkId::random();
        let mut bytes = [0; 6];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let pair = &hex.as_str()[12 + 2 * at..14 + 2 * at];
            *byte = u8::from_str_radix(pair, 16).expect("ids are hexadecimal");
        }
        // Given locally, to one machine.
        bytes[0] = (bytes[0] & 0xfc) | 0x02;
        Self(bytes)
    }

    /// Reads six bytes with colons or dashes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2)?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(bytes))
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A port of the host that leads to one of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The transport.
    pub protocol: Protocol,
    /// The host's side; port 0 where it has none, and others reach the container by its own address.
    pub host: SocketAddr,
    /// The container's side.
    pub target: SocketAddr,
}

impl Published {
    /// Whether a port of the host leads there.
    #[must_use]
    pub fn is_of_host(&self) -> bool {
        self.host.port() != 0
    }
}

impl Live {
    /// The bindings by `port/protocol`, as `inspect` and the list tell them.
    #[must_use]
    pub fn bindings(&self) -> BTreeMap<String, Vec<PortBinding>> {
        let mut map: BTreeMap<String, Vec<PortBinding>> = BTreeMap::new();
        for port in self.published.iter().filter(|port| port.is_of_host()) {
            let key = format!("{}/{}", port.target.port(), port.protocol);
            map.entry(key).or_default().push(PortBinding {
                host_ip: port.host.ip().to_string(),
                host_port: port.host.port().to_string(),
            });
        }
        map
    }

    /// The first name for a new link with this prefix that none of its links has.
    pub(crate) fn free_interface(&self, prefix: &str) -> String {
        let is_free = |name: &String| self.endpoints.values().all(|e| e.interface != *name);
        (0..)
            .map(|n| format!("{prefix}{n}"))
            .find(is_free)
            .expect("numbers do not end")
    }

    /// The endpoints in the order in which they give the default route: by priority, then by the network's name.
    pub(crate) fn by_priority(&self) -> Vec<&Endpoint> {
        let mut list: Vec<&Endpoint> = self.endpoints.values().collect();
        // Stable: equal priorities stay in the order of names.
        list.sort_by_key(|e| std::cmp::Reverse(e.priority));
        list
    }

    /// The gateways that the default routes lead to.
    pub(crate) fn default_gateways(&self) -> Vec<IpAddr> {
        let order = self.by_priority();
        let v4 = order.iter().find_map(|e| e.gateway4).map(IpAddr::from);
        let v6 = order.iter().find_map(|e| e.gateway6).map(IpAddr::from);
        v4.into_iter().chain(v6).collect()
    }

    /// # Errors
    /// [`Error::File`], with the path.
    pub(crate) fn write(&self, run_dir: &Path) -> Result<()> {
        let path = run_dir.join(FILE);
        let bytes = serde_json::to_vec(self).map_err(|source| Error::Record {
            path: path.clone(),
            source,
        })?;
        crate::container::record::write_whole(&path, &bytes)
    }

    /// What a run had; `None` when it has none.
    ///
    /// # Errors
    /// The file is not what we wrote.
    pub(crate) fn read(run_dir: &Path) -> Result<Option<Self>> {
        let path = run_dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| Error::Record { path, source }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::file("read", path, e)),
        }
    }
}

/// A name for the host's end of a pair: `veth` and seven digits.
pub(crate) fn host_name() -> String {
    format!("veth{}", &ids::NetworkId::random().as_str()[..7])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn endpoint(ip: &str, gateway: &str, priority: i64) -> Endpoint {
        Endpoint {
            network_id: "n".into(),
            endpoint_id: "e".into(),
            interface: "eth0".into(),
            host_name: "veth0".into(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            ipv4: Some((ip.parse().expect("an address"), 16)),
            ipv6: None,
            link_local: Vec::new(),
            gateway4: gateway.parse().ok(),
            gateway6: None,
            priority,
            names: Vec::new(),
        }
    }

    #[test]
    fn a_mac_is_read_and_written_and_a_random_one_is_for_one_machine() {
        for text in ["02:42:ac:11:00:02", "02-42-AC-11-00-02"] {
            let mac = Mac::parse(text).expect("valid");
            assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        }
        for bad in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:0:2",
            "zz:42:ac:11:00:02",
        ] {
            assert_eq!(Mac::parse(bad), None, "{bad}");
        }
        let random = Mac::random();
        assert_eq!(random.0[0] & 3, 2);
        assert_ne!(random, Mac::random());
    }

    #[test]
    fn the_highest_priority_gives_the_default_route_and_names_decide_a_draw() {
        let mut live = Live::default();
        live.endpoints
            .insert("a".into(), endpoint("10.1.0.2", "10.1.0.1", 0));
        live.endpoints
            .insert("b".into(), endpoint("10.2.0.2", "10.2.0.1", 5));
        let gateway = |live: &Live| live.default_gateways()[0].to_string();
        assert_eq!(gateway(&live), "10.2.0.1");
        live.endpoints.get_mut("a").expect("there").priority = 5;
        assert_eq!(gateway(&live), "10.1.0.1");
        assert_eq!(live.free_interface("eth"), "eth1");
        live.endpoints.clear();
        assert!(live.default_gateways().is_empty());
    }

    #[test]
    fn bindings_are_grouped_by_the_containers_port() {
        let at = |host: &str| Published {
            protocol: Protocol::Tcp,
            host: host.parse().expect("an address"),
            target: "172.17.0.2:80".parse().expect("an address"),
        };
        let live = Live {
            published: vec![at("0.0.0.0:8080"), at("[::]:8080")],
            ..Live::default()
        };
        let bindings = live.bindings();
        let shown: Vec<_> = bindings["80/tcp"]
            .iter()
            .map(|b| (b.host_ip.as_str(), b.host_port.as_str()))
            .collect();
        assert_eq!(shown, [("0.0.0.0", "8080"), ("::", "8080")]);
    }
}
