//! What a rule does: its expressions, run in order until one does not match.

use crate::message::Writer;
use crate::nft::Family;

/// A place of 4 bytes in the 64 bytes that a rule may calculate in. Longer values fill the slots that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub u8);

impl Slot {
    /// `NFT_REG32_00` and those behind it.
    fn number(self) -> u32 {
        8 + u32::from(self.0)
    }
}

/// `NFT_REG_VERDICT`.
const VERDICT: u32 = 0;

/// Something known of a packet without looking into it: `NFT_META_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Meta {
    /// The `EtherType` of what it carries, behind a VLAN's tag if it has one; 2 bytes.
    Protocol = 1,
    /// The interface it came in by, 16 bytes.
    InInterface = 6,
    /// The interface it goes out by, 16 bytes.
    OutInterface = 7,
    /// The transport protocol, 1 byte.
    Transport = 16,
    /// The kind of the interface it came in by, such as `bridge`, 16 bytes; a rule that asks this of an interface of no
    /// kind, as those of hardware are, does not apply. Linux 5.3.
    InKind = 26,
    /// Likewise of the interface it goes out by.
    OutKind = 27,
}

/// Something that connection tracking knows: `NFT_CT_*`. Each fills 4 bytes, in the machine's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Ct {
    /// A bit of [`Ct::ESTABLISHED`] and its like.
    State = 0,
    /// A set of bits such as [`Ct::TRANSLATED`].
    Status = 2,
}

impl Ct {
    /// State: an answer was seen.
    pub const ESTABLISHED: u32 = 0x2;
    /// State: belongs to a connection without being part of it.
    pub const RELATED: u32 = 0x4;
    /// State: the first of its connection, or no answer yet.
    pub const NEW: u32 = 0x8;
    /// Status: the destination was translated (`IPS_DST_NAT`).
    pub const TRANSLATED: u32 = 0x20;
}

/// Where in a packet something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// `NFT_PAYLOAD_*`: 0 the link's header, 1 the network's, 2 the transport's.
    pub base: u32,
    /// Bytes behind the header's start.
    pub offset: u32,
    /// How many bytes.
    pub len_bytes: u32,
}

/// What to find in the routing table: `NFT_FIB_RESULT_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum FibResult {
    /// 1 where there is a route by this way, else 0.
    Present = 1,
    /// `RTN_*`: 2 for the host's own addresses.
    AddressKind = 3,
}

/// Which address is looked up in the routing table, and with what: `NFTA_FIB_F_*`.
pub mod fib {
    /// The source.
    pub const SOURCE: u32 = 1;
    /// The destination.
    pub const DESTINATION: u32 = 2;
    /// Only by the interface that the packet came from.
    pub const IN_INTERFACE: u32 = 8;
    /// The answer is yes or no.
    pub const PRESENT: u32 = 32;
    /// `RTN_LOCAL`, an answer to [`AddressKind`](super::FibResult::AddressKind).
    pub const LOCAL: u32 = 2;
}

/// Which end of a connection is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Nat {
    /// Its source.
    Source = 0,
    /// Its destination.
    Destination = 1,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not looked at further by this chain; others still may drop it.
    Accept,
    /// Gone.
    Drop,
    /// On in another chain, without coming back.
    Goto(String),
}

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Loads something known of the packet.
    Meta(Meta, Slot),
    /// Loads something that connection tracking knows.
    Ct(Ct, Slot),
    /// Loads bytes of the packet; does not match where it is too short.
    Payload(Payload, Slot),
    /// Asks the routing table; `flags` are of [`fib`].
    Fib {
        /// What to find.
        result: FibResult,
        /// Of what.
        flags: u32,
        /// Where to put it, 4 bytes in the machine's order.
        to: Slot,
    },
    /// Loads a constant.
    Load(Vec<u8>, Slot),
    /// Goes on only where the slot holds these bytes.
    Equal(Slot, Vec<u8>),
    /// Goes on only where the slot does not hold these bytes.
    Unequal(Slot, Vec<u8>),
    /// Keeps only these bits of what begins at a slot.
    Mask(Slot, Vec<u8>),
    /// Goes on only where the set has what begins at the slot.
    In(String, Slot),
    /// Goes on only where the set has not what begins at the slot.
    NotIn(String, Slot),
    /// Goes on only where the map has what begins at `key`; its value then begins at `to`.
    Map {
        /// The map's name.
        map: String,
        /// Where the key begins.
        key: Slot,
        /// Where the value goes.
        to: Slot,
    },
    /// Translates to an address and a port.
    Nat {
        /// Which end.
        kind: Nat,
        /// Of the addresses.
        family: Family,
        /// Where the address is; `None` leaves it.
        address: Option<Slot>,
        /// Where the port is; `None` leaves it.
        port: Option<Slot>,
    },
    /// Translates the source to the address of the interface that the packet leaves by.
    Masquerade,
    /// Sends a copy to a neighbour: its address, and the number of the interface (4 bytes in the machine's order).
    Duplicate {
        /// Where the address is.
        address: Slot,
        /// Where the interface's number is.
        device: Slot,
    },
    /// Counts packets and bytes.
    Counter,
    /// Decides.
    Verdict(Verdict),
}

