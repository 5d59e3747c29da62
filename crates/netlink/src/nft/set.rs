//! Sets and maps, and what is in them.
//!
//! A key may be several values side by side ("concatenated"), each padded to 4 bytes. Keys may be ranges where the set
//! is [`is_interval`](Set::is_interval): a key of one value is then a pair of marks in a tree, a longer one carries both
//! of its ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::message::Writer;
use crate::nft::Family;
use crate::nft::expression::write_value;

/// The type of a value, by its number in libnftables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Type {
    /// 4 bytes.
    Ipv4Address = 7,
    /// 16 bytes.
    Ipv6Address = 8,
    /// 6 bytes.
    EthernetAddress = 9,
    /// A transport protocol, 1 byte.
    Protocol = 12,
    /// 2 bytes.
    Port = 13,
    /// An interface's name, 16 bytes.
    Interface = 41,
}

impl Type {
    /// Bytes in a key, padding included.
    fn padded(self) -> u32 {
        match self {
            Self::Ipv6Address | Self::Interface => 16,
            Self::EthernetAddress => 8,
            Self::Ipv4Address | Self::Protocol | Self::Port => 4,
        }
    }

    /// Bytes when it stands alone.
    fn bare(self) -> u32 {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            Self::EthernetAddress => 6,
            _ => self.padded(),
        }
    }
}

/// A named set, or a map when it has `data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// At most 255 bytes.
    pub name: String,
    /// The values that make a key.
    pub key: Vec<Type>,
    /// The values that a key leads to; empty for a set.
    pub data: Vec<Type>,
    /// Whether keys are ranges.
    pub is_interval: bool,
}

const INTERVAL: u32 = 0x4;
const MAP: u32 = 0x8;
const CONCATENATED: u32 = 0x80;

impl Set {
    /// Whether its ranges carry both of their ends.
    fn has_both_ends(&self) -> bool {
        self.is_interval && self.key.len() > 1
    }

    pub(super) fn write(&self, message: &mut Writer, id: u32) {
        let mut flags = 0;
        if self.is_interval {
            flags |= INTERVAL;
        }
        if self.has_both_ends() {
            flags |= CONCATENATED;
        }
        if !self.data.is_empty() {
            flags |= MAP;
        }
        message
            .text(1, &self.table)
            .text(2, &self.name)
            .be32(3, flags)
            .be32(4, number(&self.key))
            .be32(5, length(&self.key));
        if !self.data.is_empty() {
            message
                .be32(6, number(&self.data))
                .be32(7, length(&self.data));
        }
        message.be32(10, id);
        if let [only] = self.key[..] {
            message.bytes_of(13, &byte_order(only));
        }
        if self.has_both_ends() {
            // NFTA_SET_DESC, NFTA_SET_DESC_CONCAT: the fields' lengths, by which the kernel chooses its "pipapo" set.
            message.nest(9, |description| {
                description.nest(2, |fields| {
                    for field in &self.key {
                        fields.nest(1, |one| {
                            one.be32(1, field.bare());
                        });
                    }
                });
            });
        }
    }
}

/// How libnftables is told in which order to read a key of one value (`NFTNL_UDATA_SET_KEYBYTEORDER`, 4 bytes): 1 the
/// machine's, as names have it, 2 the network's.
fn byte_order(one: Type) -> [u8; 6] {
    let order: u32 = if one == Type::Interface { 1 } else { 2 };
    let [a, b, c, d] = order.to_ne_bytes();
    [0, 4, a, b, c, d]
}

/// libnftables puts types of one value side by side in 6 bits each.
fn number(types: &[Type]) -> u32 {
    types
        .iter()
        .fold(0, |number, one| number << 6 | *one as u32)
}

fn length(types: &[Type]) -> u32 {
    match types {
        [one] => one.bare(),
        several => several.iter().map(|one| one.padded()).sum(),
    }
}

/// Values side by side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Key(Vec<u8>);

impl Key {
    /// No value yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an address.
    #[must_use]
    pub fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => self.push(&v4.octets()),
            IpAddr::V6(v6) => self.push(&v6.octets()),
        }
    }

    /// Adds a hardware address.
    #[must_use]
    pub fn mac(self, mac: [u8; 6]) -> Self {
        self.push(&mac)
    }

    /// Adds an interface's name; the kernel knows none of more than 15 bytes.
    #[must_use]
    pub fn interface(self, name: &str) -> Self {
        self.push(&interface(name))
    }

    /// Adds a transport protocol.
    #[must_use]
    pub fn protocol(self, number: u8) -> Self {
        self.push(&[number])
    }

    /// Adds a port.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        self.push(&port.to_be_bytes())
    }

    /// The bytes, each value padded to 4; a value that stands alone has no padding.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn push(mut self, value: &[u8]) -> Self {
        // Only what is followed by something needs padding; the last value gets its own in `padded_to`.
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.0.extend_from_slice(value);
        self
    }

    /// As the kernel wants it: keys of several values are padded at their end too.
    fn wire(&self, is_alone: bool) -> Vec<u8> {
        let mut bytes = self.0.clone();
        if !is_alone {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }
}

