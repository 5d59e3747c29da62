//! rtnetlink: links, addresses, routes and neighbours.
//!
//! Builders make one message each, to be put into a [`Batch`](crate::batch::Batch); readers ask a socket and hand out
//! plain values. What they name is numbered as in linux/rtnetlink.h, if_link.h, if_addr.h and neighbour.h.

pub mod address;
pub mod link;
pub mod neighbour;
pub mod table;

use std::net::IpAddr;

/// `AF_UNSPEC`: all families, or none.
const UNSPECIFIED: u8 = 0;
const INET: u8 = 2;
const INET6: u8 = 10;

/// The number of an address's family.
fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { INET } else { INET6 }
}

/// The address `0.0.0.0` or `::` of a family; `None` for one that has no IP addresses.
fn unspecified(family: u8) -> Option<IpAddr> {
    match family {
        INET => Some(std::net::Ipv4Addr::UNSPECIFIED.into()),
        INET6 => Some(std::net::Ipv6Addr::UNSPECIFIED.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
