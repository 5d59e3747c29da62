//! Which hardware address an address on a link has.

use std::net::IpAddr;

use super::{UNSPECIFIED, family};
use crate::error::Error;
use crate::message::{Message, Writer, flags};
use crate::socket::Socket;

const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;

/// `struct ndmsg`.
const HEADER: usize = 12;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;

/// `NUD_PERMANENT`: never asked for and never forgotten.
const PERMANENT: u16 = 0x80;

/// A neighbour as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// The index of the link that it is on.
    pub link: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address, when known.
    pub mac: Option<[u8; 6]>,
    /// Whether it was set for good, not learned.
    pub is_permanent: bool,
}

impl Neighbour {
    fn read(message: &Message) -> Option<Self> {
        let header: &[u8; HEADER] = message.header()?;
        let attributes = message.attributes(HEADER);
        Some(Self {
            link: u32::from_ne_bytes([header[4], header[5], header[6], header[7]]),
            address: attributes.get(NDA_DST)?.address()?,
            mac: attributes
                .get(NDA_LLADDR)
                .and_then(|mac| mac.value.try_into().ok()),
            is_permanent: u16::from_ne_bytes([header[8], header[9]]) & PERMANENT != 0,
        })
    }
}

/// Says for good which hardware address an address has.
#[must_use]
pub fn set_permanent(link: u32, address: IpAddr, mac: [u8; 6]) -> Writer {
    let mut message = Writer::new(RTM_NEWNEIGH, flags::CREATE | flags::REPLACE);
    write(&mut message, link, address, PERMANENT);
    message.bytes_of(NDA_LLADDR, &mac);
    message
}

/// Forgets the hardware address of an address.
#[must_use]
pub fn remove(link: u32, address: IpAddr) -> Writer {
    let mut message = Writer::new(RTM_DELNEIGH, 0);
    write(&mut message, link, address, 0);
    message
}

/// All neighbours in the socket's namespace.
///
/// # Errors
/// What [`Socket::dump`] says.
pub fn list(socket: &Socket) -> Result<Vec<Neighbour>, Error> {
    let mut request = Writer::new(RTM_GETNEIGH, 0);
    request.header(&[UNSPECIFIED; HEADER]);
    let messages = socket.dump(request)?;
    Ok(messages.iter().filter_map(Neighbour::read).collect())
}

fn write(message: &mut Writer, link: u32, address: IpAddr, state: u16) {
    let mut header = [0; HEADER];
    header[0] = family(address);
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    header[8..10].copy_from_slice(&state.to_ne_bytes());
    message.header(&header).address(NDA_DST, address);
}
