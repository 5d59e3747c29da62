//! Room in other programs' chains: rules of ours at the end of those that drop what none of their rules decides on.
//!
//! Docker sets the policy of `ip filter FORWARD` to drop, as many hosts do; others have a last rule that rejects whatever
//! comes to it, there or in a chain that it jumps to (`walls`). No accept elsewhere changes that. At the end of such a chain,
//! before such a rule, each of our bridges gets one rule per direction: what the chain's own rules drop stays dropped, and
//! what they leave to the end is left to our own forward chain. The rules are written as iptables-nft writes its own
//! (`-i BRIDGE -j ACCEPT`), which otherwise calls the whole table incompatible.
//!
//! Published ports' first packets come a second time, out of the admission pair, by which their sources are not reached. A
//! chain that asks for that on arrival (firewalld's `IPv6_rpfilter`, for one) has asked it the first time: what comes out of
//! the pair is accepted there.
//!
//! A table that its maker keeps for itself (`flags owner`, as firewalld may) takes none: it is told.

use std::collections::{BTreeMap, BTreeSet};

use netlink::nft::{
    Base, ChainKind, Change, Family, FoundChain, FoundRule, Hook, Interfaces, Policy, Rule, chains,
    commit, table_rules,
};
use netlink::socket::Socket;

use crate::firewall::walls::{End, Room, Rules, asked_for_way_back, end_of};
use crate::firewall::words::{Phrase, accept, counted, from, from_named, rule, to, to_named};

/// How often to look again when a chain changed between looking and acting.
const ATTEMPTS: usize = 5;

/// What every daemon's rules begin with, so that several do not push each other from the end for ever.
const FAMILY_NAME: &str = "estiva";

/// What shall be let through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    /// The tables of this daemon, left alone here; their name marks our rules.
    pub(super) table: &'a str,
    /// Through these, in both directions.
    pub(super) bridges: &'a BTreeSet<&'a str>,
    /// The host's own packets out by this one.
    pub(super) out: Option<&'a str>,
    /// And in by this one, where their sources are elsewhere.
    pub(super) inside: Option<&'a str>,
}

/// Makes others' chains as they should be; does nothing where they are. Tells the chains that take no rules of ours.
pub(super) fn make_way(socket: &Socket, way: &Way<'_>) -> Result<Vec<Closed>, netlink::Error> {
    let closed = try_again(socket, way)?;
    // Chains and rules are read one after the other: who changes them meanwhile must not be told of as in the way.
    match closed.iter().any(|chain| chain.why == Why::Shared) {
        true => try_again(socket, way),
        false => Ok(closed),
    }
}

fn try_again(socket: &Socket, way: &Way<'_>) -> Result<Vec<Closed>, netlink::Error> {
    let mut attempt = 1;
    loop {
        match try_to(socket, way) {
            Err(error) if attempt < ATTEMPTS && error.kind() == fault::Kind::NotFound => {
                attempt += 1;
            }
            done => return done,
        }
    }
}

fn try_to(socket: &Socket, way: &Way<'_>) -> Result<Vec<Closed>, netlink::Error> {
    let mut closed = Vec::new();
    for table in look(socket)? {
        let (changes, shared) = plan(&table, way);
        closed.extend(
            shared
                .into_iter()
                .map(|chain| table.closed(chain, Why::Shared)),
        );
        match commit(socket, &changes) {
            // EPERM: the table is its owner's alone.
            Err(error) if error.kind() == fault::Kind::Denied => {
                let chain = changes.iter().find_map(chain_of);
                closed.extend(chain.map(|chain| table.closed(chain.to_owned(), Why::Owned)));
            }
            done => done?,
        }
    }
    Ok(closed)
}

/// The chain that a change of a rule is about.
fn chain_of(change: &Change) -> Option<&str> {
    match change {
        Change::AddRule(rule) | Change::InsertRule { rule, .. } => Some(&rule.chain),
        Change::DeleteRule { chain, .. } => Some(chain),
        _ => None,
    }
}

/// A chain that takes no rules of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closed {
    /// Its table.
    pub(super) table: String,
    /// Its name.
    pub(super) chain: String,
    /// Why it does not.
    pub(super) why: Why,
}

/// Why there is no room for rules of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The table is its owner's alone.
    Owned,
    /// What somebody means to drop comes there too.
    Shared,
}

/// A table of someone else with chains on our way.
#[derive(Debug, Clone)]
struct Foreign {
    family: Family,
    name: String,
    /// Those chains.
    bases: Vec<(String, Base)>,
    rules: Rules,
}

impl Foreign {
    fn closed(&self, chain: String, why: Why) -> Closed {
        Closed {
            table: self.name.clone(),
            chain,
            why,
        }
    }
}

