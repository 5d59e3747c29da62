//! Addresses of links.

use std::net::IpAddr;

use super::{UNSPECIFIED, family};
use crate::error::Error;
use crate::message::{Message, Writer, flags};
use crate::socket::Socket;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;

/// `struct ifaddrmsg`.
const HEADER: usize = 8;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;

/// `IFA_F_NODAD`: nobody else has it, so it is usable at once.
const NO_DETECTION: u32 = 0x02;
/// `RT_SCOPE_LINK`, of link-local addresses; others have `RT_SCOPE_UNIVERSE`, 0.
const SCOPE_LINK: u8 = 253;

/// An address as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The link's index.
    pub link: u32,
    /// The link's own address.
    pub address: IpAddr,
    /// How many leading bits its network has.
    pub prefix: u8,
}

impl Address {
    fn read(message: &Message) -> Option<Self> {
        let header: &[u8; HEADER] = message.header()?;
        let attributes = message.attributes(HEADER);
        // On a link to one peer, IFA_ADDRESS is the peer's.
        let address = attributes
            .get(IFA_LOCAL)
            .or_else(|| attributes.get(IFA_ADDRESS))?
            .address()?;
        Some(Self {
            link: u32::from_ne_bytes([header[4], header[5], header[6], header[7]]),
            address,
            prefix: header[1],
        })
    }
}

/// Gives a link an address; one of IPv6 without asking the network whether somebody has it.
#[must_use]
pub fn add(link: u32, address: IpAddr, prefix: u8) -> Writer {
    let mut message = Writer::new(RTM_NEWADDR, flags::CREATE | flags::EXCLUSIVE);
    write(&mut message, link, address, prefix);
    match address {
        IpAddr::V4(v4) if prefix < 31 => {
            let last = v4.to_bits() | (u32::MAX >> prefix);
            message.address(IFA_BROADCAST, std::net::Ipv4Addr::from_bits(last).into());
        }
        IpAddr::V4(_) => {}
        IpAddr::V6(_) => {
            message.u32(IFA_FLAGS, NO_DETECTION);
        }
    }
    message
}

/// Takes an address from a link.
#[must_use]
pub fn remove(link: u32, address: IpAddr, prefix: u8) -> Writer {
    let mut message = Writer::new(RTM_DELADDR, 0);
    write(&mut message, link, address, prefix);
    message
}

/// All addresses of both families in the socket's namespace.
///
/// # Errors
/// What [`Socket::dump`] says.
pub fn list(socket: &Socket) -> Result<Vec<Address>, Error> {
    list_of(socket, 0)
}

/// The addresses of one link.
///
/// # Errors
/// What [`Socket::dump`] says; ENODEV: no such link.
pub fn list_of(socket: &Socket, link: u32) -> Result<Vec<Address>, Error> {
    let [a, b, c, d] = link.to_ne_bytes();
    let mut request = Writer::new(RTM_GETADDR, 0);
    request.header(&[UNSPECIFIED, 0, 0, 0, a, b, c, d]);
    let mut addresses: Vec<Address> = socket
        .dump(request)?
        .iter()
        .filter_map(Address::read)
        .collect();
    // A kernel before 4.20 tells of all links.
    addresses.retain(|one| link == 0 || one.link == link);
    Ok(addresses)
}

fn write(message: &mut Writer, link: u32, address: IpAddr, prefix: u8) {
    let scope = match address {
        IpAddr::V4(v4) if v4.is_link_local() => SCOPE_LINK,
        _ => 0,
    };
    let [a, b, c, d] = link.to_ne_bytes();
    message
        .header(&[family(address), prefix, 0, scope, a, b, c, d])
        .address(IFA_LOCAL, address)
        .address(IFA_ADDRESS, address);
}
