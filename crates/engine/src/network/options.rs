//! The options that drivers know, by Docker's names. What none knows is kept and has no effect, as in Docker.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::link::MacvlanMode;

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
    /// [`Error::Invalid`], with the option and its value; [`Error::Unimplemented`] for ways of routing that are not built.
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

/// What a macvlan network is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MacvlanOptions {
    /// The host's link beside which the containers' links stand.
    pub(crate) parent: String,
    pub(crate) mode: MacvlanMode,
    pub(crate) mtu: Option<u32>,
    pub(crate) prefix: String,
}

impl MacvlanOptions {
    /// Reads them.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a parent, or with a mode that is none.
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let shared = BridgeOptions::parse(options)?;
        let parent = options
            .get("parent")
            .filter(|p| !p.is_empty())
            .ok_or_else(|| {
                Error::Invalid(
                    "macvlan needs a link of the host to stand on: -o parent=LINK".into(),
                )
            })?;
        link_name(parent)
            .map_err(|why| Error::Invalid(format!("invalid parent {parent:?}: {why}")))?;
        let mode = match options
            .get("macvlan_mode")
            .or_else(|| options.get("mode"))
            .map(String::as_str)
        {
            None | Some("" | "bridge") => MacvlanMode::Bridge,
            Some("private") => MacvlanMode::Private,
            Some("vepa") => MacvlanMode::Vepa,
            Some("passthru") => MacvlanMode::Passthru,
            Some(other) => {
                return Err(Error::Invalid(format!(
                    "requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver default"
                )));
            }
        };
        Ok(Self {
            parent: parent.clone(),
            mode,
            mtu: shared.mtu,
            prefix: shared.prefix,
        })
    }
}

fn gateway_mode(key: &str, value: &str) -> Result<GatewayMode> {
    match value {
        "" | "nat" => Ok(GatewayMode::Nat),
        "routed" => Ok(GatewayMode::Routed),
        "isolated" => Ok(GatewayMode::Isolated),
        "nat-unprotected" => Err(Error::Unimplemented(format!(
            "{key}={value} is not built: publish the ports that others shall reach, or use routed"
        ))),
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
            (MODE6, "nat-unprotected"),
        ] {
            let error = BridgeOptions::parse(&options(&[(key, value)])).expect_err("refused");
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn macvlan_needs_a_parent_and_a_known_mode() {
        assert!(MacvlanOptions::parse(&options(&[])).is_err());
        let read = MacvlanOptions::parse(&options(&[("parent", "eth0"), ("macvlan_mode", "vepa")]));
        assert_eq!(read.expect("valid").mode, MacvlanMode::Vepa);
        let bad = MacvlanOptions::parse(&options(&[("parent", "eth0"), ("macvlan_mode", "x")]));
        assert!(bad.expect_err("refused").to_string().contains("'x'"));
    }
}