fn look(socket: &Socket) -> Result<Vec<Foreign>, netlink::Error> {
    let mut tables: BTreeMap<(Family, String), Vec<FoundChain>> = BTreeMap::new();
    for chain in chains(socket)? {
        if !is_a_daemons(&chain.table) {
            let of_table = tables.entry((chain.family, chain.table.clone()));
            of_table.or_default().push(chain);
        }
    }
    tables.retain(|_, chains| chains.iter().any(is_on_our_way));
    tables
        .into_iter()
        .map(|((family, name), chains)| {
            let on_our_way = chains.iter().filter(|chain| is_on_our_way(chain));
            let bases = on_our_way.filter_map(|chain| Some((chain.name.clone(), chain.base?)));
            Ok(Foreign {
                family,
                bases: bases.collect(),
                rules: Rules {
                    chains: table_rules(socket, family, &name)?,
                    uses: chains.iter().map(|c| (c.name.clone(), c.uses)).collect(),
                },
                name,
            })
        })
        .collect()
}

/// Whether it is this daemon's table or that of another of its kind: what is not from or to bridges of its own passes there,
/// and each would take a rule in its table for damage.
fn is_a_daemons(table: &str) -> bool {
    let rest = table.strip_prefix(FAMILY_NAME);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn is_on_our_way(chain: &FoundChain) -> bool {
    let is_routed = chain.family != Family::Bridge;
    is_routed
        && chain.base.is_some_and(|base| {
            base.kind == ChainKind::Filter
                && matches!(base.hook, Hook::Prerouting | Hook::Forward | Hook::Output)
        })
}

/// What must be changed in a table, and the chains that are in the way and take no rules.
fn plan(table: &Foreign, way: &Way<'_>) -> (Vec<Change>, Vec<String>) {
    let mut wanted: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
    let mut shared = Vec::new();
    let (arriving, passing): (Vec<_>, Vec<_>) = table
        .bases
        .iter()
        .partition(|(_, base)| base.hook == Hook::Prerouting);
    let mut want = |hook: Hook, room: Room| {
        wanted.entry(room.chain).or_default().push(Wanted {
            before: Some(room.before),
            rules: wanted_for(hook, &room.of, way),
        });
    };
    let mut by_policy = Vec::new();
    for (name, base) in passing {
        let (end, rooms) = end_of(&table.rules, name, is_of_our_kind);
        rooms.into_iter().for_each(|room| want(base.hook, room));
        match end {
            End::Wall(room) => want(base.hook, room),
            End::Falls if base.policy == Policy::Drop => by_policy.push((name, base.hook)),
            End::Shared { chain } => shared.push((base.hook, chain)),
            End::Falls | End::Open => {}
        }
    }
    for (name, _) in arriving {
        let rooms = asked_for_way_back(&table.rules, name);
        rooms
            .into_iter()
            .for_each(|room| want(Hook::Prerouting, room));
    }
    for (name, hook) in by_policy {
        wanted.entry(name.clone()).or_default().push(Wanted {
            before: None,
            rules: wanted_for(hook, &Interfaces::default(), way),
        });
    }
    // Where nothing is wanted nothing is in the way.
    shared.retain(|(hook, _)| !wanted_for(*hook, &Interfaces::default(), way).is_empty());
    let shared = shared.into_iter().map(|(_, chain)| chain);
    let bases = table.bases.iter().map(|(name, _)| name.as_str());
    let with_rules = table.rules.chains.keys().map(String::as_str);
    let names: BTreeSet<&str> = bases.chain(with_rules).collect();
    let changes = names
        .into_iter()
        .flat_map(|chain| plan_chain(table, chain, wanted.remove(chain).unwrap_or_default(), way));
    (changes.collect(), shared.collect())
}

/// Rules of ours at one place of a chain, by their comments.
#[derive(Debug)]
struct Wanted {
    /// Right before the rule of this handle; else at the end.
    before: Option<u64>,
    rules: Vec<(String, Phrase)>,
}

/// What must be changed in a chain so that it has just these.
fn plan_chain(table: &Foreign, chain: &str, wanted: Vec<Wanted>, way: &Way<'_>) -> Vec<Change> {
    let found = table.rules.chains.get(chain);
    let found = found.map(Vec::as_slice).unwrap_or_default();
    if is_right(found, &wanted, way.table) {
        return Vec::new();
    }
    let ours = found.iter().filter(|rule| is_ours(rule, way.table));
    let deletions = ours.map(|rule| Change::DeleteRule {
        family: table.family,
        table: table.name.clone(),
        chain: chain.to_owned(),
        handle: rule.handle,
    });
    let additions = wanted.into_iter().flat_map(|Wanted { before, rules }| {
        rules.into_iter().map(move |(comment, expressions)| {
            let rule = Rule {
                family: table.family,
                table: table.name.clone(),
                chain: chain.to_owned(),
                expressions,
                comment: Some(comment),
            };
            match before {
                Some(before) => Change::InsertRule { rule, before },
                None => Change::AddRule(rule),
            }
        })
    });
    deletions.chain(additions).collect()
}

/// The rules that shall be before what drops packets of these interfaces at this hook, by their comments.
fn wanted_for(hook: Hook, of: &Interfaces, way: &Way<'_>) -> Vec<(String, Phrase)> {
    let accepted = |comment: String, words: Phrase| (comment, rule([words, counted(), accept()]));
    let from_it = |link: &str| {
        let words = rule([from(link), to_named(of.output.as_deref())]);
        let may_be = of.input.is_none();
        may_be.then(|| accepted(format!("{}: from {link}", way.table), words))
    };
    let to_it = |link: &str| {
        let words = rule([from_named(of.input.as_deref()), to(link)]);
        let may_be = of.output.is_none();
        may_be.then(|| accepted(format!("{}: to {link}", way.table), words))
    };
    match hook {
        Hook::Forward => way
            .bridges
            .iter()
            .flat_map(|bridge| [from_it(bridge), to_it(bridge)])
            .flatten()
            .collect(),
        Hook::Output if !way.bridges.is_empty() => way.out.and_then(to_it).into_iter().collect(),
        Hook::Prerouting if !way.bridges.is_empty() => {
            way.inside.and_then(from_it).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Whether exactly the wanted rules are there, with nothing between them and their places but those of other daemons of our
/// kind.
fn is_right(found: &[FoundRule], wanted: &[Wanted], table: &str) -> bool {
    let count = found.iter().filter(|rule| is_ours(rule, table)).count();
    let expected: usize = wanted.iter().map(|one| one.rules.len()).sum();
    let is_in_place = |wanted: &Wanted| {
        let place = match wanted.before {
            Some(handle) => found.iter().position(|rule| rule.handle == handle),
            None => Some(found.len()),
        };
        let before = &found[..place.unwrap_or(0)];
        let kin = before.iter().rev().take_while(|rule| is_of_our_kind(rule));
        let ours = kin.filter(|rule| is_ours(rule, table));
        ours.filter_map(|rule| rule.comment.as_deref()).eq(wanted
            .rules
            .iter()
            .rev()
            .map(|(comment, _)| comment))
    };
    count == expected && wanted.iter().all(is_in_place)
}

fn is_ours(rule: &FoundRule, table: &str) -> bool {
    rule.comment
        .as_deref()
        .and_then(|comment| comment.strip_prefix(table))
        .is_some_and(|rest| rest.starts_with(": "))
}

fn is_of_our_kind(rule: &FoundRule) -> bool {
    rule.comment
        .as_deref()
        .is_some_and(|comment| comment.starts_with(FAMILY_NAME))
}

#[cfg(test)]
mod tests {
    use netlink::nft::{Effect, Whom};

    use super::*;

    /// A chain of rules with these comments; that called `wall` lets nothing through.
    fn foreign(hook: Hook, policy: Policy, comments: &[&str]) -> Foreign {
        let effect = |comment: &str| match comment {
            "wall" => Effect::Wall,
            _ => Effect::Some,
        };
        let rules = comments.iter().zip(1..).map(|(comment, handle)| FoundRule {
            handle,
            comment: (!comment.is_empty()).then(|| (*comment).to_owned()),
            effect: effect(comment),
            interfaces: None,
            asks_way_back: comment == &"back",
        });
        let base = Base {
            kind: ChainKind::Filter,
            hook,
            priority: 0,
            policy,
        };
        Foreign {
            family: Family::Ip,
            name: "filter".into(),
            bases: vec![("FORWARD".into(), base)],
            rules: Rules {
                chains: [("FORWARD".to_owned(), rules.collect())].into(),
                uses: [("FORWARD".to_owned(), comments.len() as u32)].into(),
            },
        }
    }

    fn bridges() -> BTreeSet<&'static str> {
        BTreeSet::from(["br-a"])
    }

    fn planned(foreign: &Foreign) -> (Vec<Change>, Vec<String>) {
        let way = Way {
            table: "estiva",
            bridges: &bridges(),
            out: Some("estiva-o"),
            inside: Some("estiva-i"),
        };
        plan(foreign, &way)
    }

    /// How many rules are deleted and added.
    fn changes(foreign: &Foreign) -> (usize, usize) {
        let (plan, _) = planned(foreign);
        let deleted = plan
            .iter()
            .filter(|change| matches!(change, Change::DeleteRule { .. }))
            .count();
        (deleted, plan.len() - deleted)
    }

    const IN: &str = "estiva: from br-a";
    const OUT: &str = "estiva: to br-a";

    #[test]
    fn only_where_the_policy_drops_there_are_rules_at_the_end() {
        let check = |policy, comments: &[&str], expect| {
            assert_eq!(
                changes(&foreign(Hook::Forward, policy, comments)),
                expect,
                "{comments:?}"
            );
        };
        check(Policy::Drop, &["", ""], (0, 2));
        check(Policy::Drop, &["", IN, OUT], (0, 0));
        check(Policy::Accept, &["", ""], (0, 0));
        check(Policy::Accept, &["", IN, OUT], (2, 0));
        // Someone appended a rule of their own: it is asked first again.
        check(Policy::Drop, &[IN, OUT, ""], (2, 2));
        check(Policy::Drop, &[IN, "", OUT], (2, 2));
        check(Policy::Drop, &[IN, OUT, "estiva: from br-old"], (3, 2));
        check(Policy::Drop, &[IN], (1, 2));
    }

    #[test]
    fn a_last_rule_that_lets_nothing_through_is_as_good_as_a_policy() {
        let check = |comments: &[&str], expect| {
            let foreign = foreign(Hook::Forward, Policy::Accept, comments);
            assert_eq!(changes(&foreign), expect, "{comments:?}");
        };
        check(&["", "wall"], (0, 2));
        check(&["", IN, OUT, "wall"], (0, 0));
        check(&[IN, OUT, "", "wall"], (2, 2));
        // Nobody comes to what stands behind it.
        check(&["", "wall", IN, OUT], (2, 2));
        check(&["", IN, OUT, "wall", "", IN], (3, 2));
        let (plan, _) = planned(&foreign(Hook::Forward, Policy::Drop, &["", "wall"]));
        assert!(
            plan.iter()
                .all(|change| matches!(change, Change::InsertRule { before: 2, .. })),
            "{plan:?}"
        );
    }

    #[test]
    fn rules_stand_in_the_chain_where_the_end_is_and_nowhere_else() {
        let lead = |to: &str, handle: u64| FoundRule {
            handle,
            comment: None,
            effect: Effect::Leads {
                to: to.into(),
                whom: Whom::All,
                comes_back: true,
            },
            interfaces: None,
            asks_way_back: false,
        };
        let mut table = foreign(Hook::Forward, Policy::Accept, &[IN, OUT]);
        let forward = table.rules.chains.get_mut("FORWARD").expect("it is there");
        forward.push(lead("last", 3));
        let last = foreign(Hook::Forward, Policy::Accept, &["", "wall"]);
        let last = last.rules.chains["FORWARD"].clone();
        table.rules.chains.insert("last".into(), last);
        table.rules.uses.insert("last".into(), 3);
        let (plan, shared) = planned(&table);
        let places: Vec<String> = plan
            .iter()
            .map(|change| match change {
                Change::DeleteRule { chain, handle, .. } => format!("-{chain} {handle}"),
                Change::InsertRule { rule, before } => format!("+{} {before}", rule.chain),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(places, ["-FORWARD 1", "-FORWARD 2", "+last 2", "+last 2"]);
        assert!(shared.is_empty());
        // A map leads there too: nobody knows what for.
        table.rules.uses.insert("last".into(), 4);
        let (plan, shared) = planned(&table);
        assert_eq!(plan.len(), 2, "those that stood there go");
        assert_eq!(shared, ["last"]);
    }

    #[test]
    fn two_daemons_do_not_fight_for_the_end() {
        let other = "estiva-0123abcd: from est-0123abcd";
        for comments in [[IN, OUT, other], [other, IN, OUT]] {
            assert_eq!(
                changes(&foreign(Hook::Forward, Policy::Drop, &comments)),
                (0, 0)
            );
        }
    }

    #[test]
    fn what_comes_out_of_the_pair_is_not_asked_where_it_came_from() {
        const BACK: &str = "estiva: from estiva-i";
        let check = |comments: &[&str], expect| {
            let foreign = foreign(Hook::Prerouting, Policy::Accept, comments);
            assert_eq!(changes(&foreign), expect, "{comments:?}");
        };
        check(&["", "wall"], (0, 0));
        check(&["", "back", "wall"], (0, 1));
        check(&["", BACK, "back", "wall"], (0, 0));
        check(&["", BACK, "wall"], (1, 0));
    }

    #[test]
    fn the_host_may_send_into_the_pair() {
        assert_eq!(changes(&foreign(Hook::Output, Policy::Drop, &[])), (0, 1));
        assert_eq!(changes(&foreign(Hook::Output, Policy::Accept, &[])), (0, 0));
    }
}
