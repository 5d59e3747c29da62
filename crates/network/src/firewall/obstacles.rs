//! What stands between containers and the world that no rule of ours can move: told once, with what to do about it.

use std::collections::BTreeSet;

use netlink::nft::FoundChain;

use crate::firewall::legacy;

/// Tells what was not told before.
pub(super) fn tell(closed: &[FoundChain], bridges: &BTreeSet<&str>, told: &mut BTreeSet<String>) {
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

fn texts(closed: &[FoundChain], legacy: &[&str], bridges: &BTreeSet<&str>) -> Vec<Text> {
    let names: Vec<&str> = bridges.iter().copied().collect();
    let bridges = names.join(", ");
    let nft = closed.iter().map(|chain| Text {
        subject: format!(
            "chain {} of table {} drops what containers send",
            chain.name, chain.table
        ),
        advice: match chain.table.as_str() {
            "firewalld" => format!(
                "firewalld keeps its table to itself: let it forward for {bridges} by a policy of its own \
                 (firewall-cmd --permanent --new-policy), or set NftablesTableOwner=no in firewalld.conf"
            ),
            _ => format!(
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
    use netlink::nft::Family;

    use super::*;

    #[test]
    fn each_is_named_with_what_to_do() {
        let chain = |table: &str| FoundChain {
            family: Family::Inet,
            table: table.into(),
            name: "filter_FORWARD".into(),
            base: None,
        };
        let bridges = BTreeSet::from(["br-a", "br-b"]);
        let texts = texts(
            &[chain("firewalld"), chain("other")],
            &["iptables-legacy"],
            &bridges,
        );
        assert_eq!(texts.len(), 3);
        assert!(texts[0].advice.contains("NftablesTableOwner"));
        assert!(texts[1].subject.contains("other"));
        assert!(texts[2].advice.contains("iptables-legacy -I FORWARD"));
        assert!(texts.iter().all(|text| text.advice.contains("br-a, br-b")));
    }
}
