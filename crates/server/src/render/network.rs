//! The networks that need no networking: `none` and `host`.

use api::network::{EndpointSettings, Ipam, Network, NetworkSettings};

/// The networks there are.
pub(crate) const NAMES: [(&str, &str); 2] = [("none", "null"), ("host", "host")];

/// One of [`NAMES`].
pub(crate) fn network(name: &str, driver: &str, since_unix_nanos: i64) -> Network {
    Network {
        name: name.to_owned(),
        id: id(name),
        created: crate::when::rfc3339(since_unix_nanos),
        scope: "local".into(),
        driver: driver.to_owned(),
        enable_ipv4: true,
        ipam: Ipam {
            driver: "default".into(),
            ..Ipam::default()
        },
        ..Network::default()
    }
}

/// The same on every engine: these networks are, like the namespaces behind them, not made by anyone.
pub(crate) fn id(name: &str) -> String {
    let mut id = String::new();
    for byte in name.bytes().cycle().take(32) {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

/// What `inspect` says of a container's network.
pub(crate) fn settings(mode: &str, is_running: bool) -> NetworkSettings {
    NetworkSettings {
        networks: endpoints(mode, is_running),
        ..NetworkSettings::default()
    }
}

/// The endpoints by network name; none for a container that borrows another's network.
pub(crate) fn endpoints(
    mode: &str,
    is_running: bool,
) -> std::collections::BTreeMap<String, EndpointSettings> {
    let is_known = NAMES.iter().any(|(name, _)| *name == mode);
    let endpoint = || EndpointSettings {
        network_id: if is_running { id(mode) } else { String::new() },
        ..EndpointSettings::default()
    };
    is_known
        .then(|| (mode.to_owned(), endpoint()))
        .into_iter()
        .collect()
}
