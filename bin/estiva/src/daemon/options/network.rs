//! The daemon's options for networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use cli::flags::{Flag, Kind, flag};
use engine::options::{DefaultBridge, NetworkOptions, Subnet};

use super::Source;

pub(super) const FLAGS: &[Flag] = &[
    flag(
        "bip",
        Kind::String,
        "Address of the default bridge, as 10.9.0.1/16",
    ),
    flag(
        "bip6",
        Kind::String,
        "IPv6 address of the default bridge, as fd00:9::1/64",
    ),
    flag(
        "bridge",
        Kind::String,
        "Bridge of containers that name no network: one that is there, or none",
    )
    .short('b'),
    flag(
        "default-address-pool",
        Kind::Named("pool-options"),
        "Where subnets of networks come from (base=10.20.0.0/16,size=24)",
    ),
    flag(
        "default-gateway",
        Kind::Named("ip"),
        "Way out of the default bridge, where that is not the host",
    ),
    flag(
        "default-gateway-v6",
        Kind::Named("ip"),
        "IPv6 way out of the default bridge, where that is not the host",
    ),
    flag(
        "default-network-opt",
        Kind::Named("mapmap"),
        "Options of networks by their driver (bridge=com.docker.network.driver.mtu=1400)",
    ),
    flag("dns", Kind::List, "Name servers of containers that name none"),
    flag(
        "dns-opt",
        Kind::List,
        "Resolver options of containers that name none",
    ),
    flag(
        "dns-search",
        Kind::List,
        "Search domains of containers that name none",
    ),
    flag(
        "fixed-cidr",
        Kind::String,
        "Part of the default bridge's subnet that containers get addresses from",
    ),
    flag(
        "fixed-cidr-v6",
        Kind::String,
        "Part of the default bridge's IPv6 subnet that containers get addresses from",
    ),
    flag(
        "host-gateway-ip",
        Kind::Named("ip"),
        "What host-gateway means in --add-host",
    ),
    flag(
        "icc",
        Kind::Bool,
        "Let containers on the default bridge reach each other",
    )
    .default("true"),
    flag(
        "ip",
        Kind::String,
        "Host address of published ports that name none",
    )
    .default("0.0.0.0"),
    flag(
        "ip-forward",
        Kind::Bool,
        "Switch forwarding on when containers need it",
    )
    .default("true"),
    flag(
        "ip-forward-no-drop",
        Kind::Bool,
        "Where it was this that switched forwarding on, pass on what is no container's, too",
    ),
    flag(
        "ip-masq",
        Kind::Bool,
        "Send packets of the default bridge out under the host's address",
    )
    .default("true"),
    flag(
        "ipv6",
        Kind::Bool,
        "IPv6 on the default bridge (default: where the host has it)",
    ),
    flag(
        "mtu",
        Kind::Int,
        "Greatest packet on the default bridge (default: as the uplink)",
    ),
    flag(
        "published-ports",
        Kind::String,
        "Who reaches published ports:\n'host-policy': whom the host's INPUT rules let in\n'open':        everyone, as with dockerd",
    )
    .default("host-policy"),
    // What dockerd needs and this daemon does by itself.
    flag("iptables", Kind::Bool, "Accepted: rules are our own").hidden(),
    flag("ip6tables", Kind::Bool, "Accepted: rules are our own").hidden(),
    flag("userland-proxy", Kind::Bool, "Accepted: a container's shim serves loopback").hidden(),
];

