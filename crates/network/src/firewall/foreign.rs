//! Room in other programs' chains: rules of ours at the end of those that drop what none of their rules decides on.
//!
//! Docker sets the policy of `ip filter FORWARD` to drop, as many hosts do; others have a last rule that rejects whatever
//! comes to it. No accept elsewhere changes that. At the end of such a chain, before such a rule, each of our bridges gets
//! one rule per direction: what the chain's own rules drop stays dropped, and what they leave to the end is left to our own
//! forward chain. The rules are written as iptables-nft writes its own (`-i BRIDGE -j ACCEPT`), which otherwise calls the
//! whole table incompatible. A table that its maker keeps for itself (`flags owner`, as firewalld may) takes none: it is told.

use std::collections::BTreeSet;

use netlink::nft::{
    ChainKind, Change, Family, FoundChain, FoundRule, Hook, Policy, Rule, chains, commit, rules,
};
use netlink::socket::Socket;

use crate::firewall::words::{Phrase, accept, counted, from, rule, to};

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
}

/// Makes others' chains as they should be; does nothing where they are. Tells the chains that take no rules of ours.
pub(super) fn make_way(socket: &Socket, way: &Way<'_>) -> Result<Vec<FoundChain>, netlink::Error> {
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

fn try_to(socket: &Socket, way: &Way<'_>) -> Result<Vec<FoundChain>, netlink::Error> {
    let mut closed = Vec::new();
    for foreign in look(socket)? {
        match commit(socket, &plan_chain(&foreign, way)) {
            // EPERM: the table is its owner's alone.
            Err(error) if error.kind() == fault::Kind::Denied => closed.push(foreign.chain),
            done => done?,
        }
    }
    Ok(closed)
}

/// A chain of someone else and its rules.
#[derive(Debug, Clone)]
struct Foreign {
    chain: FoundChain,
    rules: Vec<FoundRule>,
}

fn look(socket: &Socket) -> Result<Vec<Foreign>, netlink::Error> {
    chains(socket)?
        .into_iter()
        .filter(|chain| !is_a_daemons(&chain.table) && is_on_our_way(chain))
        .map(|chain| {
            let rules = rules(socket, chain.family, &chain.table, &chain.name)?;
            Ok(Foreign { chain, rules })
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
            base.kind == ChainKind::Filter && matches!(base.hook, Hook::Forward | Hook::Output)
        })
}

/// What must be changed in a chain.
fn plan_chain(foreign: &Foreign, way: &Way<'_>) -> Vec<Change> {
    let chain = &foreign.chain;
    let wall = foreign.rules.iter().position(|rule| rule.is_wall);
    let (asked, never_asked) = foreign.rules.split_at(wall.unwrap_or(foreign.rules.len()));
    let wanted = wanted(chain, wall.is_some(), way);
    if is_right(asked, &wanted, way.table) && !never_asked.iter().any(|r| is_ours(r, way.table)) {
        return Vec::new();
    }
    let ours = foreign.rules.iter().filter(|rule| is_ours(rule, way.table));
    let deletions = ours.map(|rule| Change::DeleteRule {
        family: chain.family,
        table: chain.table.clone(),
        chain: chain.name.clone(),
        handle: rule.handle,
    });
    let additions = wanted.into_iter().map(|(comment, expressions)| {
        let rule = Rule {
            family: chain.family,
            table: chain.table.clone(),
            chain: chain.name.clone(),
            expressions,
            comment: Some(comment),
        };
        match never_asked.first() {
            Some(wall) => Change::InsertRule {
                rule,
                before: wall.handle,
            },
            None => Change::AddRule(rule),
        }
    });
    deletions.chain(additions).collect()
}

/// The rules that shall be at the end of a chain, by their comments.
fn wanted(chain: &FoundChain, has_wall: bool, way: &Way<'_>) -> Vec<(String, Phrase)> {
    let Some(base) = chain.base else {
        return Vec::new();
    };
    let end = match has_wall {
        true => Policy::Drop,
        false => base.policy,
    };
    let accepted = |comment: String, words: Phrase| (comment, rule([words, counted(), accept()]));
    match (end, base.hook) {
        (Policy::Drop, Hook::Forward) => way
            .bridges
            .iter()
            .flat_map(|bridge| {
                [
                    accepted(format!("{}: from {bridge}", way.table), from(bridge)),
                    accepted(format!("{}: to {bridge}", way.table), to(bridge)),
                ]
            })
            .collect(),
        (Policy::Drop, Hook::Output) if !way.bridges.is_empty() => way
            .out
            .iter()
            .map(|out| accepted(format!("{}: to {out}", way.table), to(out)))
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether exactly the wanted rules are there, with nothing behind them but those of other daemons of our kind.
fn is_right(rules: &[FoundRule], wanted: &[(String, Phrase)], table: &str) -> bool {
    let ours: Vec<&str> = rules
        .iter()
        .filter(|rule| is_ours(rule, table))
        .filter_map(|rule| rule.comment.as_deref())
        .collect();
    let first = rules.iter().position(|rule| is_ours(rule, table));
    let behind = &rules[first.unwrap_or(rules.len())..];
    ours.iter().eq(wanted.iter().map(|(comment, _)| comment)) && behind.iter().all(is_of_our_kind)
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
    use netlink::nft::Base;

    use super::*;

    /// A chain of rules with these comments; that called `wall` lets nothing through.
    fn foreign(hook: Hook, policy: Policy, comments: &[&str]) -> Foreign {
        Foreign {
            chain: FoundChain {
                family: Family::Ip,
                table: "filter".into(),
                name: "FORWARD".into(),
                base: Some(Base {
                    kind: ChainKind::Filter,
                    hook,
                    priority: 0,
                    policy,
                }),
            },
            rules: comments
                .iter()
                .zip(1..)
                .map(|(comment, handle)| FoundRule {
                    handle,
                    comment: (!comment.is_empty()).then(|| (*comment).to_owned()),
                    is_wall: *comment == "wall",
                })
                .collect(),
        }
    }

    fn bridges() -> BTreeSet<&'static str> {
        BTreeSet::from(["br-a"])
    }

    /// How many rules are deleted and added.
    fn changes(foreign: &Foreign) -> (usize, usize) {
        let bridges = bridges();
        let way = Way {
            table: "estiva",
            bridges: &bridges,
            out: Some("estiva-o"),
        };
        let plan = plan_chain(foreign, &way);
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
        let bridges = bridges();
        let way = Way {
            table: "estiva",
            bridges: &bridges,
            out: None,
        };
        let plan = plan_chain(&foreign(Hook::Forward, Policy::Drop, &["", "wall"]), &way);
        assert!(
            plan.iter()
                .all(|change| matches!(change, Change::InsertRule { before: 2, .. })),
            "{plan:?}"
        );
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
    fn the_host_may_send_into_the_pair() {
        assert_eq!(changes(&foreign(Hook::Output, Policy::Drop, &[])), (0, 1));
        assert_eq!(changes(&foreign(Hook::Output, Policy::Accept, &[])), (0, 0));
    }
}
