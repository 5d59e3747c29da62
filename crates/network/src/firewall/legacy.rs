//! The tables of iptables' older kind (`iptables-legacy`): nf_tables does not show them, and rules of ours cannot be put
//! into them one by one. So they are looked at, and what is in the way is told.

use std::collections::BTreeSet;
use std::path::Path;

use sys::xtables::{LegacyFilter, legacy_filter};

/// `NF_INET_FORWARD`.
const FORWARD: usize = 2;
/// The verdict `DROP` as entries have it: `-NF_DROP - 1`.
const DROP: i32 = -1;

/// How `struct ipt_entry` or `struct ip6t_entry` is laid out.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Bytes of what a packet must be, all zero where any will do.
    wish: usize,
    /// Where the name of the interface stands that it came in by.
    interface: usize,
    /// Where the offset of the target stands, and two bytes behind it that of the next entry.
    offsets: usize,
    /// Bytes of an entry that has no matches: where its target begins.
    bare: usize,
}

const IPV4: Layout = Layout {
    wish: 84,
    interface: 16,
    offsets: 88,
    bare: 112,
};
const IPV6: Layout = Layout {
    wish: 136,
    interface: 64,
    offsets: 140,
    bare: 168,
};

/// The programs whose chain FORWARD ends what comes to it, and has no rule for some of these bridges: `iptables-legacy`,
/// `ip6tables-legacy`, both or none.
pub(super) fn closed(bridges: &BTreeSet<&str>) -> Vec<&'static str> {
    let families = [
        ("iptables-legacy", "/proc/self/net/ip_tables_names", false),
        ("ip6tables-legacy", "/proc/self/net/ip6_tables_names", true),
    ];
    let is_closed = |names: &str, v6: bool| {
        // Asked for, a table comes into being: only those that are there are looked at.
        let is_there = std::fs::read_to_string(Path::new(names))
            .is_ok_and(|names| names.lines().any(|name| name == "filter"));
        is_there
            && legacy_filter(v6)
                .is_ok_and(|table| forwards_nothing(&table, v6, bridges) == Some(true))
    };
    families
        .into_iter()
        .filter(|(_, names, v6)| is_closed(names, *v6))
        .map(|(program, ..)| program)
        .collect()
}

/// Whether the chain FORWARD has the policy to drop, or a last rule that takes all, and before it not for each of these
/// bridges a rule that somebody wrote with care; `None` for what is no such table.
fn forwards_nothing(table: &LegacyFilter, v6: bool, bridges: &BTreeSet<&str>) -> Option<bool> {
    let layout = if v6 { IPV6 } else { IPV4 };
    let mut unknown = bridges.clone();
    let (mut at, policy) = (table.hook_entry[FORWARD], table.underflow[FORWARD]);
    loop {
        let entry = table.entries.get(at..)?;
        let next = usize::from(u16_at(entry, layout.offsets + 2)?);
        let entry = entry.get(..next)?;
        let is_policy = at >= policy;
        if is_policy || takes_all(entry, layout)? {
            return Some(ends(entry, layout)? && !unknown.is_empty());
        }
        let interface = entry.get(layout.interface..layout.interface + 16)?;
        let name = interface.split(|byte| *byte == 0).next()?;
        unknown.retain(|bridge| bridge.as_bytes() != name);
        at += next.max(1);
    }
}

/// Whether it decides on every packet: no match, and a target that is the end.
fn takes_all(entry: &[u8], layout: Layout) -> Option<bool> {
    let is_bare = usize::from(u16_at(entry, layout.offsets)?) == layout.bare;
    let asks_nothing = entry.get(..layout.wish)?.iter().all(|byte| *byte == 0);
    Some(is_bare && asks_nothing && ends(entry, layout)?)
}

/// Whether its target drops or rejects.
fn ends(entry: &[u8], layout: Layout) -> Option<bool> {
    let target = entry.get(usize::from(u16_at(entry, layout.offsets)?)..)?;
    let name = target.get(2..31)?;
    let name = name.split(|byte| *byte == 0).next()?;
    match name {
        b"" => {
            let verdict = target.get(32..36)?.try_into().ok()?;
            Some(i32::from_ne_bytes(verdict) == DROP)
        }
        name => Some(name == b"REJECT"),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry of IPv4 with this target; `asks` for something or takes all.
    fn entry(asks: bool, name: &str, verdict: i32) -> Vec<u8> {
        let mut bytes = vec![0; IPV4.bare + 40];
        bytes[0] = u8::from(asks);
        let len = bytes.len() as u16;
        bytes[88..90].copy_from_slice(&(IPV4.bare as u16).to_ne_bytes());
        bytes[90..92].copy_from_slice(&len.to_ne_bytes());
        let target = IPV4.bare;
        bytes[target + 2..target + 2 + name.len()].copy_from_slice(name.as_bytes());
        bytes[target + 32..target + 36].copy_from_slice(&verdict.to_ne_bytes());
        bytes
    }

    fn check(forward: &[Vec<u8>], expect: Option<bool>) {
        let input = entry(false, "", DROP);
        let begin = input.len();
        let entries: Vec<u8> = std::iter::once(&input)
            .chain(forward)
            .flatten()
            .copied()
            .collect();
        let last = entries.len() - forward.last().map_or(0, Vec::len);
        let table = LegacyFilter {
            hook_entry: [0, 0, begin, 0, 0],
            underflow: [0, 0, last, 0, 0],
            entries,
        };
        let bridges = BTreeSet::from(["br-a"]);
        assert_eq!(forwards_nothing(&table, false, &bridges), expect);
    }

    #[test]
    fn a_policy_or_a_last_rule_closes_the_way() {
        const ACCEPT: i32 = -2;
        check(&[entry(false, "", ACCEPT)], Some(false));
        check(&[entry(false, "", DROP)], Some(true));
        check(
            &[entry(true, "", DROP), entry(false, "", ACCEPT)],
            Some(false),
        );
        check(
            &[entry(false, "REJECT", 0), entry(false, "", ACCEPT)],
            Some(true),
        );
        check(
            &[entry(false, "LOG", 0), entry(false, "", ACCEPT)],
            Some(false),
        );
        check(&[entry(false, "", DROP)[..50].to_vec()], None);
        // Somebody has let it through.
        let mut own = entry(true, "", ACCEPT);
        own[16..20].copy_from_slice(b"br-a");
        check(&[own, entry(false, "", DROP)], Some(false));
    }
}