pub(super) const KEYS: &[(&str, &str)] = &[
    ("bip", "bip"),
    ("bip6", "bip6"),
    ("bridge", "bridge"),
    ("default-address-pools", "default-address-pool"),
    ("default-gateway", "default-gateway"),
    ("default-gateway-v6", "default-gateway-v6"),
    ("default-network-opts", "default-network-opt"),
    ("dns", "dns"),
    ("dns-opts", "dns-opt"),
    ("dns-search", "dns-search"),
    ("fixed-cidr", "fixed-cidr"),
    ("fixed-cidr-v6", "fixed-cidr-v6"),
    ("host-gateway-ip", "host-gateway-ip"),
    ("host-gateway-ips", "host-gateway-ip"),
    ("icc", "icc"),
    ("ip", "ip"),
    ("ip-masq", "ip-masq"),
    ("ip-forward", "ip-forward"),
    ("ip-forward-no-drop", "ip-forward-no-drop"),
    ("ip6tables", "ip6tables"),
    ("iptables", "iptables"),
    ("ipv6", "ipv6"),
    ("mtu", "mtu"),
    ("published-ports", "published-ports"),
    ("userland-proxy", "userland-proxy"),
];

/// Reads them.
pub(super) fn read(source: &Source) -> Result<NetworkOptions> {
    let bridge = match source.text("bridge").as_deref() {
        None | Some("") => DefaultBridge::Own,
        Some("none") => DefaultBridge::None,
        Some(name) => DefaultBridge::Named(name.to_owned()),
    };
    let mut bip = Vec::new();
    for (flag, v4) in [("bip", true), ("bip6", false)] {
        let Some(text) = source.text(flag).filter(|t| !t.is_empty()) else {
            continue;
        };
        let subnet: Subnet = text.parse().with_context(|| format!("--{flag}"))?;
        if subnet.is_ipv4() != v4 || subnet.address == subnet.network() {
            bail!(
                "--{flag} {text}: an address of the bridge with its prefix is needed, as 10.9.0.1/16"
            );
        }
        bip.push(subnet);
    }
    if !bip.is_empty() && bridge != DefaultBridge::Own {
        bail!("--bip and --bridge exclude each other: a bridge that is there has its addresses");
    }
    let fixed_cidr = fixed(source, &bip)?;
    let default_gateway = routers(source, &bip, &fixed_cidr, &bridge)?;
    let published_ports_open = match source.text("published-ports").as_deref() {
        None | Some("" | "host-policy") => false,
        Some("open") => true,
        Some(other) => bail!("--published-ports {other:?}: use host-policy or open"),
    };
    let host_ip = optional::<IpAddr>(source, "ip")?.filter(|ip| !ip.is_unspecified());
    let mtu = optional::<u32>(source, "mtu")?.filter(|mtu| *mtu > 0);
    if mtu.is_some_and(|mtu| !(68..=65535).contains(&mtu)) {
        bail!("--mtu: 68 to 65535 are possible");
    }
    Ok(NetworkOptions {
        published_ports_open,
        bridge,
        bip,
        address_pools: pools(source)?,
        dns: addresses("dns", source.list("dns", "dns"))?,
        dns_search: source.list("dns-search", "dns-search"),
        dns_options: source.list("dns-opt", "dns-opts"),
        mtu,
        ipv6: truth(source, "ipv6"),
        icc: truth(source, "icc").unwrap_or(true),
        masquerade: truth(source, "ip-masq").unwrap_or(true),
        host_ip,
        fixed_cidr,
        default_gateway,
        driver_options: driver_options(source)?,
        ip_forward: truth(source, "ip-forward").unwrap_or(true),
        forward_open: truth(source, "ip-forward-no-drop").unwrap_or(false),
        host_gateway: gateways(source)?,
    })
}

fn truth(source: &Source, flag: &str) -> Option<bool> {
    match source.given.is_set(flag) {
        true => Some(source.given.on(flag)),
        false => source.file.get(flag).and_then(serde_json::Value::as_bool),
    }
}

fn optional<T: FromStr>(source: &Source, flag: &str) -> Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = source.text(flag).filter(|t| !t.is_empty());
    let read = |text: String| text.parse().with_context(|| format!("--{flag} {text}"));
    text.map(read).transpose()
}

fn addresses(flag: &str, list: Vec<String>) -> Result<Vec<IpAddr>> {
    list.iter()
        .map(|text| text.parse().with_context(|| format!("--{flag} {text}")))
        .collect()
}

