//! Hosts, addresses and `--network`.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::mounts::csv;
use crate::flags::Matches;

/// Whether `--add-host` reads `name:address` or `name=address`.
pub(super) fn extra_host_is_valid(text: &str) -> Result<(), String> {
    let (name, ip) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .filter(|(name, ip)| !name.is_empty() && !ip.is_empty())
        .ok_or_else(|| format!("bad format for add-host: {}", crate::values::quote(text)))?;
    let _ = name;
    let bare = ip.trim_start_matches('[').trim_end_matches(']');
    if ip != "host-gateway" && bare.parse::<IpAddr>().is_err() {
        return Err(format!(
            "invalid IP address in add-host: {}",
            crate::values::quote(ip)
        ));
    }
    Ok(())
}

/// The API's `name:address`.
pub(super) fn extra_host(text: &str) -> String {
    let (name, ip) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .unwrap_or((text, ""));
    let bare = ip.trim_start_matches('[').trim_end_matches(']');
    format!("{name}:{bare}")
}

/// Whether the text is an IP address.
pub(super) fn ip_is_valid(text: &str) -> Result<(), String> {
    match text.trim().parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("IP address is not correctly formatted: {text}")),
    }
}

/// The network mode and the endpoints that `--network` and its companions ask for.
///
/// # Errors
/// Docker's words for contradictions.
pub(super) fn networks(matches: &Matches) -> Result<(String, Map<String, Value>), String> {
    let mut endpoints = Map::new();
    let mut wanted: Vec<Wanted> = matches
        .list("network")
        .iter()
        .map(|spec| network(spec))
        .collect::<Result<_, _>>()?;
    let mode = wanted.first().map(|first| first.name.clone());
    if wanted.is_empty() {
        wanted.push(Wanted {
            name: "default".into(),
            ..Wanted::default()
        });
    }
    let [own, shared] = [true, false].map(|want| {
        wanted
            .iter()
            .any(|each| is_user_defined(&each.name) == want)
    });
    for (place, mut each) in wanted.into_iter().enumerate() {
        if place == 0 {
            companions(matches, &mut each)?;
        }
        let name = each.name.clone();
        let endpoint = each.endpoint()?;
        if endpoints.contains_key(&name) {
            return Err(format!(
                "network {} is specified multiple times",
                crate::values::quote(&name)
            ));
        }
        // Old daemons know no endpoints of networks that are not the user's.
        if is_user_defined(&name) || !endpoint.is_empty() || place > 0 {
            endpoints.insert(name, Value::Object(endpoint));
        }
    }
    if own && shared {
        return Err("conflicting options: cannot attach both user-defined and non-user-defined network-modes".into());
    }
    Ok((mode.unwrap_or_default(), endpoints))
}

fn is_user_defined(name: &str) -> bool {
    !matches!(name, "none" | "host" | "default" | "bridge") && !name.starts_with("container:")
}

/// One network as asked for.
#[derive(Debug, Default)]
struct Wanted {
    name: String,
    aliases: Vec<String>,
    links: Vec<String>,
    ip: String,
    ip6: String,
    mac: String,
    local: Vec<String>,
    options: Map<String, Value>,
    priority: Option<i64>,
}

impl Wanted {
    /// The API's endpoint.
    fn endpoint(self) -> Result<Map<String, Value>, String> {
        if !is_user_defined(&self.name) {
            if !self.aliases.is_empty() {
                return Err(
                    "network-scoped aliases are only supported for user-defined networks".into(),
                );
            }
            if !self.links.is_empty() {
                return Err("links are only supported for user-defined networks".into());
            }
        }
        if !self.mac.is_empty() && !is_mac(&self.mac) {
            return Err(format!("{} is not a valid mac address", self.mac));
        }
        let mut endpoint = Map::new();
        let mut ipam = Map::new();
        for (key, text) in [("IPv4Address", self.ip), ("IPv6Address", self.ip6)] {
            if !text.is_empty() {
                ipam.insert(key.into(), text.into());
            }
        }
        if !self.local.is_empty() {
            ipam.insert("LinkLocalIPs".into(), json!(self.local));
        }
        if !ipam.is_empty() {
            endpoint.insert("IPAMConfig".into(), ipam.into());
        }
        for (key, list) in [("Links", self.links), ("Aliases", self.aliases)] {
            if !list.is_empty() {
                endpoint.insert(key.into(), json!(list));
            }
        }
        if !self.options.is_empty() {
            endpoint.insert("DriverOpts".into(), self.options.into());
        }
        if !self.mac.is_empty() {
            endpoint.insert("MacAddress".into(), self.mac.into());
        }
        if let Some(priority) = self.priority {
            endpoint.insert("GwPriority".into(), priority.into());
        }
        Ok(endpoint)
    }
}

fn is_mac(text: &str) -> bool {
    let is_byte = |byte: &str| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok();
    [':', '-']
        .into_iter()
        .any(|by| text.split(by).count() == 6 && text.split(by).all(is_byte))
}

