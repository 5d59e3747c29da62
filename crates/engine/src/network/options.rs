//! The options that drivers know, by Docker's names. What none knows is kept and has no effect, as in Docker.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::link::{IpvlanFlag, IpvlanMode, MacvlanMode, WireKind};

use crate::error::{Error, Result};

const NAME: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
const MTU: &str = "com.docker.network.driver.mtu";
const PREFIX: &str = "com.docker.network.container_iface_prefix";
const MODE4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
const MODE6: &str = "com.docker.network.bridge.gateway_mode_ipv6";

/// How a family of a bridge network and the world meet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum GatewayMode {
    /// Under the host's address, and by its ports.
    #[default]
    Nat,
    /// As [`GatewayMode::Nat`], and by every port of the containers' own addresses, published or not.
    NatUnprotected,
    /// By the containers' own addresses: others have a road there.
    Routed,
    /// Not at all, not even the host.
    Isolated,
}

/// What a bridge network is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BridgeOptions {
    /// The bridge's name on the host.
    pub(crate) name: Option<String>,
    /// Containers reach each other.
    pub(crate) icc: bool,
    /// Packets to the world carry the host's address.
    pub(crate) masquerade: bool,
    /// Where ports without an address are published.
    pub(crate) binding: Option<IpAddr>,
    /// The greatest packet; `None`: as the uplink.
    pub(crate) mtu: Option<u32>,
    /// What links in containers are called, before their number.
    pub(crate) prefix: String,
    /// IPv4 and the world.
    pub(crate) mode4: GatewayMode,
    /// IPv6 and the world.
    pub(crate) mode6: GatewayMode,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            name: None,
            icc: true,
            masquerade: true,
            binding: None,
            mtu: None,
            prefix: "eth".into(),
            mode4: GatewayMode::Nat,
            mode6: GatewayMode::Nat,
        }
    }
}

impl BridgeOptions {
    /// How an address's family and the world meet.
    pub(crate) fn mode_of(&self, is_ipv4: bool) -> GatewayMode {
        match is_ipv4 {
            true => self.mode4,
            false => self.mode6,
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`Error::Invalid`], with the option and its value.
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut read = Self::default();
        for (key, value) in options {
            let bad = |why: &str| {
                Error::Invalid(format!("failed to parse {key} value: {value:?} ({why})"))
            };
            match key.as_str() {
                NAME => {
                    link_name(value).map_err(bad)?;
                    read.name = Some(value.clone());
                }
                ICC => read.icc = truth(value).ok_or_else(|| bad("invalid syntax"))?,
                MASQUERADE => {
                    read.masquerade = truth(value).ok_or_else(|| bad("invalid syntax"))?;
                }
                BINDING => {
                    let address: IpAddr = value.parse().map_err(|_| bad("nil ip"))?;
                    read.binding = (!address.is_unspecified()).then_some(address);
                }
                MTU => read.mtu = mtu(value).map_err(bad)?,
                PREFIX | "com.docker.network.container_interface_prefix" => {
                    link_name(&format!("{value}0")).map_err(bad)?;
                    read.prefix.clone_from(value);
                }
                MODE4 => read.mode4 = gateway_mode(key, value)?,
                MODE6 => read.mode6 = gateway_mode(key, value)?,
                _ => {}
            }
        }
        Ok(read)
    }
}

/// What a network is told that stands on a link of the host's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParentOptions {
    /// What its containers' links are; the host's link is in it.
    pub(crate) kind: WireKind,
    pub(crate) mtu: Option<u32>,
    /// The host's link is a dummy that was made for this network, for none was named.
    pub(crate) is_dummy: bool,
}