fn gateways(source: &Source) -> Result<Vec<IpAddr>> {
    let mut list = source.list("host-gateway-ip", "host-gateway-ips");
    if let Some(one) = source.file.get("host-gateway-ip").and_then(|v| v.as_str()) {
        list.push(one.to_owned());
    }
    addresses("host-gateway-ip", list)
}

/// `--fixed-cidr` and `--fixed-cidr-v6`.
fn fixed(source: &Source, bip: &[Subnet]) -> Result<Vec<Subnet>> {
    let mut all = Vec::new();
    for (flag, v4) in [("fixed-cidr", true), ("fixed-cidr-v6", false)] {
        let Some(text) = source.text(flag).filter(|t| !t.is_empty()) else {
            continue;
        };
        let subnet: Subnet = text.parse().with_context(|| format!("--{flag}"))?;
        if subnet.is_ipv4() != v4 {
            bail!("--{flag} {text}: it is of the other family");
        }
        if let Some(bridge) = bip.iter().find(|b| b.is_ipv4() == v4)
            && (subnet.prefix < bridge.prefix || !bridge.contains(subnet.address))
        {
            bail!("--{flag} {text} does not lie in the default bridge's subnet {bridge}");
        }
        all.push(subnet.masked());
    }
    Ok(all)
}

/// `--default-gateway` and `--default-gateway-v6`: in a subnet that is known, or becomes known with the bridge.
fn routers(
    source: &Source,
    bip: &[Subnet],
    fixed: &[Subnet],
    bridge: &DefaultBridge,
) -> Result<Vec<IpAddr>> {
    let mut all = Vec::new();
    for (flag, v4) in [("default-gateway", true), ("default-gateway-v6", false)] {
        let Some(ip) = optional::<IpAddr>(source, flag)? else {
            continue;
        };
        let lies_in = |s: &Subnet| s.contains(ip);
        let is_known = bip.iter().any(lies_in) || fixed.iter().any(lies_in);
        if ip.is_ipv4() != v4 {
            bail!("--{flag} {ip}: it is of the other family");
        }
        if !is_known && !matches!(bridge, DefaultBridge::Named(_)) {
            bail!("--{flag} {ip} does not lie in the default bridge's subnet: give it with --bip");
        }
        all.push(ip);
    }
    Ok(all)
}

/// `bridge=KEY=VALUE`, or in the file `{"bridge": {"KEY": "VALUE"}}`.
fn driver_options(source: &Source) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for text in source.given.list("default-network-opt") {
        let words = text.split_once('=').and_then(|(driver, pair)| {
            let (key, value) = pair.split_once('=')?;
            Some((driver, key, value))
        });
        let (driver, key, value) = words.with_context(|| {
            format!("--default-network-opt {text}: DRIVER=OPTION=VALUE is needed")
        })?;
        let options = all.entry(driver.to_owned()).or_default();
        options.insert(key.to_owned(), value.to_owned());
    }
    let file = source.file.get("default-network-opts");
    for (driver, options) in file
        .and_then(serde_json::Value::as_object)
        .into_iter()
        .flatten()
    {
        for (key, value) in options.as_object().into_iter().flatten() {
            let value = value.as_str().with_context(|| {
                format!("default-network-opts: {driver}: {key}: a text is needed")
            })?;
            let options = all.entry(driver.clone()).or_default();
            options.insert(key.clone(), value.to_owned());
        }
    }
    Ok(all)
}

/// `base=10.20.0.0/16,size=24`, or in the file `[{"base": "10.20.0.0/16", "size": 24}]`.
fn pools(source: &Source) -> Result<Vec<(Subnet, u8)>> {
    let mut pools = Vec::new();
    for text in source.given.list("default-address-pool") {
        let (mut base, mut size) = (None, None);
        for field in text.split(',') {
            match field.split_once('=') {
                Some(("base", value)) => base = Some(value.to_owned()),
                Some(("size", value)) => size = value.parse::<u64>().ok(),
                _ => bail!("--default-address-pool {text}: base=SUBNET,size=BITS is needed"),
            }
        }
        pools.push(pool(base.as_deref(), size)?);
    }
    let file = source.file.get("default-address-pools");
    for entry in file
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
    {
        let base = entry.get("base").and_then(serde_json::Value::as_str);
        let size = entry.get("size").and_then(serde_json::Value::as_u64);
        pools.push(pool(base, size)?);
    }
    Ok(pools)
}

