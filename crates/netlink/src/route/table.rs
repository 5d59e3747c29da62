//! Entries of the routing tables.

use std::net::IpAddr;

use super::{UNSPECIFIED, family, unspecified};
use crate::error::Error;
use crate::message::{Message, Writer, flags};
use crate::socket::Socket;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;

/// `struct rtmsg`.
const HEADER: usize = 12;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;

/// `RT_TABLE_MAIN`.
pub const MAIN: u32 = 254;
/// `RT_TABLE_LOCAL`: the host's own addresses and broadcasts.
pub const LOCAL: u32 = 255;

/// `RTPROT_BOOT`, as `ip route` and Docker have it.
const PROTOCOL: u8 = 3;
/// `RTN_UNICAST`: leads to other machines.
pub const UNICAST: u8 = 1;
/// `RTN_BLACKHOLE`, `RTN_UNREACHABLE`, `RTN_PROHIBIT`: lead nowhere on purpose.
pub const REFUSALS: [u8; 3] = [6, 7, 8];
/// `RTM_F_CLONED`: an entry of a cache.
const CLONED: u32 = 0x200;

/// A route as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The first address it leads to: `0.0.0.0` or `::` in a default route.
    pub destination: IpAddr,
    /// How many leading bits of the destination count; 0 in a default route.
    pub prefix: u8,
    /// The next router.
    pub gateway: Option<IpAddr>,
    /// The link that it goes out on; the first of several ways.
    pub link: Option<u32>,
    /// Its table: [`MAIN`], [`LOCAL`], or an administrator's.
    pub table: u32,
    /// Its metric: among routes to the same destination the least one is taken.
    pub priority: u32,
    /// `RTN_*`: 1 leads somewhere, 2 is an own address, 6 to 8 are refusals.
    pub kind: u8,
}

impl Route {
    /// Whether it is taken when nothing else fits.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.prefix == 0
    }

    /// Whether it leads to other machines.
    #[must_use]
    pub fn is_unicast(&self) -> bool {
        self.kind == UNICAST
    }

    fn read(message: &Message) -> Option<Self> {
        let header: &[u8; HEADER] = message.header()?;
        if u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) & CLONED != 0 {
            return None;
        }
        let attributes = message.attributes(HEADER);
        let number = |kind| attributes.get(kind).and_then(|a| a.u32());
        // `struct rtnexthop`: length u16, flags, hops, then the link's index.
        let first_way = || {
            let ways = attributes.get(RTA_MULTIPATH)?.value;
            ways.get(4..)?
                .first_chunk()
                .copied()
                .map(u32::from_ne_bytes)
        };
        Some(Self {
            destination: match attributes.get(RTA_DST) {
                Some(destination) => destination.address()?,
                None => unspecified(header[0])?,
            },
            prefix: header[1],
            gateway: attributes.get(RTA_GATEWAY).and_then(|a| a.address()),
            link: number(RTA_OIF).or_else(first_way),
            table: number(RTA_TABLE).unwrap_or_else(|| header[4].into()),
            priority: number(RTA_PRIORITY).unwrap_or_default(),
            kind: header[7],
        })
    }
}

/// A default route through a gateway that a link's network has; an IPv6 one of fe80::/10 needs the link.
#[must_use]
pub fn add_default(gateway: IpAddr, link: Option<u32>) -> Writer {
    let mut message = Writer::new(RTM_NEWROUTE, flags::CREATE | flags::EXCLUSIVE);
    write(&mut message, gateway, 0);
    message.address(RTA_GATEWAY, gateway);
    if let Some(link) = link {
        message.u32(RTA_OIF, link);
    }
    message
}

/// Removes a route that [`list`] has shown.
#[must_use]
pub fn remove(route: &Route) -> Writer {
    let mut message = Writer::new(RTM_DELROUTE, 0);
    write(&mut message, route.destination, route.prefix);
    if route.prefix != 0 {
        message.address(RTA_DST, route.destination);
    }
    message.u32(RTA_PRIORITY, route.priority);
    if let Some(gateway) = route.gateway {
        message.address(RTA_GATEWAY, gateway);
    }
    message
}

/// All routes of both families and all tables in the socket's namespace, broadcasts and the like included.
///
/// # Errors
/// What [`Socket::dump`] says.
pub fn list(socket: &Socket) -> Result<Vec<Route>, Error> {
    list_of_kind(socket, 0)
}

/// The routes of one kind (see [`Route::kind`]): a host with hundreds of addresses has ten times as many routes to itself,
/// which the kernel then need not write out. A kernel before 4.20 writes them all the same.
///
/// # Errors
/// What [`Socket::dump`] says.
pub fn list_of_kind(socket: &Socket, kind: u8) -> Result<Vec<Route>, Error> {
    let mut header = [UNSPECIFIED; HEADER];
    header[7] = kind;
    let mut request = Writer::new(RTM_GETROUTE, 0);
    request.header(&header);
    let mut routes: Vec<Route> = socket
        .dump(request)?
        .iter()
        .filter_map(Route::read)
        .collect();
    routes.retain(|route| kind == 0 || route.kind == kind);
    Ok(routes)
}

fn write(message: &mut Writer, like: IpAddr, prefix: u8) {
    message.header(&[
        family(like),
        prefix,
        0,
        0,
        MAIN as u8,
        PROTOCOL,
        0, // RT_SCOPE_UNIVERSE
        UNICAST,
        0,
        0,
        0,
        0,
    ]);
}