impl ParentOptions {
    /// Reads those of a macvlan network of this id.
    ///
    /// # Errors
    /// [`Error::Invalid`] with a parent or a mode that is none.
    pub(crate) fn macvlan(options: &BTreeMap<String, String>, id: &str) -> Result<Self> {
        let (parent, is_dummy) = parent("macvlan", options, || format!("dm-{}", &id[..12]))?;
        let mode = match text(options, "macvlan_mode") {
            "" | "bridge" => MacvlanMode::Bridge,
            "private" => MacvlanMode::Private,
            "vepa" => MacvlanMode::Vepa,
            "passthru" => MacvlanMode::Passthru,
            other => return Err(unknown("macvlan", "mode", other, "bridge")),
        };
        let kind = WireKind::Macvlan { parent, mode };
        Self::with(kind, options, is_dummy)
    }

    /// Reads those of an ipvlan network of this id.
    ///
    /// # Errors
    /// As [`ParentOptions::macvlan`].
    pub(crate) fn ipvlan(options: &BTreeMap<String, String>, id: &str) -> Result<Self> {
        let (parent, is_dummy) = parent("ipvlan", options, || format!("di-{}", &id[..12]))?;
        let mode = match text(options, "ipvlan_mode") {
            "" | "l2" => IpvlanMode::L2,
            "l3" => IpvlanMode::L3,
            "l3s" => IpvlanMode::L3s,
            other => return Err(unknown("ipvlan", "mode", other, "l2")),
        };
        let flag = match text(options, "ipvlan_flag") {
            "" | "bridge" => IpvlanFlag::Bridge,
            "private" => IpvlanFlag::Private,
            "vepa" => IpvlanFlag::Vepa,
            other => return Err(unknown("ipvlan", "flag", other, "bridge")),
        };
        let kind = WireKind::Ipvlan { parent, mode, flag };
        Self::with(kind, options, is_dummy)
    }

    fn with(kind: WireKind, options: &BTreeMap<String, String>, is_dummy: bool) -> Result<Self> {
        let mtu = BridgeOptions::parse(options)?.mtu;
        Ok(Self {
            kind,
            mtu,
            is_dummy,
        })
    }

    /// The host's link.
    pub(crate) fn parent(&self) -> &str {
        match &self.kind {
            WireKind::Macvlan { parent, .. } | WireKind::Ipvlan { parent, .. } => parent,
            WireKind::Bridge { master, .. } => master,
        }
    }
}

/// An option by its own name, or by the short one that stands for it.
fn text<'a>(options: &'a BTreeMap<String, String>, key: &str) -> &'a str {
    let short = key.rsplit('_').next().unwrap_or(key);
    let value = options.get(key).or_else(|| options.get(short));
    value.map(String::as_str).unwrap_or_default()
}

/// The parent, and whether it is a dummy, called so, because none was named.
fn parent(
    driver: &str,
    options: &BTreeMap<String, String>,
    dummy: impl FnOnce() -> String,
) -> Result<(String, bool)> {
    let Some(parent) = options.get("parent").filter(|p| !p.is_empty()) else {
        return Ok((dummy(), true));
    };
    link_name(parent).map_err(|why| Error::Invalid(format!("invalid parent {parent:?}: {why}")))?;
    match parent.as_str() {
        "lo" => Err(Error::Invalid(format!(
            "loopback interface is not a valid {driver} parent link"
        ))),
        _ => Ok((parent.clone(), false)),
    }
}

fn unknown(driver: &str, what: &str, value: &str, default: &str) -> Error {
    Error::Invalid(format!(
        "requested {driver} {what} '{value}' is not valid, '{default}' {what} is the {driver} driver default"
    ))
}

fn gateway_mode(key: &str, value: &str) -> Result<GatewayMode> {
    match value {
        "" | "nat" => Ok(GatewayMode::Nat),
        "nat-unprotected" => Ok(GatewayMode::NatUnprotected),
        "routed" => Ok(GatewayMode::Routed),
        "isolated" => Ok(GatewayMode::Isolated),
        _ => Err(Error::Invalid(format!(
            "failed to parse {key} value: {value} (unknown gateway mode {value})"
        ))),
    }
}

