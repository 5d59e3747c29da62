//! Where a chain of somebody else's lets nothing more through, also in the chains that it jumps to. Pure.
//!
//! Followed is what every packet follows: a jump or goto without a condition. A chain that is come to so and ends with a drop
//! of everything is as much the end of the base chain as its own last rule would be, and room is made there, before the
//! drop; as firewalld has it:
//!
//! ```text
//! filter_FORWARD: … ; jump filter_FORWARD_ZONES ; reject
//! filter_FORWARD_ZONES: iifname "eth1" goto filter_FWD_home ; goto filter_FWD_public
//! filter_FWD_public: jump … ; jump … ; reject          ◄─ the end of all that is from nowhere else
//! ```
//! Where a chain jumps for some interfaces and then drops what is left of just these, there is an end of the same kind.
//!
//! But a chain that others come to with a condition (`ip saddr … jump LOGDROP`) is how somebody drops what he means to drop:
//! nothing is put into it. Where it decides on nothing by itself, room is made before the jump to it, and otherwise nowhere:
//! that is told. Conditions on interfaces alone are no such thing: they share out what comes among chains.

use std::collections::{BTreeMap, BTreeSet};

use netlink::nft::{Effect, FoundRule, Interfaces, Whom};

/// More jumps the kernel takes none (`NFT_JUMP_STACK_SIZE`).
const DEEPEST: usize = 16;

/// A table of somebody's: its rules by their chains.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// In order; chains without rules may be left out.
    pub(super) chains: BTreeMap<String, Vec<FoundRule>>,
    /// How many rules each has, and how often it is led to, together.
    pub(super) uses: BTreeMap<String, u32>,
}

/// How a chain ends for what none of its rules has decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It goes back to where it came from, or by the policy.
    Falls,
    /// It is accepted.
    Open,
    /// It is dropped by a rule before which there is room.
    Wall(Room),
    /// It is dropped in a chain that packets come to as well that somebody means to drop.
    Shared {
        /// That chain.
        chain: String,
    },
}

/// A place for rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Room {
    /// In this chain,
    pub(super) chain: String,
    /// before the rule of this handle,
    pub(super) before: u64,
    /// and only for packets of these interfaces: what of others comes by is not at its end yet.
    pub(super) of: Interfaces,
}

/// How a base chain ends, and on the way there for packets of some interfaces. `is_passed_over` tells the rules that are not
/// looked at: our own, and those of our kind.
pub(super) fn end_of(
    rules: &Rules,
    base: &str,
    is_passed_over: fn(&FoundRule) -> bool,
) -> (End, Vec<Room>) {
    let mut search = Search {
        rules,
        is_passed_over,
        known: BTreeMap::new(),
        idle: BTreeMap::new(),
        on_the_way: BTreeSet::new(),
    };
    let end = search.end_of(base, 0);
    let mut rooms: Vec<Room> = search.shared_out(base).collect();
    for chain in &search.on_the_way {
        rooms.extend(search.shared_out(chain));
    }
    (end, rooms)
}

/// Where it is first asked, in each chain that leads on from a base chain, whether a packet came the way that its source is
/// reached by.
pub(super) fn asked_for_way_back(rules: &Rules, base: &str) -> Vec<Room> {
    let mut names = vec![base];
    let mut at = 0;
    while let Some(name) = names.get(at) {
        for rule in rules.chains.get(*name).into_iter().flatten() {
            if let Effect::Leads { to, .. } = &rule.effect
                && !names.contains(&to.as_str())
            {
                names.push(to);
            }
        }
        at += 1;
    }
    let room = |name: &str| {
        let asks = rules.chains.get(name)?.iter().find(|r| r.asks_way_back)?;
        Some(Room {
            chain: name.to_owned(),
            before: asks.handle,
            of: Interfaces::default(),
        })
    };
    names.into_iter().filter_map(room).collect()
}

struct Search<'a> {
    rules: &'a Rules,
    is_passed_over: fn(&FoundRule) -> bool,
    /// So that a chain is looked at once, however many lead there.
    known: BTreeMap<&'a str, End>,
    /// The chains with an end that every packet comes to that was not decided on before, and nobody else.
    on_the_way: BTreeSet<&'a str>,
    idle: BTreeMap<&'a str, Idle>,
}

