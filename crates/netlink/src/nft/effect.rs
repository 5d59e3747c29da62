//! What a rule of somebody's does to the packets that come to it, as far as others must know.

use crate::message::Attributes;

/// What becomes of the packets that come to a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: they are counted or logged and go on.
    Nothing,
    /// All are dropped or rejected: nothing behind it is ever asked.
    Wall,
    /// Those of some interfaces are dropped or rejected, with nothing else asked of them.
    WallOfInterfaces,
    /// All are accepted by this chain.
    Accepts,
    /// All go back to where the chain was jumped to from.
    Returns,
    /// They go on in another chain of the table.
    Leads {
        /// Its name.
        to: String,
        /// Which of them.
        whom: Whom,
        /// Whether those that the chain does not decide on come back.
        comes_back: bool,
    },
    /// Anything else: it may decide on some of them.
    Some,
}

/// Which packets a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// All.
    All,
    /// Those of some interfaces, with nothing else asked of them.
    OfInterfaces,
    /// Those with something more in common.
    Some,
}

/// Whether a rule's expressions ask if a packet's source is reached by the interface that it came in by (RFC 3704).
pub(super) fn asks_way_back(expressions: &Attributes<'_>) -> bool {
    /// `NFTA_F_FIB_SADDR` and `NFTA_F_FIB_IIF`.
    const SOURCE_BY_INTERFACE: u32 = 1 | 8;
    expressions.clone().any(|expression| {
        let expression = expression.nested();
        let name = expression.get(1);
        let data = expression.get(2).map(|data| data.nested());
        let of_data = |kind| data.as_ref().and_then(|data| data.get(kind));
        match name.and_then(|name| name.text()) {
            // `NFTA_FIB_FLAGS`.
            Some("fib") => of_data(3)
                .and_then(|flags| flags.be32())
                .is_some_and(|flags| flags & SOURCE_BY_INTERFACE == SOURCE_BY_INTERFACE),
            Some("match") => of_data(1).and_then(|name| name.text()) == Some("rpfilter"),
            _ => false,
        }
    })
}

/// What a rule asks of interfaces by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// Of that which a packet came in by: what its name, filled up with zeros to 16 bytes, begins with.
    pub input: Option<Vec<u8>>,
    /// Likewise of that which it goes out by.
    pub output: Option<Vec<u8>>,
}

/// What a rule's expressions ask of interfaces; `None` where it is anything but equality with one name each.
pub(super) fn interfaces(expressions: &Attributes<'_>) -> Option<Interfaces> {
    let mut asked = Interfaces::default();
    let mut loaded = None;
    for expression in expressions.clone() {
        let expression = expression.nested();
        let data = expression.get(2).map(|data| data.nested());
        let number = |kind: u16| data.as_ref()?.get(kind)?.be32();
        match expression.get(1)?.text()? {
            "meta" => loaded = number(2),
            "cmp" if number(2) == Some(EQUAL) => {
                let value = data.as_ref()?.get(3)?.nested().get(1)?.value.to_vec();
                let place = match loaded.take()? {
                    INPUT_NAME => &mut asked.input,
                    OUTPUT_NAME => &mut asked.output,
                    _ => return None,
                };
                if place.replace(value).is_some() {
                    return None;
                }
            }
            "counter" | "log" | "immediate" | "reject" | "target" => {}
            _ => return None,
        }
    }
    (asked != Interfaces::default()).then_some(asked)
}

/// Reads a rule's expressions.
pub(super) fn read(expressions: &Attributes<'_>) -> Effect {
    let mut rule = Reading::default();
    for expression in expressions.clone() {
        let expression = expression.nested();
        match expression.get(1).and_then(|name| name.text()) {
            Some(name) => rule.add(name, &expression.get(2).map(|data| data.nested())),
            None => return Effect::Some,
        }
    }
    rule.effect()
}

/// What has been read of a rule so far.
#[derive(Debug, Default)]
struct Reading {
    loaded: Loaded,
    asks_of_interface: bool,
    asks_of_more: bool,
    verdict: Option<Verdict>,
    /// It decides by a map, or in a way that is not known here.
    is_odd: bool,
}

/// What the next comparison is about.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Loaded {
    #[default]
    Nothing,
    Interface,
    More,
}

#[derive(Debug)]
enum Verdict {
    Drop,
    Accept,
    Return,
    Continue,
    Jump(String),
    Goto(String),
}