/// An interface's name as rules compare it: 16 bytes, filled up with zeros.
#[must_use]
pub(super) fn interface(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    let length = name.len().min(15);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}

/// What is, or shall be, in a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Element {
    /// The key, or the first key of a range.
    pub key: Key,
    /// The last key of a range.
    pub last: Option<Key>,
    /// What the key leads to in a map.
    pub value: Option<Key>,
}

impl Element {
    /// A single key.
    #[must_use]
    pub fn one(key: Key) -> Self {
        Self {
            key,
            last: None,
            value: None,
        }
    }

    /// From a key to another, both included.
    #[must_use]
    pub fn range(first: Key, last: Key) -> Self {
        Self {
            key: first,
            last: Some(last),
            value: None,
        }
    }

    /// A key that leads to a value.
    #[must_use]
    pub fn leading_to(key: Key, value: Key) -> Self {
        Self {
            key,
            last: None,
            value: Some(value),
        }
    }

    /// Writes it into the list of elements of a set of this shape.
    pub(super) fn write(&self, list: &mut Writer, fields: usize) {
        let is_alone = fields == 1;
        match &self.last {
            // A tree of single values: a mark where the range begins, and one behind its end.
            Some(last) if is_alone => {
                write_element(list, &self.key.0, None, None, 0);
                if let Some(behind) = successor(last.bytes()) {
                    write_element(list, &behind, None, None, 1);
                }
            }
            last => write_element(
                list,
                &self.key.wire(is_alone),
                last.as_ref().map(|key| key.wire(false)).as_deref(),
                self.value
                    .as_ref()
                    .map(|value| value.wire(false))
                    .as_deref(),
                0,
            ),
        }
    }

    /// At most so many bytes in a message.
    pub(super) fn len_bytes(&self) -> usize {
        let last = self.last.as_ref().map_or(0, |key| key.0.len() + 32);
        let value = self.value.as_ref().map_or(0, |value| value.0.len() + 16);
        self.key.0.len() + last + value + 32
    }
}

/// `NFTA_SET_ELEM_*`: 1 the key, 2 the value, 3 flags (1: behind a range), 10 the last key.
fn write_element(
    list: &mut Writer,
    key: &[u8],
    last: Option<&[u8]>,
    value: Option<&[u8]>,
    flags: u32,
) {
    list.nest(1, |element| {
        if flags != 0 {
            element.be32(3, flags);
        }
        write_value(element, 1, key);
        if let Some(last) = last {
            write_value(element, 10, last);
        }
        if let Some(value) = value {
            write_value(element, 2, value);
        }
    });
}

/// The number behind this one, in network order; `None` behind the greatest.
fn successor(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut next = bytes.to_vec();
    for byte in next.iter_mut().rev() {
        let (sum, overflows) = byte.overflowing_add(1);
        *byte = sum;
        if !overflows {
            return Some(next);
        }
    }
    None
}

impl From<Ipv4Addr> for Key {
    fn from(address: Ipv4Addr) -> Self {
        Self::new().address(address.into())
    }
}

impl From<Ipv6Addr> for Key {
    fn from(address: Ipv6Addr) -> Self {
        Self::new().address(address.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_on_4_bytes() {
        let key = Key::new().protocol(6).port(8080);
        assert_eq!(key.wire(false), [6, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        assert_eq!(Key::new().port(8080).wire(true), [0x1f, 0x90]);
        let key = Key::new().interface("br0").mac([1, 2, 3, 4, 5, 6]);
        assert_eq!(key.wire(false).len(), 24);
    }

    #[test]
    fn a_long_interface_name_keeps_its_nul() {
        assert_eq!(interface("0123456789abcdefgh"), *b"0123456789abcde\0");
    }

    #[test]
    fn the_successor_carries() {
        assert_eq!(successor(&[10, 0, 255, 255]), Some(vec![10, 1, 0, 0]));
        assert_eq!(successor(&[255; 4]), None);
    }

    #[test]
    fn types_are_numbered_as_nft_numbers_them() {
        assert_eq!(number(&[Type::Ipv4Address, Type::Interface]), 0x1e9);
        assert_eq!(length(&[Type::Ipv4Address, Type::Interface]), 20);
        assert_eq!(length(&[Type::Port]), 2);
        assert_eq!(length(&[Type::Protocol, Type::Port]), 8);
    }
}