/// What a chain does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idle {
    /// It decides on nothing.
    Falls,
    /// It drops everything, whatever it is.
    Drops,
    /// It makes a difference between packets.
    Decides,
}

impl<'a> Search<'a> {
    fn chain(&self, name: &str) -> impl Iterator<Item = &'a FoundRule> + use<'a> {
        let is_passed_over = self.is_passed_over;
        let rules = self.rules.chains.get(name).into_iter().flatten();
        rules.filter(move |rule| !is_passed_over(rule))
    }

    fn end_of(&mut self, name: &'a str, depth: usize) -> End {
        if let Some(end) = self.known.get(name) {
            return end.clone();
        }
        let end = match depth < DEEPEST {
            true => self.look(name, depth),
            false => End::Falls,
        };
        self.known.insert(name, end.clone());
        end
    }

    fn look(&mut self, name: &'a str, depth: usize) -> End {
        for rule in self.chain(name) {
            let room = || Room {
                chain: name.to_owned(),
                before: rule.handle,
                of: Interfaces::default(),
            };
            match &rule.effect {
                Effect::Nothing | Effect::Some | Effect::WallOfInterfaces => {}
                Effect::Wall => return End::Wall(room()),
                Effect::Accepts => return End::Open,
                Effect::Returns => return End::Falls,
                Effect::Leads { whom, .. } if *whom != Whom::All => {}
                Effect::Leads { to, comes_back, .. } => {
                    let end = self.end_of(to, depth + 1);
                    let has_end = matches!(end, End::Wall(_) | End::Shared { .. })
                        || self.shared_out(to).next().is_some();
                    let is_open = !matches!(end, End::Shared { .. }) && self.is_for_all(to);
                    match (has_end, is_open) {
                        (false, _) => {}
                        (true, true) => drop(self.on_the_way.insert(to)),
                        (true, false) if self.idle(to, depth + 1) == Idle::Drops => {
                            return End::Wall(room());
                        }
                        (true, false) => {
                            let chain = to.clone();
                            return match end {
                                End::Shared { .. } => end,
                                _ => End::Shared { chain },
                            };
                        }
                    }
                    if !(end == End::Falls && *comes_back) {
                        return end;
                    }
                }
            }
        }
        End::Falls
    }

