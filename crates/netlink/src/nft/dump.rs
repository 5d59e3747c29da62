//! What is there: tables, chains and rules as the kernel tells them.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::message::{Attribute, Attributes, Message, Writer};
use crate::nft::change::{Base, ChainKind, Hook, Policy};
use crate::nft::effect::{self, Effect, Interfaces, Whom};
use crate::nft::{Family, HEADER, request};
use crate::socket::Socket;

const GET_TABLE: u16 = 1;
const GET_CHAIN: u16 = 4;
const GET_RULE: u16 = 7;

/// A chain that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundChain {
    /// Of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where packets come to it; `None` also for kinds and hooks that are not spoken of here.
    pub base: Option<Base>,
    /// How many rules are in it, and how many rules and elements of maps lead there, together.
    pub uses: u32,
}

/// A rule that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRule {
    /// Its number in its table.
    pub handle: u64,
    /// Words for people.
    pub comment: Option<String>,
    /// What it does to the packets that come to it.
    pub effect: Effect,
    /// What it asks of interfaces, where it leads on or drops for that alone, and only for names.
    pub interfaces: Option<Interfaces>,
    /// Whether it asks if a packet's source is reached by the interface that it came in by.
    pub asks_way_back: bool,
}

/// All tables of the namespace, of the families that are spoken of here.
///
/// # Errors
/// As [`Socket::dump`].
pub fn tables(socket: &Socket) -> Result<Vec<(Family, String)>, Error> {
    let found = socket.dump(request(GET_TABLE, 0, 0))?;
    Ok(found
        .iter()
        .filter_map(|message| Some((family(message)?, text(&message.attributes(HEADER), 1)?)))
        .collect())
}

/// All chains of the namespace, of the families that are spoken of here.
///
/// # Errors
/// As [`Socket::dump`].
pub fn chains(socket: &Socket) -> Result<Vec<FoundChain>, Error> {
    let found = socket.dump(request(GET_CHAIN, 0, 0))?;
    Ok(found.iter().filter_map(read_chain).collect())
}

/// The rules of a chain, in order. None for a chain that is not there.
///
/// # Errors
/// As [`Socket::dump`].
pub fn rules(
    socket: &Socket,
    family: Family,
    table: &str,
    chain: &str,
) -> Result<Vec<FoundRule>, Error> {
    let mut question = request(GET_RULE, 0, family as u8);
    question.text(1, table).text(2, chain);
    let mut found = read_rules(socket, question, table)?;
    Ok(found.remove(chain).unwrap_or_default())
}

/// All rules of a table, by their chains, in order; chains without rules are left out. None for a table that is not there.
///
/// # Errors
/// As [`Socket::dump`].
pub fn table_rules(
    socket: &Socket,
    family: Family,
    table: &str,
) -> Result<BTreeMap<String, Vec<FoundRule>>, Error> {
    let mut question = request(GET_RULE, 0, family as u8);
    question.text(1, table);
    read_rules(socket, question, table)
}

fn read_rules(
    socket: &Socket,
    question: Writer,
    table: &str,
) -> Result<BTreeMap<String, Vec<FoundRule>>, Error> {
    let found = match socket.dump(question) {
        Err(error) if error.kind() == fault::Kind::NotFound => Vec::new(),
        other => other?,
    };
    let mut rules: BTreeMap<String, Vec<FoundRule>> = BTreeMap::new();
    for message in &found {
        if let Some((chain, rule)) = read_rule(message, table) {
            rules.entry(chain).or_default().push(rule);
        }
    }
    Ok(rules)
}

fn read_rule(message: &Message, table: &str) -> Option<(String, FoundRule)> {
    let attributes = message.attributes(HEADER);
    if text(&attributes, 1)? != table {
        return None;
    }
    let expressions = attributes.get(4).map(|list| list.nested());
    let effect = expressions.as_ref().map_or(Effect::Nothing, effect::read);
    // Tables have thousands of rules, and few of these.
    let is_of_interfaces = matches!(
        effect,
        Effect::WallOfInterfaces
            | Effect::Leads {
                whom: Whom::OfInterfaces,
                ..
            }
    );
    let rule = FoundRule {
        handle: attributes.get(3)?.be64()?,
        comment: attributes.get(7).and_then(comment),
        interfaces: expressions
            .as_ref()
            .filter(|_| is_of_interfaces)
            .and_then(effect::interfaces),
        asks_way_back: effect == Effect::Some
            && expressions.as_ref().is_some_and(effect::asks_way_back),
        effect,
    };
    Some((text(&attributes, 2)?, rule))
}

fn read_chain(message: &Message) -> Option<FoundChain> {
    let attributes = message.attributes(HEADER);
    Some(FoundChain {
        family: family(message)?,
        table: text(&attributes, 1)?,
        name: text(&attributes, 3)?,
        base: read_base(&attributes),
        uses: attributes.get(6)?.be32()?,
    })
}

fn read_base(attributes: &Attributes<'_>) -> Option<Base> {
    let hook = attributes.get(4)?.nested();
    let kind = match attributes.get(7)?.text()? {
        "filter" => ChainKind::Filter,
        "nat" => ChainKind::Nat,
        _ => return None,
    };
    Some(Base {
        kind,
        hook: match hook.get(1)?.be32()? {
            0 => Hook::Prerouting,
            1 => Hook::Input,
            2 => Hook::Forward,
            3 => Hook::Output,
            4 => Hook::Postrouting,
            _ => return None,
        },
        priority: hook.get(2)?.be32()?.cast_signed(),
        policy: match attributes.get(5)?.be32()? {
            0 => Policy::Drop,
            _ => Policy::Accept,
        },
    })
}

pub(super) fn family(message: &Message) -> Option<Family> {
    Family::of(message.header::<HEADER>()?[0])
}

pub(super) fn text(attributes: &Attributes<'_>, kind: u16) -> Option<String> {
    Some(attributes.get(kind)?.text()?.to_owned())
}

/// The comment in a rule's user data: type, length and value, one after the other.
fn comment(data: Attribute<'_>) -> Option<String> {
    let mut rest = data.value;
    while let [kind, length, more @ ..] = rest {
        let value = more.get(..usize::from(*length))?;
        if *kind == 0 {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return std::str::from_utf8(text).ok().map(str::to_owned);
        }
        rest = &more[value.len()..];
    }
    None
}
