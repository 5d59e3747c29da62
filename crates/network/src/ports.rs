//! Ports of the host that belong to a container.
//!
//! A port is reserved by binding it: what another program holds is found out at once, and nobody can take it later. The
//! bound sockets are handed to the container's shim, which answers connections from the host's loopback on them and holds
//! the port as long as the container lives. [`Ports`] remembers whose they are, so that a refusal can name the holder; it is
//! rebuilt at start-up by [`Ports::adopt`].

mod holder;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt,
};
use serde::{Deserialize, Serialize};

pub use holder::Holder;

/// Connections that wait for being accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// Where ports are picked from when the kernel does not say.
const DEFAULT_RANGE: RangeInclusive<u16> = 49153..=65535;
/// The kernel's own range for ports that nobody chose.
const LOCAL_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// A transport protocol that has ports.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The number in an IP header (`IPPROTO_TCP` and so on).
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// Not the name of a [`Protocol`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid proto: {0}")]
pub struct UnknownProtocol(pub String);

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(UnknownProtocol(text.to_owned())),
        }
    }
}

/// For whom a port is reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// What [`Ports::release`] goes by: a container's id.
    pub id: String,
    /// What a user is shown: a container's name.
    pub name: String,
}

/// What is to be reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The host's address; none: all addresses of both families (IPv6 where the host has it).
    pub host: Option<IpAddr>,
    /// One port of these, the first that is free; `0..=0`: any port of the kernel's range for such.
    pub ports: RangeInclusive<u16>,
    /// The transport.
    pub protocol: Protocol,
    /// Where the port leads; for the text of a refusal.
    pub target: SocketAddr,
}

/// One bound address of a reserved port.
#[derive(Debug)]
pub struct Bound {
    /// The host's side.
    pub address: SocketAddr,
    /// The socket: listening for TCP, bound for UDP, nonblocking. None for SCTP on a kernel without it.
    pub socket: Option<OwnedFd>,
}

/// A reserved port. Closing the sockets does not release it: [`Ports::release`] does.
#[derive(Debug)]
pub struct Reservation {
    /// The host's port.
    pub port: u16,
    /// The transport.
    pub protocol: Protocol,
    /// One or two: for `host: None`, IPv4's and IPv6's wildcard address, in this order.
    pub bound: Vec<Bound>,
}

/// A port that could not be reserved. The texts are Docker's, with the holder behind where it is known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A container of ours has it.
    #[error("Bind for {address} failed: port is already allocated (by container {})", owner.name)]
    Taken {
        /// The host's side.
        address: SocketAddr,
        /// Who has it.
        owner: Owner,
    },
    /// No port of a range is free.
    #[error("Bind for {host}:{}-{} failed: all ports are allocated", ports.start(), ports.end())]
    Exhausted {
        /// The host's address.
        host: IpAddr,
        /// The range.
        ports: RangeInclusive<u16>,
    },
    /// The kernel refused.
    #[error(
        "failed to bind host port for {address}:{target}/{protocol}: {}{}",
        words(*errno), by(holder.as_ref())
    )]
    Bind {
        /// The host's side.
        address: SocketAddr,
        /// The container's side.
        target: SocketAddr,
        /// The transport.
        protocol: Protocol,
        /// Why.
        errno: Errno,
        /// Who has it, if it is in use and that can be seen.
        holder: Option<Holder>,
    },
}

impl Error {
    /// What it means to whoever asked. Docker answers a start that fails so with status 500.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        fault::Kind::Internal
    }
}

fn words(errno: Errno) -> String {
    match errno {
        Errno::ADDRINUSE => "address already in use".to_owned(),
        Errno::ADDRNOTAVAIL => "cannot assign requested address".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        other => {
            let text = io::Error::from(other).to_string();
            let end = text.find(" (os error").unwrap_or(text.len());
            text[..end].to_lowercase()
        }
    }
}

fn by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(" (by {holder})"))
}