fn pool(base: Option<&str>, size: Option<u64>) -> Result<(Subnet, u8)> {
    let base = base.context("default-address-pool: no base")?;
    let subnet: Subnet = base
        .parse()
        .with_context(|| format!("default-address-pool: base {base}"))?;
    let size = size.context("default-address-pool: no size")?;
    let size = u8::try_from(size).unwrap_or(u8::MAX);
    if !subnet.is_ipv4() {
        bail!(
            "default-address-pool: base {base}: subnets of IPv6 come from the daemon's own prefix"
        );
    }
    if size < subnet.prefix || size > 30 {
        bail!("default-address-pool: size {size} does not cut {base} into subnets");
    }
    Ok((subnet.masked(), size))
}

#[cfg(test)]
mod tests {
    use super::super::{Asked, parse};
    use super::*;

    fn parsed(words: &[&str]) -> Result<NetworkOptions> {
        let words: Vec<std::ffi::OsString> = words.iter().map(Into::into).collect();
        match parse(&words)? {
            Asked::Daemon(options) => Ok(options.engine.network),
            Asked::Text(text) => bail!(text),
        }
    }

    #[test]
    fn networks_are_as_dockerd_names_them() {
        let options = parsed(&[
            "--bip",
            "10.9.0.1/16",
            "--default-address-pool",
            "base=10.20.0.0/16,size=24",
            "--dns",
            "9.9.9.9",
            "--icc=false",
            "--mtu",
            "1400",
            "--ip",
            "127.0.0.1",
            "--published-ports=open",
            "--ipv6=false",
        ])
        .expect("valid");
        assert_eq!(options.bip[0].to_string(), "10.9.0.1/16");
        assert_eq!(options.address_pools[0].1, 24);
        assert!(!options.icc && options.published_ports_open);
        assert_eq!((options.mtu, options.ipv6), (Some(1400), Some(false)));
        assert_eq!(parsed(&[]).expect("valid"), NetworkOptions::default());
        let options = parsed(&[
            "--bip=10.9.0.1/16",
            "--fixed-cidr=10.9.7.0/24",
            "--default-gateway=10.9.0.254",
            "--default-network-opt=bridge=com.docker.network.driver.mtu=1400",
            "--ip-forward=false",
            "--ip-forward-no-drop",
        ])
        .expect("valid");
        assert_eq!(options.fixed_cidr[0].to_string(), "10.9.7.0/24");
        assert_eq!(options.default_gateway[0].to_string(), "10.9.0.254");
        let mtu = &options.driver_options["bridge"]["com.docker.network.driver.mtu"];
        assert_eq!(mtu, "1400");
        assert!(!options.ip_forward && options.forward_open);
        let none = parsed(&["-b", "none"]).expect("valid");
        assert_eq!(none.bridge, DefaultBridge::None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for words in [
            &["--bip", "10.9.0.0/16"][..],
            &["--bip", "fd00::1/64"],
            &["--bip", "10.9.0.1/16", "--bridge", "none"],
            &["--published-ports", "sometimes"],
            &["--mtu", "12"],
            &["--dns", "here"],
            &["--default-address-pool", "base=10.20.0.0/16,size=8"],
            &["--default-address-pool", "x"],
            &["--bip", "10.9.0.1/16", "--fixed-cidr", "10.8.0.0/24"],
            &["--bip", "10.9.0.1/16", "--fixed-cidr", "10.0.0.0/8"],
            &["--fixed-cidr-v6", "10.8.0.0/24"],
            &["--bip", "10.9.0.1/16", "--default-gateway", "10.8.0.1"],
            &["--default-gateway", "10.9.0.254"],
            &["--default-network-opt", "bridge"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }
}
