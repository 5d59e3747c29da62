//! Bridges, veth pairs and macvlan links, and what a container sees of them.
//!
//! ```text
//! container's namespace │ host
//!        eth0 ──────────┼── veth1a2b3c4 ── br-0123456789ab (gateway's addresses)      a Wire to a bridge
//!        eth0 ──────────┼── eth0's parent                                             a Wire of macvlan
//!                       │ estiva-o ══ estiva-i                                        the pair that admits published ports
//! ```
//! Every function opens its own socket, in the network namespace of the calling thread; nothing is kept in memory, the
//! kernel's tables are the only state. Links that we made carry the alias `estiva`.

mod bridge;
mod error;
mod host;
mod pair;
mod parent;
mod wire;

#[cfg(test)]
mod tests;

pub use bridge::{Bridge, BridgeSpec, ensure_bridge, remove_bridge, strip_bridge};
pub use error::{Error, Step};
pub use host::{
    Families, disable_forwarding, enable_forwarding, forwarding, has_bridges, has_ipv6,
    host_ranges, uplink_mtu,
};
pub use netlink::route::link::{IpvlanFlag, IpvlanMode, Link, MacvlanMode};
pub use pair::{Admission, ensure_pair};
pub use parent::{ensure_dummy, ensure_vlan, parents_of};
pub use wire::{Wire, WireKind, mac_of, plug, plug_fresh, set_gateways, unplug};

use std::net::IpAddr;

use netlink::batch::Batch;
use netlink::message::Writer;
use netlink::route::{address, link};
use netlink::socket::Socket;
use rustix::io::Errno;

/// The alias of links that we made.
pub(crate) const MARK: &str = "estiva";

/// The longest name of a link, in bytes: `IFNAMSIZ` less its NUL.
const LONGEST_NAME: usize = 15;

/// Whether the kernel takes this as a link's name. It becomes part of paths under /proc/sys too.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name != "."
        && name != ".."
        // These are directories beside the links' own under /proc/sys/net/ipv4/conf.
        && name != "all"
        && name != "default"
        && !name
            .bytes()
            .any(|byte| matches!(byte, b'/' | b':' | b'%') || byte.is_ascii_whitespace() || byte.is_ascii_control())
}

/// The link of this name, if there is one.
///
/// # Errors
/// [`Error::Read`].
pub fn find(name: &str) -> Result<Option<Link>, Error> {
    find_with(&open()?, name)
}

/// All links whose names begin so, such as those that a daemon before us left.
///
/// # Errors
/// [`Error::Read`].
pub fn links_with_prefix(prefix: &str) -> Result<Vec<Link>, Error> {
    let mut links = link::list(&open()?).map_err(|source| Error::Read {
        what: "links",
        source,
    })?;
    links.retain(|link| link.name.starts_with(prefix));
    Ok(links)
}

/// The addresses of a link with their prefixes, but for IPv6's link-local ones; none when the link is not there.
///
/// # Errors
/// [`Error::Read`].
pub fn addresses_of(name: &str) -> Result<Vec<(IpAddr, u8)>, Error> {
    let socket = open()?;
    let Ok(index) = link::index(&socket, name) else {
        return Ok(Vec::new());
    };
    let mut addresses = addresses_with(&socket, index)?;
    addresses.retain(|(address, _)| match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    });
    Ok(addresses)
}

/// Removes a link, and a veth's other end with it; `false` when it was not there.
///
/// # Errors
/// [`Error::Remove`].
pub fn remove_link(name: &str) -> Result<bool, Error> {
    remove_with(&open()?, name)
}

/// A socket in the namespace of this thread.
fn open() -> Result<Socket, Error> {
    Socket::route().map_err(|source| Error::Open { source })
}

fn find_with(socket: &Socket, name: &str) -> Result<Option<Link>, Error> {
    link::find(socket, name).map_err(|source| Error::Read {
        what: "link",
        source,
    })
}

fn addresses_with(socket: &Socket, index: u32) -> Result<Vec<(IpAddr, u8)>, Error> {
    let addresses = address::list_of(socket, index).map_err(|source| Error::Read {
        what: "addresses",
        source,
    })?;
    Ok(addresses
        .into_iter()
        .map(|one| (one.address, one.prefix))
        .collect())
}

fn remove_with(socket: &Socket, name: &str) -> Result<bool, Error> {
    let mut batch = Batch::new();
    batch.push(link::remove(name));
    match socket.batch(batch) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(false),
        Err(source) => Err(Error::Remove {
            name: name.to_owned(),
            source,
        }),
    }
}

/// Messages that go out together, and what each is for.
#[derive(Debug, Default)]
struct Plan {
    batch: Batch,
    steps: Vec<Step>,
}

impl Plan {
    fn add(&mut self, step: Step, message: Writer) {
        self.batch.push(message);
        self.steps.push(step);
    }

    fn carry_out(self, socket: &Socket) -> Result<(), Error> {
        let Self { batch, mut steps } = self;
        socket.batch(batch).map_err(|source| {
            let place = source.index().filter(|index| *index < steps.len());
            Error::Step {
                step: place.map_or(Step::Together, |index| steps.swap_remove(index)),
                source,
            }
        })
    }
}

/// A hardware address that no maker has given to any card, with Docker's first two bytes.
fn random_mac() -> Result<[u8; 6], Error> {
    let mut mac = [0x02, 0x42, 0, 0, 0, 0];
    rustix::rand::getrandom(&mut mac[2..], rustix::rand::GetRandomFlags::empty()).map_err(
        |source| Error::Random {
            source: source.into(),
        },
    )?;
    Ok(mac)
}
