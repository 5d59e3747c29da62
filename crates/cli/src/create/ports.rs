//! `--publish` and `--expose`.

use serde_json::{Map, Value, json};

/// One container port and where it is published.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// `80/tcp`.
    pub(super) port: String,
    pub(super) host_ip: String,
    /// Empty for a port the engine chooses.
    pub(super) host_port: String,
}

/// Reads `[[IP:][HOST]:]CONTAINER[/PROTO]`, ranges spread out.
///
/// # Errors
/// Docker's words for a bad port.
pub(super) fn publish(spec: &str) -> Result<Vec<Port>, String> {
    if spec.contains('=') {
        return publish_long(spec);
    }
    let (front, container) = spec.rsplit_once(':').unwrap_or(("", spec));
    let (container, proto) = protocol(container)?;
    let (ip, host) = match front.rsplit_once(':') {
        Some((ip, host)) => (ip, host),
        None if front.contains('.') => (front, ""),
        None => ("", front),
    };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("invalid IP address: {ip}"));
    }
    if container.is_empty() {
        return Err(format!("no port specified: {spec}<empty>"));
    }
    let inside = range(container).ok_or_else(|| format!("invalid containerPort: {container}"))?;
    let outside = if host.is_empty() {
        None
    } else {
        Some(range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?)
    };
    if let Some(outside) = &outside
        && outside.len() != inside.len()
        && inside.len() != 1
    {
        return Err(format!(
            "invalid ranges specified for container and host Ports: {container} and {host}"
        ));
    }
    Ok(inside
        .clone()
        .enumerate()
        .map(|(at, port)| Port {
            port: format!("{port}/{proto}"),
            host_ip: ip.to_owned(),
            host_port: match &outside {
                None => String::new(),
                // One port inside, many outside: the engine takes a free one of them.
                Some(outside) if inside.len() == 1 && outside.len() > 1 => host.to_owned(),
                Some(outside) => outside
                    .clone()
                    .nth(at)
                    .map(|port| port.to_string())
                    .unwrap_or_default(),
            },
        })
        .collect())
}

fn publish_long(spec: &str) -> Result<Vec<Port>, String> {
    let (mut target, mut published, mut proto) = ("", "", "tcp");
    for field in spec.split(',') {
        match field.split_once('=') {
            Some(("target", value)) => target = value,
            Some(("published", value)) => published = value,
            Some(("protocol", value)) => proto = value,
            Some(("mode", _)) => {}
            _ => return Err(format!("invalid field {field}")),
        }
    }
    publish(&format!("{published}:{target}/{proto}"))
}

/// Reads `80`, `80-90/udp`.
pub(super) fn expose(spec: &str) -> Result<Vec<String>, String> {
    if spec.contains(':') {
        return Err(format!("invalid port format for --expose: {spec}"));
    }
    let (ports, proto) = protocol(spec)?;
    let wrong = |why: String| format!("invalid range format for --expose: {ports}, error: {why}");
    if ports.is_empty() {
        return Err(wrong("empty string specified for ports".into()));
    }
    let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
    let (low, high) = (number(low).map_err(wrong)?, number(high).map_err(wrong)?);
    if low > high {
        return Err(wrong(format!("invalid range specified for port: {ports}")));
    }
    let ports = Ports(low..=high);
    Ok(ports.map(|port| format!("{port}/{proto}")).collect())
}

/// A port number.
///
/// # Errors
/// Go's words for what is none.
pub(crate) fn number(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let why = match is_number {
            true => "value out of range",
            false => "invalid syntax",
        };
        format!("strconv.ParseUint: parsing {text:?}: {why}")
    })
}

fn protocol(text: &str) -> Result<(&str, String), String> {
    let (ports, proto) = text.split_once('/').unwrap_or((text, "tcp"));
    let proto = proto.to_ascii_lowercase();
    if matches!(proto.as_str(), "tcp" | "udp" | "sctp") {
        Ok((ports, proto))
    } else {
        Err(format!("invalid proto: {proto}"))
    }
}

#[derive(Debug, Clone)]
struct Ports(std::ops::RangeInclusive<u16>);

impl Ports {
    fn len(&self) -> usize {
        usize::from(*self.0.end() - *self.0.start()) + 1
    }
}

impl Iterator for Ports {
    type Item = u16;
    fn next(&mut self) -> Option<u16> {
        self.0.next()
    }
}

fn range(text: &str) -> Option<Ports> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high): (u16, u16) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high).then_some(Ports(low..=high))
}

/// The API's port bindings.
pub(super) fn bindings(ports: &[Port]) -> Value {
    let mut map = Map::new();
    for port in ports {
        let entry = json!({"HostIp": port.host_ip, "HostPort": port.host_port});
        match map.get_mut(&port.port).and_then(Value::as_array_mut) {
            Some(list) => list.push(entry),
            None => {
                map.insert(port.port.clone(), json!([entry]));
            }
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports() {
        let check = |spec: &str, expect: &[(&str, &str, &str)]| {
            let found = publish(spec).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|p| (p.host_ip.as_str(), p.host_port.as_str(), p.port.as_str()))
                .collect();
            assert_eq!(found, expect, "{spec}");
        };
        check("80", &[("", "", "80/tcp")]);
        check("8080:80/udp", &[("", "8080", "80/udp")]);
        check("127.0.0.1:8080:80", &[("127.0.0.1", "8080", "80/tcp")]);
        check("127.0.0.1::80", &[("127.0.0.1", "", "80/tcp")]);
        check("[::1]:1:2", &[("::1", "1", "2/tcp")]);
        check("10-11:20-21", &[("", "10", "20/tcp"), ("", "11", "21/tcp")]);
        check("10-11:20", &[("", "10-11", "20/tcp")]);
        assert_eq!(publish("x").unwrap_err(), "invalid containerPort: x");
        assert_eq!(publish("1:2/foo").unwrap_err(), "invalid proto: foo");
        assert_eq!(expose("80-81/udp").unwrap(), ["80/udp", "81/udp"]);
        assert_eq!(
            expose("70000").unwrap_err(),
            "invalid range format for --expose: 70000, error: strconv.ParseUint: parsing \"70000\": value out of range"
        );
    }
}