/// Whose the reserved ports are.
#[derive(Debug, Default)]
pub struct Ports {
    held: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    held: BTreeMap<(Protocol, u16), Vec<(IpAddr, Owner)>>,
    /// After which port the next search for any port begins.
    last: u16,
}

impl Ports {
    /// Knows no port yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds a port, or says who has it.
    ///
    /// # Errors
    /// [`Error`]; nothing is bound or remembered then.
    pub fn reserve(&self, owner: &Owner, wanted: &Wanted) -> Result<Reservation, Error> {
        let hosts: Vec<IpAddr> = match wanted.host {
            Some(host) => vec![host],
            None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        };
        let mut table = self.table();
        let any = *wanted.ports.end() == 0;
        let range = if any {
            local_range()
        } else {
            wanted.ports.clone()
        };
        let one = range.start() == range.end();
        let start = if any && range.contains(&table.last) {
            table.last
        } else {
            *range.end()
        };
        // Once around, beginning behind `start`.
        let candidates = (start..=*range.end()).skip(1).chain(*range.start()..=start);
        for port in candidates {
            match table.bind_all(&hosts, port, wanted) {
                Ok(bound) => {
                    table.last = if any { port } else { table.last };
                    table.note(owner, wanted.protocol, &bound);
                    return Ok(Reservation {
                        port,
                        protocol: wanted.protocol,
                        bound,
                    });
                }
                Err(Error::Taken { .. }) if !one => {}
                Err(Error::Bind {
                    errno: Errno::ADDRINUSE,
                    ..
                }) if !one => {}
                Err(error) => return Err(error.with_holder()),
            }
        }
        Err(Error::Exhausted {
            host: hosts[0],
            ports: range,
        })
    }

    /// Remembers a port that a container has from before this daemon began; its sockets are with its shim.
    pub fn adopt(&self, owner: &Owner, protocol: Protocol, address: SocketAddr) {
        let bound = [Bound {
            address,
            socket: None,
        }];
        self.table().note(owner, protocol, &bound);
    }

