//! What the host's own network is like, and what must be true of it.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use netlink::route::{address, link, table};

use super::{Error, open};
use crate::subnet::Subnet;

const IPV4_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
const IPV6_CONF: &str = "/proc/sys/net/ipv6/conf";

/// All ranges in which the host has addresses or to which it has routes, in any table, sorted, each once.
///
/// Left out is what no network of ours could collide with: default routes (also those made of pieces, as VPNs do:
/// 0.0.0.0/1 and 128.0.0.0/1), loopback, link-local IPv6, multicast.
///
/// # Errors
/// [`Error::Read`].
pub fn host_ranges() -> Result<Vec<Subnet>, Error> {
    let socket = open()?;
    let read = |what| move |source| Error::Read { what, source };
    let addresses = address::list(&socket).map_err(read("addresses"))?;
    let mut routes = Vec::new();
    for kind in [table::UNICAST].into_iter().chain(table::REFUSALS) {
        routes.extend(table::list_of_kind(&socket, kind).map_err(read("routes"))?);
    }
    let ranges: BTreeSet<Subnet> = addresses
        .iter()
        .map(|one| (one.address, one.prefix))
        .chain(
            routes
                .iter()
                .filter(|route| route.table != table::LOCAL)
                .map(|route| (route.destination, route.prefix)),
        )
        .filter_map(|(address, prefix)| Subnet::new(address, prefix))
        .map(|range| range.masked())
        .filter(is_of_interest)
        .collect();
    Ok(ranges.into_iter().collect())
}

fn is_of_interest(range: &Subnet) -> bool {
    match range.address {
        IpAddr::V4(v4) => {
            // No range for private use is wider than 10.0.0.0/8; what is wider is a piece of a default route.
            range.prefix >= 8 && !v4.is_loopback() && !v4.is_multicast()
        }
        IpAddr::V6(v6) => {
            // Likewise fc00::/7.
            range.prefix >= 7
                && !v6.is_loopback()
                && !v6.is_multicast()
                && !v6.is_unicast_link_local()
        }
    }
}

/// The MTU of the link that the host's default route goes out on, in bytes; `None` without a default route.
///
/// # Errors
/// [`Error::Read`].
pub fn uplink_mtu() -> Result<Option<u32>, Error> {
    let socket = open()?;
    let routes = table::list_of_kind(&socket, table::UNICAST).map_err(|source| Error::Read {
        what: "routes",
        source,
    })?;
    let uplink = routes
        .iter()
        .filter(|route| route.table == table::MAIN && route.is_default())
        .min_by_key(|route| (route.destination.is_ipv6(), route.priority))
        .and_then(|route| route.link);
    let Some(uplink) = uplink else {
        return Ok(None);
    };
    let links = link::list(&socket).map_err(|source| Error::Read {
        what: "links",
        source,
    })?;
    Ok(links
        .iter()
        .find(|link| link.index == uplink)
        .map(|link| link.mtu))
}

/// Whether new links of the host take part in IPv6: the kernel has it, and nobody has switched it off.
#[must_use]
pub fn has_ipv6() -> bool {
    ["all", "default"].iter().all(|scope| {
        read(&format!("{IPV6_CONF}/{scope}/disable_ipv6")).is_some_and(|value| value == "0")
    })
}

/// Whether the kernel knows IPv6, switched off or not.
pub(super) fn has_ipv6_in_kernel() -> bool {
    Path::new(IPV6_CONF).exists()
}

/// Of which families something holds: that the host passes packets on, for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

/// Of which families the host passes packets on between its links now.
#[must_use]
pub fn forwarding() -> Families {
    let is_on = |path: &str| read(path).is_some_and(|value| value != "0");
    Families {
        v4: is_on(IPV4_FORWARD),
        v6: is_on(&format!("{IPV6_CONF}/all/forwarding")),
    }
}

/// Has the host pass on no more packets of these families.
///
/// # Errors
/// [`Error::Switch`].
pub fn disable_forwarding(families: Families) -> Result<(), Error> {
    if families.v4 {
        set(IPV4_FORWARD.to_owned(), "0")?;
    }
    match families.v6 {
        true => set(format!("{IPV6_CONF}/all/forwarding"), "0"),
        false => Ok(()),
    }
}

/// Whether the host has a bridge, whoever made it.
#[must_use]
pub fn has_bridges() -> bool {
    let links = std::fs::read_dir("/sys/class/net");
    links.is_ok_and(|links| {
        links
            .flatten()
            .any(|link| link.path().join("bridge").exists())
    })
}

/// Takes IPv6 from a link of the host, with the address that every link has by itself; does nothing without the kernel's
/// IPv6.
///
/// # Errors
/// [`Error::Switch`].
pub fn take_ipv6_from(link: &str) -> Result<(), Error> {
    match has_ipv6_in_kernel() {
        true => set_ipv6_switch(link, "disable_ipv6", "1"),
        false => Ok(()),
    }
}

/// Lets the host pass packets on between its links, which containers live by.
///
/// A host that learns its own IPv6 default route from its router would lose it by this; so those of its links that accept
/// routers' advertisements are told to do so while forwarding too (`accept_ra` 2). See the kernel's ip-sysctl.rst.
///
/// # Errors
/// [`Error::Switch`].
pub fn enable_forwarding(ipv6: bool) -> Result<(), Error> {
    set(IPV4_FORWARD.to_owned(), "1")?;
    let all = format!("{IPV6_CONF}/all/forwarding");
    if !ipv6 || read(&all).as_deref() == Some("1") {
        return Ok(());
    }
    let links = std::fs::read_dir(IPV6_CONF).map_err(|source| Error::Switch {
        path: IPV6_CONF.to_owned(),
        value: "1",
        source,
    })?;
    for link in links.flatten() {
        let name = link.file_name();
        let Some(name) = name.to_str().filter(|name| *name != "lo" && *name != "all") else {
            continue;
        };
        let value = |switch: &str| read(&format!("{IPV6_CONF}/{name}/{switch}"));
        // A link that comes later takes over what "default" says.
        if value("accept_ra").as_deref() == Some("1") && value("forwarding").as_deref() == Some("0")
        {
            set_ipv6_switch(name, "accept_ra", "2")?;
        }
    }
    set(all, "1")
}

/// Sets a switch of IPv6 on one link.
pub(super) fn set_ipv6_switch(link: &str, switch: &str, value: &'static str) -> Result<(), Error> {
    set(format!("{IPV6_CONF}/{link}/{switch}"), value)
}

/// Writes what is not so yet: where /proc/sys is read-only, what is right already stays no error.
fn set(path: String, value: &'static str) -> Result<(), Error> {
    if read(&path).as_deref() == Some(value) {
        return Ok(());
    }
    std::fs::write(&path, value).map_err(|source| Error::Switch {
        path,
        value,
        source,
    })
}

fn read(path: &str) -> Option<String> {
    let read: io::Result<String> = std::fs::read_to_string(path);
    read.ok().map(|text| text.trim().to_owned())
}