impl Expression {
    /// Writes it as one element of a rule's list.
    pub(super) fn write(&self, list: &mut Writer) {
        list.nest(1, |element| {
            element.text(1, self.name());
            element.nest(2, |data| self.write_attributes(data));
        });
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Meta(..) => "meta",
            Self::Ct(..) => "ct",
            Self::Payload(..) => "payload",
            Self::Fib { .. } => "fib",
            Self::Load(..) | Self::Verdict(..) => "immediate",
            Self::Equal(..) | Self::Unequal(..) => "cmp",
            Self::Mask(..) => "bitwise",
            Self::In(..) | Self::NotIn(..) | Self::Map { .. } => "lookup",
            Self::Nat { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Duplicate { .. } => "dup",
            Self::Counter => "counter",
        }
    }

    /// The attributes of each kind, in the numbers of linux/netfilter/nf_tables.h (`NFTA_META_*` and so on).
    fn write_attributes(&self, data: &mut Writer) {
        match self {
            Self::Meta(what, to) => {
                data.be32(1, to.number()).be32(2, *what as u32);
            }
            Self::Ct(what, to) => {
                data.be32(1, to.number()).be32(2, *what as u32);
            }
            Self::Payload(payload, to) => {
                data.be32(1, to.number())
                    .be32(2, payload.base)
                    .be32(3, payload.offset)
                    .be32(4, payload.len_bytes);
            }
            Self::Fib { result, flags, to } => {
                data.be32(1, to.number())
                    .be32(2, *result as u32)
                    .be32(3, *flags);
            }
            Self::Load(value, to) => {
                data.be32(1, to.number());
                write_value(data, 2, value);
            }
            Self::Equal(slot, value) => write_comparison(data, *slot, 0, value),
            Self::Unequal(slot, value) => write_comparison(data, *slot, 1, value),
            Self::Mask(slot, bits) => {
                data.be32(1, slot.number())
                    .be32(2, slot.number())
                    .be32(3, bits.len() as u32);
                write_value(data, 4, bits);
                write_value(data, 5, &vec![0; bits.len()]);
            }
            Self::In(set, slot) => {
                data.text(1, set).be32(2, slot.number());
            }
            Self::NotIn(set, slot) => {
                data.text(1, set).be32(2, slot.number()).be32(5, 1);
            }
            Self::Map { map, key, to } => {
                data.text(1, map).be32(2, key.number()).be32(3, to.number());
            }
            Self::Nat {
                kind,
                family,
                address,
                port,
            } => {
                data.be32(1, *kind as u32).be32(2, *family as u32);
                if let Some(address) = address {
                    data.be32(3, address.number());
                }
                if let Some(port) = port {
                    data.be32(5, port.number());
                }
            }
            Self::Masquerade | Self::Counter => {}
            Self::Duplicate { address, device } => {
                data.be32(1, address.number()).be32(2, device.number());
            }
            Self::Verdict(verdict) => {
                data.be32(1, VERDICT);
                data.nest(2, |value| {
                    value.nest(2, |inner| write_verdict(inner, verdict));
                });
            }
        }
    }
}

fn write_comparison(data: &mut Writer, slot: Slot, operator: u32, value: &[u8]) {
    data.be32(1, slot.number()).be32(2, operator);
    write_value(data, 3, value);
}

/// A nest of kind `kind` with `NFTA_DATA_VALUE`.
pub(super) fn write_value(data: &mut Writer, kind: u16, value: &[u8]) {
    data.nest(kind, |nest| {
        nest.bytes_of(1, value);
    });
}

fn write_verdict(data: &mut Writer, verdict: &Verdict) {
    /// `NFT_GOTO`, -4.
    const GOTO: u32 = (-4i32).cast_unsigned();
    match verdict {
        Verdict::Drop => data.be32(1, 0),
        Verdict::Accept => data.be32(1, 1),
        Verdict::Goto(chain) => data.be32(1, GOTO).text(2, chain),
    };
}
