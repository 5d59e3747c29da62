//! What our tables look like, before anything is in their sets. Pure.

pub(super) mod bridged;
pub(super) mod routed;

use netlink::nft::{
    Base, Chain, ChainKind, Change, Family, Hook, Policy as ChainPolicy, Rule, Set, Type,
};

use crate::firewall::words::Phrase;
use crate::firewall::{Admission, Guarded, Policy};

/// `NF_IP_PRI_NAT_DST`.
const NAT_DESTINATION: i32 = -100;
/// `NF_IP_PRI_FILTER`.
const FILTER: i32 = 0;
/// Before [`FILTER`], and on input before [`NAT_SOURCE`], where translation is undone.
const BEFORE_FILTER: i32 = -10;
/// `NF_IP_PRI_NAT_SRC`.
const NAT_SOURCE: i32 = 100;
/// Behind every chain that has a say on input, and before connection tracking makes an entry final (`INT_MAX`), so that
/// what is dropped here leaves no entry behind.
const LAST: i32 = i32::MAX - 7;
/// `NF_BR_PRI_FILTER_BRIDGED`, as `filter` means for tables of the bridge family.
const BRIDGE_FILTER: i32 = -200;
/// `NF_BR_PRI_NAT_DST_BRIDGED`.
const BRIDGE_FIRST: i32 = -300;

/// What the plan of a table depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    /// The table's name.
    pub(super) table: &'a str,
    /// Who may reach published ports.
    pub(super) policy: Policy,
    /// The admission pair with the number of its outer end; there where the policy needs it.
    pub(super) admission: Option<(&'a Admission, u32)>,
    /// Of which families bridged frames are shown to the tables of routed packets.
    pub(super) shown: Shown,
    /// Of which families others' packets are not passed on.
    pub(super) guarded: Guarded,
    /// What kinds of networks there are.
    pub(super) kinds: Kinds,
}

impl Ground<'_> {
    /// Whether the host forwards packets of this family for containers alone.
    fn is_guarded(&self, family: Family) -> bool {
        match family {
            Family::Ip6 => self.guarded.v6,
            _ => self.guarded.v4,
        }
    }
}

/// Kinds of networks that have rules of their own, which cost every packet something and are left out until needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds {
    /// With no way in or out.
    pub(super) internal: bool,
    /// Whose containers may not talk to each other.
    pub(super) quiet: bool,
    /// Whose containers others reach on every port.
    pub(super) unprotected: bool,
}

impl Kinds {
    /// Whether tables that were made for these do for those.
    pub(super) fn include(self, those: Self) -> bool {
        (self.internal || !those.internal)
            && (self.quiet || !those.quiet)
            && (self.unprotected || !those.unprotected)
    }
}

/// Whether br_netfilter has bridged frames pass the tables of their family too, as hosts with Docker or Kubernetes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shown {
    pub(super) v4: bool,
    pub(super) v6: bool,
}

/// All sets that a table of this family has.
pub(super) fn sets(family: Family, table: &str) -> Vec<Set> {
    match family {
        Family::Bridge => bridged::sets(table),
        _ => routed::sets(family, table),
    }
}

/// Takes away the table of that name, whatever is in it, and makes it anew.
pub(super) fn table(ground: &Ground<'_>, family: Family) -> Vec<Change> {
    let name = || ground.table.to_owned();
    let mut changes = vec![
        // Made first so that it can be deleted: deleting what is not there would fail.
        Change::AddTable(family, name()),
        Change::DeleteTable(family, name()),
        Change::AddTable(family, name()),
    ];
    changes.extend(sets(family, ground.table).into_iter().map(Change::AddSet));
    let chains = chains(ground, family);
    changes.extend(
        chains
            .iter()
            .map(|chain| Change::AddChain(chain.declaration(family, ground.table))),
    );
    for chain in chains {
        changes.extend(chain.rules.into_iter().map(|expressions| {
            Change::AddRule(Rule {
                family,
                table: name(),
                chain: chain.name.into(),
                expressions,
                comment: None,
            })
        }));
    }
    changes
}

/// How many rules each chain of a table has.
pub(super) fn rule_counts(ground: &Ground<'_>, family: Family) -> Vec<(String, usize)> {
    chains(ground, family)
        .into_iter()
        .map(|chain| (chain.name.into(), chain.rules.len()))
        .collect()
}

fn chains(ground: &Ground<'_>, family: Family) -> Vec<PlannedChain> {
    match family {
        Family::Bridge => bridged::chains(ground),
        _ => routed::chains(ground, family),
    }
}

/// A chain and its rules.
struct PlannedChain {
    name: &'static str,
    base: Option<Base>,
    rules: Vec<Phrase>,
}

impl PlannedChain {
    fn filter(name: &'static str, hook: Hook, priority: i32, rules: Vec<Phrase>) -> Self {
        Self::based(name, ChainKind::Filter, hook, priority, rules)
    }

    fn nat(name: &'static str, hook: Hook, priority: i32, rules: Vec<Phrase>) -> Self {
        Self::based(name, ChainKind::Nat, hook, priority, rules)
    }

    fn based(
        name: &'static str,
        kind: ChainKind,
        hook: Hook,
        priority: i32,
        rules: Vec<Phrase>,
    ) -> Self {
        let base = Base {
            kind,
            hook,
            priority,
            policy: ChainPolicy::Accept,
        };
        Self {
            name,
            base: Some(base),
            rules,
        }
    }

    fn declaration(&self, family: Family, table: &str) -> Chain {
        Chain {
            family,
            table: table.to_owned(),
            name: self.name.into(),
            base: self.base,
        }
    }
}

/// A set, or a map where `data` is not empty.
fn set(
    family: Family,
    table: &str,
    name: &str,
    key: &[Type],
    data: &[Type],
    is_interval: bool,
) -> Set {
    Set {
        family,
        table: table.into(),
        name: name.into(),
        key: key.to_vec(),
        data: data.to_vec(),
        is_interval,
    }
}
