//! What can be changed: plain data, and its message.

use crate::message::{Writer, flags};
use crate::nft::expression::Expression;
use crate::nft::set::{Element, Set};
use crate::nft::{Family, request};

/// `NFT_MSG_*`.
mod kind {
    pub(super) const NEW_TABLE: u16 = 0;
    pub(super) const DELETE_TABLE: u16 = 2;
    pub(super) const NEW_CHAIN: u16 = 3;
    pub(super) const NEW_RULE: u16 = 6;
    pub(super) const DELETE_RULE: u16 = 8;
    pub(super) const NEW_SET: u16 = 9;
    pub(super) const NEW_ELEMENTS: u16 = 12;
    pub(super) const DELETE_ELEMENTS: u16 = 14;
}

/// Elements of one message: what fits an attribute, whose length has 16 bits.
const ELEMENTS_BYTES: usize = 48 * 1024;

/// One change among those that [`commit`](super::commit) makes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Makes a table, unless it is there.
    AddTable(Family, String),
    /// Deletes a table with all that is in it.
    DeleteTable(Family, String),
    /// Makes a chain.
    AddChain(Chain),
    /// Puts a rule at the end of its chain.
    AddRule(Rule),
    /// Puts a rule before another one of its chain.
    InsertRule {
        /// The new one.
        rule: Rule,
        /// The number of the one that shall be behind it, see [`FoundRule`](super::FoundRule).
        before: u64,
    },
    /// Deletes the rule of this number.
    DeleteRule {
        /// Of its table.
        family: Family,
        /// Its table.
        table: String,
        /// Its chain.
        chain: String,
        /// Its number, see [`FoundRule`](super::FoundRule).
        handle: u64,
    },
    /// Makes a set or a map.
    AddSet(Set),
    /// Puts elements into a set; those that are in it already may stay.
    AddElements(Elements),
    /// Takes elements out of a set; each must be in it.
    DeleteElements(Elements),
}

/// Elements of one set, few enough for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    family: Family,
    table: String,
    set: String,
    fields: usize,
    elements: Vec<Element>,
}

/// A chain of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where packets come to it; `None` for one that rules jump to.
    pub base: Option<Base>,
}

/// Where packets come to a chain, and what becomes of those that no rule decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// What it may do.
    pub kind: ChainKind,
    /// Where.
    pub hook: Hook,
    /// Lower comes first.
    pub priority: i32,
    /// At its end.
    pub policy: Policy,
}

/// What a chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Accept and drop.
    Filter,
    /// Translate addresses: sees only the first packet of each connection.
    Nat,
}

/// A point in a packet's way: `NF_INET_*` and, with the same numbers, `NF_BR_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Hook {
    /// Just arrived.
    Prerouting = 0,
    /// For the host itself.
    Input = 1,
    /// Passing through.
    Forward = 2,
    /// From the host itself.
    Output = 3,
    /// About to leave.
    Postrouting = 4,
}

/// What becomes of packets that no rule decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Policy {
    /// They are gone.
    Drop = 0,
    /// They go on.
    Accept = 1,
}

/// A rule at the end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// What it does.
    pub expressions: Vec<Expression>,
    /// Words for people, shown by nft; at most 250 bytes.
    pub comment: Option<String>,
}

impl Change {
    /// Puts elements into a set, in as few changes as messages are needed.
    #[must_use]
    pub fn add_elements(set: &Set, elements: &[Element]) -> Vec<Self> {
        Elements::split(set, elements)
            .map(Self::AddElements)
            .collect()
    }

    /// Takes elements out of a set, in as few changes as messages are needed.
    #[must_use]
    pub fn delete_elements(set: &Set, elements: &[Element]) -> Vec<Self> {
        Elements::split(set, elements)
            .map(Self::DeleteElements)
            .collect()
    }

    /// The message of the change at this place of a transaction.
    pub(super) fn message(&self, place: usize) -> Writer {
        let create = flags::CREATE;
        match self {
            Self::AddTable(family, name) => {
                let mut message = request(kind::NEW_TABLE, create, *family as u8);
                message.text(1, name).be32(2, 0);
                message
            }
            Self::DeleteTable(family, name) => {
                let mut message = request(kind::DELETE_TABLE, 0, *family as u8);
                message.text(1, name);
                message
            }
            Self::AddChain(chain) => {
                let mut message = request(kind::NEW_CHAIN, create, chain.family as u8);
                chain.write(&mut message);
                message
            }
            Self::AddRule(rule) => {
                let mut message =
                    request(kind::NEW_RULE, create | flags::APPEND, rule.family as u8);
                rule.write(&mut message);
                message
            }
            Self::InsertRule { rule, before } => {
                let mut message = request(kind::NEW_RULE, create, rule.family as u8);
                rule.write(&mut message);
                message.be64(6, *before);
                message
            }
            Self::DeleteRule {
                family,
                table,
                chain,
                handle,
            } => {
                let mut message = request(kind::DELETE_RULE, 0, *family as u8);
                message.text(1, table).text(2, chain).be64(3, *handle);
                message
            }
            Self::AddSet(set) => {
                let mut message = request(kind::NEW_SET, create, set.family as u8);
                // Any number that no other set of the transaction has.
                set.write(&mut message, place as u32 + 1);
                message
            }
            Self::AddElements(elements) => {
                elements.message(request(kind::NEW_ELEMENTS, create, elements.family as u8))
            }
            Self::DeleteElements(elements) => {
                elements.message(request(kind::DELETE_ELEMENTS, 0, elements.family as u8))
            }
        }
    }
}

impl Elements {
    fn split<'a>(set: &'a Set, elements: &'a [Element]) -> impl Iterator<Item = Self> + 'a {
        let longest = elements.iter().map(Element::len_bytes).max().unwrap_or(1);
        elements
            .chunks((ELEMENTS_BYTES / longest).max(1))
            .map(|chunk| Self {
                family: set.family,
                table: set.table.clone(),
                set: set.name.clone(),
                fields: set.key.len(),
                elements: chunk.to_vec(),
            })
    }

    fn message(&self, mut message: Writer) -> Writer {
        message.text(1, &self.table).text(2, &self.set);
        message.nest(3, |list| {
            for element in &self.elements {
                element.write(list, self.fields);
            }
        });
        message
    }
}

impl Chain {
    fn write(&self, message: &mut Writer) {
        message.text(1, &self.table).text(3, &self.name);
        if let Some(base) = self.base {
            message.nest(4, |hook| {
                hook.be32(1, base.hook as u32)
                    .be32(2, base.priority.cast_unsigned());
            });
            message.be32(5, base.policy as u32);
            message.text(
                7,
                match base.kind {
                    ChainKind::Filter => "filter",
                    ChainKind::Nat => "nat",
                },
            );
        }
    }
}

impl Rule {
    fn write(&self, message: &mut Writer) {
        message.text(1, &self.table).text(2, &self.chain);
        message.nest(4, |list| {
            for expression in &self.expressions {
                expression.write(list);
            }
        });
        if let Some(comment) = &self.comment {
            message.bytes_of(7, &comment_bytes(comment));
        }
    }
}

/// A comment as libnftables keeps it: type 0, length, text and NUL.
fn comment_bytes(comment: &str) -> Vec<u8> {
    let end = comment.floor_char_boundary(250);
    let text = &comment.as_bytes()[..end];
    let length = u8::try_from(text.len() + 1).expect("at most 251");
    [&[0, length], text, &[0]].concat()
}
