//! nf_tables: tables, chains, rules, sets and maps.
//!
//! What shall change is plain data, a list of [`Change`]s; [`commit`] has the kernel do all of them or none.
//! [`tables`], [`chains`] and [`rules`] read back what is there, and [`Watch`] tells of what others change.
//!
//! The words are those of nft(8); numbers are from linux/netfilter/nf_tables.h and userspace types from libnftables, so
//! that `nft list ruleset` prints our tables as if it had made them.

mod change;
mod dump;
mod effect;
mod expression;
mod set;
mod watch;

use crate::batch::Batch;
use crate::error::Error;
use crate::message::Writer;
use crate::socket::Socket;

pub use change::{Base, Chain, ChainKind, Change, Hook, Policy, Rule};
pub use dump::{FoundChain, FoundRule, chains, rules, table_rules, tables};
pub use effect::{Effect, Interfaces, Whom};
pub use expression::{Ct, Expression, FibResult, Meta, Nat, Payload, Slot, Verdict, fib};
pub use set::{Element, Key, Set, Type};
pub use watch::{Event, Watch};

/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u16 = 10;
/// `struct nfgenmsg`.
const HEADER: usize = 4;

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// IPv4 and IPv6 in one table.
    Inet = 1,
    /// IPv4.
    Ip = 2,
    /// Frames that pass through a bridge.
    Bridge = 7,
    /// IPv6.
    Ip6 = 10,
}

impl Family {
    /// The family of this number; `None` for those that are not spoken of here (arp, netdev).
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        [Self::Inet, Self::Ip, Self::Bridge, Self::Ip6]
            .into_iter()
            .find(|family| *family as u8 == number)
    }
}

/// Makes all changes at once, or none.
///
/// # Errors
/// [`Error::Refused`] with the place of the refused change: ENOENT for something that is not there, EEXIST or EBUSY for
/// an element whose value is another.
pub fn commit(socket: &Socket, changes: &[Change]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::transaction(None);
    for (place, change) in changes.iter().enumerate() {
        batch.push(change.message(place));
    }
    socket.batch(batch)
}

/// A message of the subsystem: its kind (`NFT_MSG_*`), flags, and its family.
fn request(kind: u16, flags: u16, family: u8) -> Writer {
    let mut message = Writer::new(SUBSYSTEM << 8 | kind, flags);
    message.header(&[family, 0, 0, 0]);
    message
}

#[cfg(test)]
mod tests;
