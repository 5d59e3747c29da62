//! The v1 devices controller: the rules are written one by one to `devices.deny` and `devices.allow`.

use crate::device::{Access, DeviceKind, Rule};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::hierarchy::Controller;

pub(crate) fn apply(dir: &Dir, rules: &[Rule]) -> Result<()> {
    // The kernel takes one rule a write, but any number of writes by one descriptor.
    for same_file in plan(rules)?.chunk_by(|(left, _), (right, _)| left == right) {
        let values = same_file.iter().map(|(_, value)| value.as_str());
        dir.set_each(Controller::Devices, same_file[0].0, values)?;
    }
    Ok(())
}

/// What to write where, in order.
///
/// The kernel keeps one default and a set of exceptions from it. An exception is only taken back by a line about exactly
/// the same devices, so a rule that cuts a piece out of a wider exception cannot be said: it is refused, for silence would
/// leave the devices allowed.
fn plan(rules: &[Rule]) -> Result<Vec<(&'static str, String)>> {
    let mut lines = Vec::new();
    let mut default_allows = false;
    let mut exceptions: Vec<Rule> = Vec::new();
    if !rules.first().is_some_and(Rule::is_total) {
        lines.push(("devices.deny", "a".to_owned()));
    }
    for rule in rules {
        let file = if rule.allow {
            "devices.allow"
        } else {
            "devices.deny"
        };
        if rule.is_total() {
            default_allows = rule.allow;
            exceptions.clear();
            lines.push((file, "a".to_owned()));
            continue;
        }
        for rule in by_kind(rule) {
            if rule.allow == default_allows {
                let cuts = |other: &Rule| other.overlaps(&rule) && !other.same_devices(&rule);
                if exceptions.iter().any(cuts) {
                    return Err(Error::Unsupported {
                        limit: "devices",
                        reason: "cgroup v1 cannot take a part out of a wider device rule",
                    });
                }
            } else {
                exceptions.push(rule);
            }
            lines.push((file, line(&rule)));
        }
    }
    Ok(lines)
}

/// The kernel reads every line of type `a` as "all devices, all rights", so a narrower rule about both kinds is two.
fn by_kind(rule: &Rule) -> Vec<Rule> {
    let with = |kind| Rule {
        kind: Some(kind),
        ..*rule
    };
    match rule.kind {
        Some(kind) => vec![with(kind)],
        None => vec![with(DeviceKind::Char), with(DeviceKind::Block)],
    }
}

fn line(rule: &Rule) -> String {
    let kind = match rule.kind {
        Some(DeviceKind::Block) => 'b',
        _ => 'c',
    };
    let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |n| n.to_string());
    let access: Access = rule.access;
    format!(
        "{kind} {}:{} {access}",
        number(rule.major),
        number(rule.minor)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{rules, tests::rule};

    fn check(spec: &[&str], expect: &[&str]) {
        let spec: Vec<_> = spec.iter().map(|text| rule(text)).collect();
        let lines = plan(&rules(&spec).expect("good rules")).expect("a plan");
        let lines: Vec<_> = lines
            .iter()
            .map(|(file, value)| format!("{} {value}", file.trim_start_matches("devices.")))
            .collect();
        assert_eq!(lines, expect);
    }

    #[test]
    fn everything_is_denied_first_and_wide_rules_are_split_by_kind() {
        check(
            &["allow c 1:3 rwm", "allow a *:* m"],
            &[
                "deny a",
                "allow c 1:3 rwm",
                "allow c *:* m",
                "allow b *:* m",
            ],
        );
        check(
            &["deny a *:* rwm", "allow a *:* rwm", "deny c 5:1 w"],
            &["allow a", "deny c 5:1 w"],
        );
    }

    #[test]
    fn a_hole_in_a_wider_rule_is_refused_rather_than_left_open() {
        let spec = [
            rule("deny a *:* rwm"),
            rule("allow c *:* rwm"),
            rule("deny c 1:1 rwm"),
        ];
        let error = plan(&rules(&spec).expect("good rules")).expect_err("cannot be said");
        assert!(error.to_string().contains("wider device rule"), "{error}");
    }
}