impl Reading {
    fn add(&mut self, name: &str, data: &Option<Attributes<'_>>) {
        let number = |kind: u16| data.as_ref()?.get(kind)?.be32();
        match name {
            "counter" | "log" => {}
            "meta" => match number(1) {
                Some(_) => self.load(number(2).is_some_and(|key| INTERFACES.contains(&key))),
                // Without a place to load to (`NFTA_META_DREG`) it sets something, a mark for one.
                None => self.loaded = Loaded::Nothing,
            },
            "cmp" | "range" => self.compare(),
            // With a target (`NFTA_LOOKUP_DREG`) it is a map: of verdicts, or one that loads something.
            "lookup" => match number(3) {
                None => self.compare(),
                Some(VERDICT) => self.is_odd = true,
                Some(_) => self.load(false),
            },
            "immediate" if number(1) == Some(VERDICT) => match data.as_ref().and_then(verdict) {
                Some(verdict) => self.verdict = Some(verdict),
                None => self.is_odd = true,
            },
            "immediate" => self.load(false),
            "reject" => self.verdict = Some(Verdict::Drop),
            // As iptables writes what has no word of nft's own.
            "target" => match data.as_ref().and_then(|data| data.get(1)?.text()) {
                Some("REJECT") => self.verdict = Some(Verdict::Drop),
                Some("LOG" | "NFLOG") => {}
                _ => self.is_odd = true,
            },
            "match" if data.as_ref().and_then(|data| data.get(1)?.text()) == Some("comment") => {}
            // Verdicts of their own.
            "queue" | "nat" | "masq" | "redir" | "tproxy" | "synproxy" => self.is_odd = true,
            _ => self.asks_of_more = true,
        }
    }

    fn load(&mut self, is_interface: bool) {
        self.loaded = match (self.loaded, is_interface) {
            (Loaded::Nothing | Loaded::Interface, true) => Loaded::Interface,
            _ => Loaded::More,
        };
    }

    fn compare(&mut self) {
        match std::mem::take(&mut self.loaded) {
            Loaded::Interface => self.asks_of_interface = true,
            _ => self.asks_of_more = true,
        }
    }

    fn effect(self) -> Effect {
        let whom = match (self.asks_of_more, self.asks_of_interface) {
            (true, _) => Whom::Some,
            (false, true) => Whom::OfInterfaces,
            (false, false) => Whom::All,
        };
        let leads = |to: String, comes_back: bool| Effect::Leads {
            to,
            whom,
            comes_back,
        };
        match (self.is_odd, self.verdict) {
            (true, _) => Effect::Some,
            (_, None | Some(Verdict::Continue)) => Effect::Nothing,
            (_, Some(Verdict::Jump(to))) => leads(to, true),
            (_, Some(Verdict::Goto(to))) => leads(to, false),
            (_, Some(Verdict::Drop)) if whom == Whom::OfInterfaces => Effect::WallOfInterfaces,
            (_, Some(_)) if whom != Whom::All => Effect::Some,
            (_, Some(Verdict::Drop)) => Effect::Wall,
            (_, Some(Verdict::Accept)) => Effect::Accepts,
            (_, Some(Verdict::Return)) => Effect::Returns,
        }
    }
}

/// `NFT_REG_VERDICT`.
const VERDICT: u32 = 0;
/// `NFT_META_IIFNAME` and `NFT_META_OIFNAME`.
const INPUT_NAME: u32 = 6;
const OUTPUT_NAME: u32 = 7;
/// Those, `NFT_META_IIF` and `NFT_META_OIF`.
const INTERFACES: [u32; 4] = [4, 5, INPUT_NAME, OUTPUT_NAME];
/// `NFT_CMP_EQ`.
const EQUAL: u32 = 0;

/// The verdict in the data of an immediate: `NFTA_IMMEDIATE_DATA`, `NFTA_DATA_VERDICT`, `NFTA_VERDICT_CODE` and `_CHAIN`.
fn verdict(immediate: &Attributes<'_>) -> Option<Verdict> {
    let verdict = immediate.get(2)?.nested().get(2)?.nested();
    let chain = || Some(verdict.get(2)?.text()?.to_owned());
    Some(match verdict.get(1)?.be32()?.cast_signed() {
        0 => Verdict::Drop,
        1 => Verdict::Accept,
        -1 => Verdict::Continue,
        -3 => Verdict::Jump(chain()?),
        -4 => Verdict::Goto(chain()?),
        -5 => Verdict::Return,
        _ => return None,
    })
}