    /// Where a chain drops what another has not decided on that it jumped to for just these interfaces, as firewalld shares
    /// out its zones from 2.0 on: `oifname "eth0" jump filter_FWD_public; oifname "eth0" reject`.
    fn shared_out(&self, name: &'a str) -> impl Iterator<Item = Room> + use<'a> {
        let pairs = self.chain(name).zip(self.chain(name).skip(1));
        let ends = pairs.filter(|(lead, wall)| {
            let is_shared_out = matches!(
                lead.effect,
                Effect::Leads {
                    whom: Whom::OfInterfaces,
                    comes_back: true,
                    ..
                }
            );
            is_shared_out
                && wall.effect == Effect::WallOfInterfaces
                && lead.interfaces == wall.interfaces
        });
        ends.filter_map(move |(_, wall)| {
            Some(Room {
                chain: name.to_owned(),
                before: wall.handle,
                of: wall.interfaces.clone()?,
            })
        })
    }

    /// Whether nothing leads to a chain with a condition, but on interfaces: neither a rule nor an element of a map.
    fn is_for_all(&self, name: &str) -> bool {
        let leads_there = |rule: &&FoundRule| match &rule.effect {
            Effect::Leads { to, whom, .. } => to == name && *whom != Whom::Some,
            _ => false,
        };
        let all = self.rules.chains.values().flatten();
        let harmless = all.filter(leads_there).count();
        let own = self.rules.chains.get(name).map_or(0, Vec::len);
        let uses = self.rules.uses.get(name).copied().unwrap_or(u32::MAX);
        u32::try_from(own + harmless) == Ok(uses)
    }

    fn idle(&mut self, name: &'a str, depth: usize) -> Idle {
        if let Some(idle) = self.idle.get(name) {
            return *idle;
        }
        let idle = match depth < DEEPEST {
            true => self.look_whether_idle(name, depth),
            false => Idle::Decides,
        };
        self.idle.insert(name, idle);
        idle
    }

    fn look_whether_idle(&mut self, name: &'a str, depth: usize) -> Idle {
        for rule in self.chain(name) {
            match &rule.effect {
                Effect::Nothing => {}
                Effect::Wall => return Idle::Drops,
                Effect::Returns => return Idle::Falls,
                Effect::Accepts | Effect::Some | Effect::WallOfInterfaces => {
                    return Idle::Decides;
                }
                Effect::Leads {
                    to,
                    whom,
                    comes_back,
                } => match (self.idle(to, depth + 1), *whom, *comes_back) {
                    (Idle::Falls, _, true) => {}
                    (Idle::Falls, Whom::All, false) => return Idle::Falls,
                    (Idle::Drops, Whom::All, _) => return Idle::Drops,
                    _ => return Idle::Decides,
                },
            }
        }
        Idle::Falls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules in a small language, a chain a line: `name: word word …`, where `+x` jumps to x, `>x` goes there for good,
    /// `i` and `c` before them mean that it asks for an interface, called as the chain's last letter, or more; `xa` drops
    /// what is of interface a; `.` counts, `?` may decide, `drop`, `accept`,
    /// `return`, `ours`. Handles are numbered through the table from 1.
    fn table(text: &str, also: &[(&str, u32)]) -> Rules {
        let mut rules = Rules::default();
        let mut handle = 0;
        for line in text.lines().filter(|line| line.contains(':')) {
            let (name, words) = line.trim().split_once(':').expect("a name");
            let found = words.split_whitespace().map(|word| {
                handle += 1;
                let leads = |rest: &str, whom| Effect::Leads {
                    to: rest[1..].into(),
                    whom,
                    comes_back: rest.starts_with('+'),
                };
                let effect = match word {
                    "." => Effect::Nothing,
                    "?" | "ours" | "back" => Effect::Some,
                    "drop" => Effect::Wall,
                    _ if word.starts_with('x') => Effect::WallOfInterfaces,
                    "accept" => Effect::Accepts,
                    "return" => Effect::Returns,
                    _ if word.starts_with('i') => leads(&word[1..], Whom::OfInterfaces),
                    _ if word.starts_with('c') => leads(&word[1..], Whom::Some),
                    _ => leads(word, Whom::All),
                };
                FoundRule {
                    handle,
                    comment: (word == "ours").then(|| "ours".into()),
                    effect,
                    interfaces: word.starts_with(['i', 'x']).then(|| Interfaces {
                        input: None,
                        output: word.get(word.len() - 1..).map(|name| name.into()),
                    }),
                    asks_way_back: word == "back",
                }
            });
            rules.chains.insert(name.into(), found.collect());
        }
        for (name, list) in &rules.chains {
            let leads = rules
                .chains
                .values()
                .flatten()
                .filter(|rule| matches!(&rule.effect, Effect::Leads { to, .. } if to == name));
            let uses = list.len() + leads.count();
            rules.uses.insert(name.clone(), uses as u32);
        }
        for (name, more) in also {
            *rules.uses.get_mut(*name).expect("a chain") += more;
        }
        rules
    }

    fn end(text: &str) -> End {
        end_of(&table(text, &[]), "base", |rule| rule.comment.is_some()).0
    }

    fn wall(chain: &str, before: u64) -> End {
        End::Wall(Room {
            chain: chain.into(),
            before,
            of: Interfaces::default(),
        })
    }

    #[test]
    fn a_chain_ends_where_nothing_goes_on() {
        assert_eq!(end("base: . ? drop"), wall("base", 3));
        assert_eq!(end("base: . ?"), End::Falls);
        assert_eq!(end("base: ? accept drop"), End::Open);
        assert_eq!(end("base: return drop"), End::Falls);
        assert_eq!(end("base: +gone ?"), End::Falls, "an empty one");
        assert_eq!(end("base: +a drop\na: ? return drop"), wall("base", 2));
        assert_eq!(
            end("base: >a drop\na: ?"),
            End::Falls,
            "it does not come back"
        );
        assert_eq!(end("base: +a drop\na: ? accept"), End::Open);
        // What only some packets follow is no end.
        assert_eq!(end("base: i>a c+b\na: drop\nb: drop"), End::Falls);
    }

    #[test]
    fn an_end_in_a_chain_that_is_jumped_to_is_found() {
        assert_eq!(end("base: ? +a\na: ? drop"), wall("a", 4));
        assert_eq!(end("base: ? +a .\na: . +b\nb: >c\nc: ? drop"), wall("c", 8));
        // As firewalld has it: interfaces are shared out, and what is of none goes by default.
        let zones = "base: ? +zones drop
            zones: i>home i>public >public
            home: +sub ? drop
            public: +sub +sub drop
            sub: .";
        assert_eq!(end(zones), wall("public", 12));
        // As ufw has it: nothing but the policy.
        assert_eq!(
            end("base: +a +b +c\na: ?\nb: c+d\nc: .\nd: drop"),
            End::Falls
        );
    }

    #[test]
    fn what_is_left_of_interfaces_that_were_shared_out_is_an_end_too() {
        let rooms = |text: &str| {
            let (end, rooms) = end_of(&table(text, &[]), "base", |rule| rule.comment.is_some());
            let places = rooms
                .iter()
                .map(|room| format!("{} {}", room.chain, room.before));
            assert!(rooms.iter().all(|room| room.of.output.is_some()));
            (end, places.collect::<Vec<_>>().join(", "))
        };
        // As firewalld from 2.0 on has it.
        let zones = "base: ? +zones drop
            zones: i+a xa i+b ours xb +a drop
            a: ?
            b: .";
        assert_eq!(rooms(zones), (wall("zones", 10), "zones 5, zones 8".into()));
        // What was not shared out before, or is of another interface, is meant.
        assert_eq!(rooms("base: xa ? xa i+a . xa i+a xb\na: ?").1, "");
        assert_eq!(rooms("base: i+a xa\na: ?"), (End::Falls, "base 2".into()));
        let meant = "base: c+zones +zones\nzones: i+a xa\na: ?";
        let shared = End::Shared {
            chain: "zones".into(),
        };
        assert_eq!(rooms(meant), (shared, String::new()));
    }

    #[test]
    fn what_somebody_means_to_drop_stays_dropped() {
        // The same chain for what is bad and for what is left: room is before the jump, for it does nothing else.
        assert_eq!(end("base: c+no ? +no\nno: . drop"), wall("base", 3));
        assert_eq!(
            end("base: c+no ? +last\nlast: . >no\nno: . +log drop\nlog: . ."),
            wall("last", 5)
        );
        // But where it also decides on something there is no room at all.
        let shared = End::Shared { chain: "no".into() };
        assert_eq!(end("base: c+no ? +no\nno: ? drop"), shared);
        assert_eq!(end("base: c+no +last\nlast: +no\nno: ? drop"), shared);
        // A map may lead there, whose elements nobody looks at.
        let mapped = table("base: +no\nno: ? drop", &[("no", 1)]);
        assert_eq!(end_of(&mapped, "base", |_| false).0, shared);
    }

    #[test]
    fn rules_of_ours_change_nothing() {
        assert_eq!(end("base: c+no +no\nno: ours drop"), wall("base", 2));
        assert_eq!(end("base: +a\na: ours ours drop"), wall("a", 4));
    }

    #[test]
    fn the_question_for_the_way_back_is_found_wherever_it_is_asked() {
        let rules = table(
            "base: i>a c+b ? +base\na: ? back back\nb: drop\nother: back",
            &[],
        );
        let places = asked_for_way_back(&rules, "base");
        assert_eq!(
            places.into_iter().map(End::Wall).collect::<Vec<_>>(),
            [wall("a", 6)]
        );
        assert_eq!(asked_for_way_back(&rules, "b"), []);
    }

    #[test]
    fn neither_loops_nor_many_ways_take_long() {
        // The kernel refuses loops; read while it changes, a table may look like one.
        assert_eq!(end("base: +a\na: +b\nb: +a drop"), wall("b", 4));
        let mut text = "base: +c0\n".to_owned();
        for n in 0..30 {
            text += &format!("c{n}: +c{m} +c{m} +c{m}\n", m = n + 1);
        }
        assert_eq!(
            end(&format!("{text}c30: drop")),
            End::Falls,
            "deeper than any"
        );
        assert_eq!(
            end(&format!(
                "{}c10: drop",
                text.split("c10:").next().expect("some")
            )),
            wall("c10", 32)
        );
    }
}
