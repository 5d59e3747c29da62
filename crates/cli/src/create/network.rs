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
    let mut mode = String::new();
    for (place, spec) in matches.list("network").iter().enumerate() {
        let (name, mut endpoint) = network(spec)?;
        if place == 0 {
            mode.clone_from(&name);
            endpoint.extend(companions(matches, &name)?);
        }
        let user_defined = !matches!(name.as_str(), "none" | "host" | "default" | "bridge")
            && !name.starts_with("container:");
        if user_defined || !endpoint.is_empty() || place > 0 {
            endpoints.insert(name, Value::Object(endpoint));
        }
    }
    if mode.is_empty() {
        let endpoint = companions(matches, "default")?;
        if !endpoint.is_empty() {
            endpoints.insert("default".into(), Value::Object(endpoint));
        }
    }
    Ok((mode, endpoints))
}

fn companions(matches: &Matches, name: &str) -> Result<Map<String, Value>, String> {
    let mut endpoint = Map::new();
    let aliases = matches.list("network-alias");
    if !aliases.is_empty() {
        if matches!(name, "none" | "host") {
            return Err("conflicting options: cannot attach both user-defined and non-user-defined network-modes".into());
        }
        endpoint.insert("Aliases".into(), json!(aliases));
    }
    let mut ipam = Map::new();
    for (flag, field) in [("ip", "IPv4Address"), ("ip6", "IPv6Address")] {
        if matches.is_set(flag) {
            ipam.insert(field.into(), matches.text(flag).into());
        }
    }
    if !matches.list("link-local-ip").is_empty() {
        ipam.insert("LinkLocalIPs".into(), json!(matches.list("link-local-ip")));
    }
    if !ipam.is_empty() {
        endpoint.insert("IPAMConfig".into(), Value::Object(ipam));
    }
    if matches.is_set("mac-address") {
        let address = matches.text("mac-address").trim();
        let is_mac = address.split([':', '-']).count() == 6
            && address
                .split([':', '-'])
                .all(|byte| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok());
        if !is_mac {
            return Err(format!("{address} is not a valid mac address"));
        }
        endpoint.insert("MacAddress".into(), matches.text("mac-address").into());
    }
    if !matches.list("link").is_empty() && !matches!(name, "default" | "bridge" | "host" | "none") {
        endpoint.insert("Links".into(), json!(matches.list("link")));
    }
    Ok(endpoint)
}

/// Reads `NAME` or `name=N,alias=A,ip=…,driver-opt=K=V,mac-address=…`.
fn network(spec: &str) -> Result<(String, Map<String, Value>), String> {
    let long = csv(spec)?;
    let is_long = long
        .first()
        .and_then(|field| field.split_once('='))
        .is_some();
    if !is_long {
        return Ok((spec.to_owned(), Map::new()));
    }
    let mut name = String::new();
    let mut endpoint = Map::new();
    let (mut ipam, mut aliases, mut options) = (Map::new(), Vec::new(), Map::new());
    for field in long {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| format!("invalid key/value pair format in advanced options: {field}"))?;
        match key.to_ascii_lowercase().as_str() {
            "name" => name = value.to_owned(),
            "alias" => aliases.push(Value::from(value)),
            "ip" => {
                ipam.insert("IPv4Address".into(), value.into());
            }
            "ip6" => {
                ipam.insert("IPv6Address".into(), value.into());
            }
            "mac-address" => {
                endpoint.insert("MacAddress".into(), value.into());
            }
            "driver-opt" => {
                let (key, value) = value
                    .split_once('=')
                    .ok_or_else(|| "invalid key value pair format in driver options".to_owned())?;
                options.insert(key.into(), value.into());
            }
            "gw-priority" => {
                let priority = crate::values::int(value)
                    .map_err(|_| format!("invalid gw-priority: {value}"))?;
                endpoint.insert("GwPriority".into(), priority.into());
            }
            other => return Err(format!("invalid field key {other}")),
        }
    }
    if name.is_empty() {
        return Err("network name/id is not specified".into());
    }
    for (key, value) in [("IPAMConfig", ipam), ("DriverOpts", options)] {
        if !value.is_empty() {
            endpoint.insert(key.into(), Value::Object(value));
        }
    }
    if !aliases.is_empty() {
        endpoint.insert("Aliases".into(), Value::Array(aliases));
    }
    Ok((name, endpoint))
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

    #[test]
    fn networks_have_a_long_form() {
        let (name, endpoint) = network("name=n,alias=a,ip=1.2.3.4").unwrap();
        assert_eq!(name, "n");
        assert_eq!(endpoint["IPAMConfig"]["IPv4Address"], "1.2.3.4");
        assert_eq!(network("n").unwrap().0, "n");
    }
}