/// Go's `strconv.ParseBool`.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// 0 asks for the default; the kernel takes 68 and more on a bridge.
fn mtu(text: &str) -> std::result::Result<Option<u32>, &'static str> {
    match text.parse::<u32>() {
        Ok(0) => Ok(None),
        Ok(mtu @ 68..=65535) => Ok(Some(mtu)),
        _ => Err("invalid MTU"),
    }
}

/// A name that the kernel takes for a link.
fn link_name(name: &str) -> std::result::Result<(), &'static str> {
    match network::link::is_name(name) {
        true => Ok(()),
        false => Err("not a name of a link, which has 1 to 15 bytes without blanks and slashes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn bridges_are_told_by_dockers_names() {
        let read = BridgeOptions::parse(&options(&[
            (NAME, "br-mine"),
            (ICC, "false"),
            (MASQUERADE, "0"),
            (BINDING, "127.0.0.1"),
            (MTU, "1400"),
            (PREFIX, "net"),
            (MODE4, "routed"),
            (MODE6, "isolated"),
            ("of.nobody", "x"),
        ]));
        assert_eq!(
            read.expect("valid"),
            BridgeOptions {
                name: Some("br-mine".into()),
                icc: false,
                masquerade: false,
                binding: Some(IpAddr::from([127, 0, 0, 1])),
                mtu: Some(1400),
                prefix: "net".into(),
                mode4: GatewayMode::Routed,
                mode6: GatewayMode::Isolated,
            }
        );
        let any = BridgeOptions::parse(&options(&[(BINDING, "0.0.0.0"), (MTU, "0")]));
        assert_eq!(any.expect("valid"), BridgeOptions::default());
    }

    #[test]
    fn bad_values_are_named() {
        for (key, value) in [
            (NAME, "a name of more than fifteen"),
            (NAME, ".."),
            (ICC, "maybe"),
            (MTU, "12"),
            (MTU, "much"),
            (BINDING, "here"),
            (PREFIX, "a/b"),
            (MODE4, "odd"),
            (MODE6, "unprotected"),
        ] {
            let error = BridgeOptions::parse(&options(&[(key, value)])).expect_err("refused");
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn links_on_the_hosts_have_a_parent_and_a_known_mode() {
        let id = "0123456789abcdef";
        let alone = ParentOptions::macvlan(&options(&[]), id).expect("valid");
        assert_eq!((alone.parent(), alone.is_dummy), ("dm-0123456789ab", true));
        let alone = ParentOptions::ipvlan(&options(&[("parent", "")]), id).expect("valid");
        assert_eq!((alone.parent(), alone.is_dummy), ("di-0123456789ab", true));
        let loopback = ParentOptions::macvlan(&options(&[("parent", "lo")]), id);
        assert!(
            loopback
                .expect_err("refused")
                .to_string()
                .contains("loopback")
        );
        let read = ParentOptions::macvlan(
            &options(&[("parent", "eth0"), ("macvlan_mode", "vepa")]),
            id,
        );
        let kind = WireKind::Macvlan {
            parent: "eth0".into(),
            mode: MacvlanMode::Vepa,
        };
        assert_eq!(read.expect("valid").kind, kind);
        let bad =
            ParentOptions::macvlan(&options(&[("parent", "eth0"), ("macvlan_mode", "x")]), id);
        assert!(bad.expect_err("refused").to_string().contains("'x'"));
        let told = [
            ("parent", "eth0.7"),
            ("ipvlan_mode", "l3"),
            ("ipvlan_flag", "private"),
        ];
        let read = ParentOptions::ipvlan(&options(&told), id).expect("valid");
        assert_eq!(read.parent(), "eth0.7");
        let kind = WireKind::Ipvlan {
            parent: "eth0.7".into(),
            mode: IpvlanMode::L3,
            flag: IpvlanFlag::Private,
        };
        assert_eq!(read.kind, kind);
        let bad = ParentOptions::ipvlan(&options(&[("parent", "eth0"), ("ipvlan_mode", "l4")]), id);
        assert!(bad.expect_err("refused").to_string().contains("'l4'"));
    }
}