    /// Forgets all ports of a container.
    pub fn release(&self, owner_id: &str) {
        let mut table = self.table();
        table.held.retain(|_, holders| {
            holders.retain(|(_, owner)| owner.id != owner_id);
            !holders.is_empty()
        });
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic elsewhere leaves the table as true as it was.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn holder(&self, protocol: Protocol, address: SocketAddr) -> Option<&Owner> {
        let holders = self.held.get(&(protocol, address.port()))?;
        let holder = holders.iter().find(|(held, _)| meet(*held, address.ip()));
        holder.map(|(_, owner)| owner)
    }

    fn note(&mut self, owner: &Owner, protocol: Protocol, bound: &[Bound]) {
        for Bound { address, .. } in bound {
            let holders = self.held.entry((protocol, address.port())).or_default();
            holders.push((address.ip(), owner.clone()));
        }
    }

    /// Binds one port on every address, or on none.
    fn bind_all(&self, hosts: &[IpAddr], port: u16, wanted: &Wanted) -> Result<Vec<Bound>, Error> {
        let mut all = Vec::with_capacity(hosts.len());
        for &host in hosts {
            let address = SocketAddr::new(host, port);
            if let Some(owner) = self.holder(wanted.protocol, address) {
                let owner = owner.clone();
                return Err(Error::Taken { address, owner });
            }
            match bind_one(address, wanted.protocol) {
                Ok(socket) => all.push(Bound { address, socket }),
                // A host without IPv6 has no wildcard of it to bind.
                Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
                    if wanted.host.is_none() && host.is_ipv6() => {}
                Err(errno) => {
                    return Err(Error::Bind {
                        address,
                        target: wanted.target,
                        protocol: wanted.protocol,
                        errno,
                        holder: None,
                    });
                }
            }
        }
        Ok(all)
    }
}

impl Error {
    /// Looks for the program that has the port: only for an error that is told, because it reads all of /proc.
    fn with_holder(mut self) -> Self {
        if let Self::Bind {
            address,
            protocol,
            errno: Errno::ADDRINUSE,
            holder,
            ..
        } = &mut self
        {
            *holder = holder::find(*protocol, *address);
        }
        self
    }
}

/// Whether two bound addresses exclude each other on one port.
fn meet(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
        && (one == other || one.is_unspecified() || other.is_unspecified())
}

/// A bound (TCP, SCTP: listening) socket; none when the kernel does not have SCTP.
fn bind_one(address: SocketAddr, protocol: Protocol) -> Result<Option<OwnedFd>, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = match socket_with(family, kind, flags, Some(number)) {
        Err(Errno::PROTONOSUPPORT) if protocol == Protocol::Sctp => return Ok(None),
        other => other?,
    };
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol != Protocol::Udp {
        // Connections of the port's last holder that the kernel has not forgotten are no hindrance. (For UDP the option
        // would mean to share the port.)
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if protocol == Protocol::Udp {
        // The shim must know where a datagram was sent to, also of those that come before it reads the first.
        let _ = sys::datagram::tell_destinations(&socket, address.is_ipv4());
    }
    if address.ip().is_loopback() {
        // Where the kernel was told to route 127.0.0.0/8 (`route_localnet`, as Kubernetes does), a neighbour of the host could
        // send here as well (CVE-2020-8558).
        sys::net::bind_to_device(&socket, c"lo")
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    }
    bind(&socket, &address)?;
    if protocol != Protocol::Udp {
        listen(&socket, BACKLOG)?;
    }
    Ok(Some(socket))
}

fn local_range() -> RangeInclusive<u16> {
    let text = std::fs::read_to_string(LOCAL_RANGE).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(low)), Some(Ok(high))) if 0 < low && low <= high => low..=high,
        _ => DEFAULT_RANGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        Owner {
            id: format!("id-{name}"),
            name: name.to_owned(),
        }
    }

    fn wanted(host: Option<&str>, ports: RangeInclusive<u16>, protocol: Protocol) -> Wanted {
        Wanted {
            host: host.map(|host| host.parse().expect("an address")),
            ports,
            protocol,
            target: "172.17.0.2:80".parse().expect("an address"),
        }
    }

    /// Three free ports in a row, as seen now.
    fn free_ports() -> RangeInclusive<u16> {
        let ports = Ports::new();
        for start in (20_000..30_000).step_by(3) {
            let all_free = (start..start + 3).all(|port| {
                let wanted = wanted(None, port..=port, Protocol::Tcp);
                ports.reserve(&owner("probe"), &wanted).is_ok()
            });
            if all_free {
                return start..=start + 2;
            }
        }
        panic!("no three free ports in a row");
    }

    #[test]
    fn protocols_read_as_they_print() {
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        let error = "icmp".parse::<Protocol>().expect_err("it has no ports");
        assert_eq!(error.to_string(), "invalid proto: icmp");
    }

    #[test]
    fn a_port_without_an_address_is_bound_for_both_families() {
        let ports = Ports::new();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let got = ports
                .reserve(&owner("web"), &wanted(None, 0..=0, protocol))
                .expect("a port");
            assert!(local_range().contains(&got.port));
            let addresses: Vec<String> = got.bound.iter().map(|b| b.address.to_string()).collect();
            let port = got.port;
            let mut expect = vec![format!("0.0.0.0:{port}")];
            if std::path::Path::new("/proc/net/if_inet6").exists() {
                expect.push(format!("[::]:{port}"));
            }
            assert_eq!(addresses, expect);
            for bound in &got.bound {
                let socket = bound.socket.as_ref().expect("a socket");
                let listens = sockopt::socket_acceptconn(socket).expect("an option");
                assert_eq!(listens, protocol == Protocol::Tcp);
            }
        }
    }

    #[test]
    fn a_range_gives_its_first_free_port_and_then_says_that_it_is_full() {
        let range = free_ports();
        let ports = Ports::new();
        let want = wanted(Some("127.0.0.1"), range.clone(), Protocol::Tcp);
        let first = *range.start();
        let _foreign =
            std::net::TcpListener::bind(("127.0.0.1", first + 1)).expect("it was free just now");
        let got: Vec<Reservation> = (0..2)
            .map(|_| ports.reserve(&owner("web"), &want).expect("a port"))
            .collect();
        assert_eq!([got[0].port, got[1].port], [first, first + 2]);
        let error = ports.reserve(&owner("web"), &want).expect_err("full");
        assert_eq!(
            error.to_string(),
            format!(
                "Bind for 127.0.0.1:{first}-{} failed: all ports are allocated",
                first + 2
            )
        );
    }

    #[test]
    fn a_port_of_ours_is_refused_by_name_until_it_is_released() {
        let port = *free_ports().start();
        let ports = Ports::new();
        let want = wanted(None, port..=port, Protocol::Tcp);
        let got = ports.reserve(&owner("web"), &want).expect("a port");
        drop(got); // its sockets are with a shim
        let narrow = wanted(Some("127.0.0.1"), port..=port, Protocol::Tcp);
        let error = ports.reserve(&owner("b"), &narrow).expect_err("taken");
        assert_eq!(
            error.to_string(),
            format!(
                "Bind for 127.0.0.1:{port} failed: port is already allocated (by container web)"
            )
        );
        // Another transport has its own ports.
        let udp = wanted(None, port..=port, Protocol::Udp);
        ports.reserve(&owner("b"), &udp).expect("a port");
        ports.release("id-web");
        ports.reserve(&owner("b"), &narrow).expect("free again");
    }

    #[test]
    fn a_port_of_another_program_is_refused_with_its_name() {
        let foreign = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = foreign.local_addr().expect("an address").port();
        let error = Ports::new()
            .reserve(&owner("web"), &wanted(None, port..=port, Protocol::Tcp))
            .expect_err("in use");
        let text = error.to_string();
        let expect = format!(
            "failed to bind host port for 0.0.0.0:{port}:172.17.0.2:80/tcp: address already in use (by "
        );
        assert!(text.starts_with(&expect), "{text}");
        assert!(
            text.ends_with(&format!(", pid {})", std::process::id())),
            "{text}"
        );
    }

    #[test]
    fn an_address_that_the_host_does_not_have_cannot_be_assigned() {
        let error = Ports::new()
            .reserve(
                &owner("web"),
                &wanted(Some("192.0.2.1"), 8080..=8080, Protocol::Udp),
            )
            .expect_err("not ours");
        assert_eq!(
            error.to_string(),
            "failed to bind host port for 192.0.2.1:8080:172.17.0.2:80/udp: cannot assign requested address"
        );
    }

    #[test]
    fn an_adopted_port_counts_as_taken() {
        let ports = Ports::new();
        let address = "0.0.0.0:8099".parse().expect("an address");
        ports.adopt(&owner("old"), Protocol::Sctp, address);
        let want = wanted(None, 8099..=8099, Protocol::Sctp);
        let error = ports.reserve(&owner("web"), &want).expect_err("taken");
        assert!(matches!(error, Error::Taken { owner, .. } if owner.name == "old"));
    }

    #[test]
    fn the_search_for_any_port_goes_around() {
        let ports = Ports::new();
        let want = wanted(Some("127.0.0.1"), 0..=0, Protocol::Udp);
        let one = ports.reserve(&owner("a"), &want).expect("a port").port;
        let two = ports.reserve(&owner("a"), &want).expect("a port").port;
        assert_ne!(one, two);
        ports.table().last = *local_range().end();
        let three = ports.reserve(&owner("a"), &want).expect("a port").port;
        assert!(local_range().contains(&three) && three != one && three != two);
    }
}
