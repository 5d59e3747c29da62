//! What stands between containers and the world that no rule of ours can move: told once, with what to do about it.

use std::collections::BTreeSet;

use crate::firewall::foreign::{Closed, Why};
use crate::firewall::legacy;

/// Tells what was not told before.
pub(super) fn tell(closed: &[Closed], bridges: &BTreeSet<&str>, told: &mut BTreeSet<String>) {
    if bridges.is_empty() {
        return;
    }
    for text in texts(closed, &legacy::closed(bridges), bridges) {
        if !told.contains(&text.subject) {
            tracing::warn!("{}: {}", text.subject, text.advice);
            told.insert(text.subject);
        }
    }
}

/// One thing in the way.
#[derive(Debug, PartialEq, Eq)]
struct Text {
    subject: String,
    advice: String,
}

fn texts(closed: &[Closed], legacy: &[&str], bridges: &BTreeSet<&str>) -> Vec<Text> {
    let names: Vec<&str> = bridges.iter().copied().collect();
    let bridges = names.join(", ");
    let nft = closed.iter().map(|chain| Text {
        subject: format!(
            "chain {} of table {} drops what containers send",
            chain.chain, chain.table
        ),
        advice: match (chain.why, chain.table.as_str()) {
            (Why::Shared, _) => format!(
                "what its owner means to drop comes there too, so nothing is put before that: have the chains before it accept \
                 what comes from and goes to {bridges}"
            ),
            (Why::Owned, "firewalld") => format!(
                "firewalld keeps its table to itself: let it forward for {bridges} by a policy of its own \
                 (firewall-cmd --permanent --new-policy), or set NftablesTableOwner=no in firewalld.conf"
            ),
            (Why::Owned, _) => format!(
                "its owner keeps the table to itself: have it accept what comes from and goes to {bridges}"
            ),
        },
    });
    let old = legacy.iter().map(|program| Text {
        subject: format!("{program} drops what containers send"),
        advice: format!(
            "its chain FORWARD takes no rules from here; run for each of {bridges}: \
             {program} -I FORWARD -i BRIDGE -j ACCEPT; {program} -I FORWARD -o BRIDGE -j ACCEPT"
        ),
    });
    nft.chain(old).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_with_what_to_do() {
        let chain = |table: &str, why| Closed {
            table: table.into(),
            chain: "filter_FORWARD".into(),
            why,
        };
        let bridges = BTreeSet::from(["br-a", "br-b"]);
        let texts = texts(
            &[
                chain("firewalld", Why::Owned),
                chain("other", Why::Owned),
                chain("firewalld", Why::Shared),
            ],
            &["iptables-legacy"],
            &bridges,
        );
        assert_eq!(texts.len(), 4);
        assert!(texts[0].advice.contains("NftablesTableOwner"));
        assert!(texts[1].subject.contains("other"));
        assert!(texts[2].advice.contains("means to drop"));
        assert!(texts[3].advice.contains("iptables-legacy -I FORWARD"));
        assert!(texts.iter().all(|text| text.advice.contains("br-a, br-b")));
    }
}
