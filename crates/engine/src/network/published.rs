//! From what a container exposes and publishes to the ports of the host that are to be reserved.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use api::container::{ContainerConfig, HostConfig};
use network::ports::Protocol;

use crate::error::{Error, Result};

/// One port to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) protocol: Protocol,
    /// The container's port.
    pub(crate) port: u16,
    /// The host's address; `None`: the network's default, which is all of them.
    pub(crate) host: Option<IpAddr>,
    /// The host's port is one of these; `0..=0`: any.
    pub(crate) ports: RangeInclusive<u16>,
}

/// Reads all that is to be published, in the order of the container's ports.
///
/// # Errors
/// [`Error::Invalid`], in Docker's words.
pub(crate) fn wishes(config: &ContainerConfig, host: &HostConfig) -> Result<Vec<Wish>> {
    let mut wishes = Vec::new();
    for (key, bindings) in &host.port_bindings {
        let (ports, protocol) = exposed(key)?;
        for port in ports {
            for binding in bindings.iter().flatten() {
                wishes.push(Wish {
                    protocol,
                    port,
                    host: address(&binding.host_ip)?,
                    ports: host_ports(&binding.host_port)?,
                });
            }
        }
    }
    if host.publish_all_ports {
        for key in config.exposed_ports.keys() {
            let (ports, protocol) = exposed(key)?;
            for port in ports {
                let has = |w: &Wish| (w.port, w.protocol) == (port, protocol);
                if !wishes.iter().any(has) {
                    wishes.push(Wish {
                        protocol,
                        port,
                        host: None,
                        ports: 0..=0,
                    });
                }
            }
        }
    }
    wishes.sort_by_key(|w| (w.port, w.protocol));
    Ok(wishes)
}

/// Every port that the container exposes or publishes, `80/tcp`; ranges spread out.
pub(crate) fn all(config: &ContainerConfig, host: &HostConfig) -> Vec<String> {
    let keys = config.exposed_ports.keys().chain(host.port_bindings.keys());
    let spread: BTreeMap<(u16, Protocol), ()> = keys
        .filter_map(|key| exposed(key).ok())
        .flat_map(|(ports, protocol)| ports.map(move |port| ((port, protocol), ())))
        .collect();
    spread
        .into_keys()
        .map(|(port, protocol)| format!("{port}/{protocol}"))
        .collect()
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn exposed(key: &str) -> Result<(RangeInclusive<u16>, Protocol)> {
    let (ports, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let protocol = protocol
        .parse()
        .map_err(|e: network::ports::UnknownProtocol| Error::Invalid(e.to_string()))?;
    match range(ports) {
        Some(ports) if *ports.start() > 0 => Ok((ports, protocol)),
        _ => Err(Error::Invalid(format!(
            "invalid port specification: {key:?}"
        ))),
    }
}

fn address(text: &str) -> Result<Option<IpAddr>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.trim_matches(['[', ']'])
        .parse()
        .map(Some)
        .map_err(|_| Error::Invalid(format!("invalid IP address: {text}")))
}

fn host_ports(text: &str) -> Result<RangeInclusive<u16>> {
    if text.is_empty() {
        return Ok(0..=0);
    }
    range(text).ok_or_else(|| Error::Invalid(format!("invalid port specification: {text:?}")))
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high): (u16, u16) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high).then_some(low..=high)
}

#[cfg(test)]
mod tests {
    use api::container::PortBinding;

    use super::*;

    fn asked(
        ports: &[(&str, &[(&str, &str)])],
        exposed: &[&str],
        all: bool,
    ) -> (ContainerConfig, HostConfig) {
        let binding = |(ip, port): &(&str, &str)| PortBinding {
            host_ip: (*ip).into(),
            host_port: (*port).into(),
        };
        let host = HostConfig {
            port_bindings: ports
                .iter()
                .map(|(key, list)| ((*key).into(), Some(list.iter().map(binding).collect())))
                .collect(),
            publish_all_ports: all,
            ..HostConfig::default()
        };
        let config = ContainerConfig {
            exposed_ports: exposed
                .iter()
                .map(|key| ((*key).into(), api::Empty::default()))
                .collect(),
            ..ContainerConfig::default()
        };
        (config, host)
    }

    #[test]
    fn bindings_become_wishes() {
        let (config, host) = asked(
            &[
                ("80/tcp", &[("", "8080"), ("127.0.0.1", "")]),
                ("53/udp", &[("::1", "9000-9005")]),
            ],
            &["80/tcp", "99/tcp"],
            true,
        );
        let found: Vec<_> = wishes(&config, &host)
            .expect("valid")
            .into_iter()
            .map(|w| {
                (
                    w.port,
                    w.protocol.to_string(),
                    w.host.map(|h| h.to_string()),
                    w.ports,
                )
            })
            .collect();
        let own = |text: &str| text.to_owned();
        assert_eq!(
            found,
            [
                (53, own("udp"), Some(own("::1")), 9000..=9005),
                (80, own("tcp"), None, 8080..=8080),
                (80, own("tcp"), Some(own("127.0.0.1")), 0..=0),
                (99, own("tcp"), None, 0..=0),
            ]
        );
        assert_eq!(all(&config, &host), ["53/udp", "80/tcp", "99/tcp"]);
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for (key, ip, port) in [
            ("x/tcp", "", "1"),
            ("80/ftp", "", "1"),
            ("0/tcp", "", "1"),
            ("80/tcp", "here", "1"),
            ("80/tcp", "", "70000"),
            ("80/tcp", "", "9-8"),
        ] {
            let (config, host) = asked(&[(key, &[(ip, port)])], &[], false);
            assert!(wishes(&config, &host).is_err(), "{key} {ip} {port}");
        }
    }
}