/// The flags beside `--network` mean the first network.
fn companions(matches: &Matches, first: &mut Wanted) -> Result<(), String> {
    let both = |a: &str, b: &str| {
        Err(format!(
            "conflicting options: cannot specify both {a} and {b}"
        ))
    };
    let aliases = matches.list("network-alias");
    if !aliases.is_empty() {
        if !first.aliases.is_empty() {
            return both("--network-alias", "per-network alias");
        }
        first.aliases = aliases.to_vec();
    }
    let links = matches.list("link");
    if !links.is_empty() && is_user_defined(&first.name) {
        first.links = links.to_vec();
    }
    for (flag, field, per) in [
        ("ip", &mut first.ip, "per-network IPv4 address"),
        ("ip6", &mut first.ip6, "per-network IPv6 address"),
        ("mac-address", &mut first.mac, "per-network MAC address"),
    ] {
        if matches.text(flag).is_empty() {
            continue;
        }
        if !field.is_empty() {
            return both(&format!("--{flag}"), per);
        }
        *field = matches.text(flag).trim().to_owned();
    }
    let local = matches.list("link-local-ip");
    if !local.is_empty() {
        if !first.local.is_empty() {
            return both("--link-local-ip", "per-network link-local IP addresses");
        }
        first.local = local.to_vec();
    }
    Ok(())
}

/// Reads `NAME` or `name=N,alias=A,ip=…,driver-opt=K=V,mac-address=…`.
fn network(spec: &str) -> Result<Wanted, String> {
    let long = csv(spec)?;
    let is_long = long
        .first()
        .and_then(|field| field.split_once('='))
        .is_some();
    let mut wanted = Wanted::default();
    if !is_long {
        wanted.name = spec.to_owned();
        return Ok(wanted);
    }
    for field in long {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| format!("invalid key/value pair format in advanced options: {field}"))?;
        match key.trim().to_ascii_lowercase().as_str() {
            "name" => wanted.name = value.to_owned(),
            "alias" => wanted.aliases.push(value.to_owned()),
            "ip" => wanted.ip = value.to_owned(),
            "ip6" => wanted.ip6 = value.to_owned(),
            "mac-address" => wanted.mac = value.to_owned(),
            "link-local-ip" => wanted.local.push(value.to_owned()),
            "driver-opt" => {
                let (key, value) = value
                    .split_once('=')
                    .ok_or_else(|| "invalid key value pair format in driver options".to_owned())?;
                wanted
                    .options
                    .insert(key.trim().to_lowercase(), value.into());
            }
            "gw-priority" => {
                let priority = crate::values::int(value)
                    .map_err(|_| format!("invalid gw-priority: {value}"))?;
                wanted.priority = Some(priority);
            }
            other => return Err(format!("invalid field key {other}")),
        }
    }
    if wanted.name.is_empty() {
        return Err("network name/id is not specified".into());
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_checked() {
        assert!(extra_host_is_valid("a:1.2.3.4").is_ok());
        assert!(extra_host_is_valid("a=host-gateway").is_ok());
        assert!(extra_host_is_valid("a:::1").is_ok());
        assert_eq!(
            extra_host_is_valid("a").unwrap_err(),
            "bad format for add-host: \"a\""
        );
        assert_eq!(extra_host("a=[::1]"), "a:::1");
    }

    fn asked(words: &[&str]) -> Result<(String, Value), String> {
        let argv: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let matches = crate::flags::parse(&[super::super::CONTAINER], false, &argv)?;
        networks(&matches).map(|(mode, endpoints)| (mode, Value::Object(endpoints)))
    }

    #[test]
    fn networks_have_a_long_form() {
        assert_eq!(asked(&[]), Ok((String::new(), json!({}))));
        assert_eq!(
            asked(&["--network", "n"]),
            Ok(("n".into(), json!({"n": {}})))
        );
        assert_eq!(
            asked(&[
                "--network",
                "name=n,alias=a,ip=1.2.3.4,gw-priority=-2",
                "--network",
                "m",
                "--ip6",
                "fd00::1"
            ]),
            Ok((
                "n".into(),
                json!({
                    "n": {"IPAMConfig": {"IPv4Address": "1.2.3.4", "IPv6Address": "fd00::1"},
                          "Aliases": ["a"], "GwPriority": -2},
                    "m": {},
                })
            ))
        );
        assert_eq!(
            asked(&["--mac-address", "02:00:00:00:00:01"]),
            Ok((
                String::new(),
                json!({"default": {"MacAddress": "02:00:00:00:00:01"}})
            ))
        );
    }

    #[test]
    fn contradictions_between_networks_are_refused() {
        let check = |words: &[&str], expect: &str| {
            assert_eq!(asked(words), Err(expect.to_owned()), "{words:?}");
        };
        let mixed = "conflicting options: cannot attach both user-defined and non-user-defined network-modes";
        check(&["--network", "n", "--network", "none"], mixed);
        check(&["--network", "n", "--network", "host"], mixed);
        check(
            &["--network", "n", "--network", "n"],
            "network \"n\" is specified multiple times",
        );
        check(
            &["--network-alias", "x"],
            "network-scoped aliases are only supported for user-defined networks",
        );
        check(
            &["--network", "name=n,ip=1.2.3.4", "--ip", "1.2.3.5"],
            "conflicting options: cannot specify both --ip and per-network IPv4 address",
        );
        check(&["--mac-address", "zz"], "zz is not a valid mac address");
    }
}
