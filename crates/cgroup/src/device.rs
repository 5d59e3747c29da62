//! Device rules as the kernel sees them: which device nodes a group may make, read and write.

use oci::runtime::DeviceRule;

use crate::error::{Error, Result};

/// The rights of a rule or a request, as the kernel's BPF_DEVCG_ACC_* bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// mknod(2).
    pub const MKNOD: u8 = 1;
    /// Reading.
    pub const READ: u8 = 2;
    /// Writing.
    pub const WRITE: u8 = 4;
    /// All of them.
    pub const ALL: Access = Access(7);

    /// The bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    fn parse(text: &str) -> Option<Access> {
        // Runtimes have always read an absent access as all of it.
        if text.is_empty() {
            return Some(Access::ALL);
        }
        text.bytes()
            .try_fold(0, |bits, byte| match byte {
                b'm' => Some(bits | Access::MKNOD),
                b'r' => Some(bits | Access::READ),
                b'w' => Some(bits | Access::WRITE),
                _ => None,
            })
            .map(Access)
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (bit, letter) in [
            (Access::READ, "r"),
            (Access::WRITE, "w"),
            (Access::MKNOD, "m"),
        ] {
            if self.0 & bit != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Block or character device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Block device.
    Block,
    /// Character device.
    Char,
}

/// One rule, checked; `None` matches everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Allow or deny.
    pub allow: bool,
    /// Which kind of device.
    pub kind: Option<DeviceKind>,
    /// Which major number.
    pub major: Option<u32>,
    /// Which minor number.
    pub minor: Option<u32>,
    /// Which rights.
    pub access: Access,
}

impl Rule {
    /// Whether the rule is about every device and every right.
    #[must_use]
    pub fn is_total(&self) -> bool {
        self.kind.is_none()
            && self.major.is_none()
            && self.minor.is_none()
            && self.access == Access::ALL
    }

    /// Whether some request is matched by both rules.
    #[must_use]
    pub fn overlaps(&self, other: &Rule) -> bool {
        fn meet<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
        }
        meet(self.kind, other.kind)
            && meet(self.major, other.major)
            && meet(self.minor, other.minor)
            && self.access.0 & other.access.0 != 0
    }

    /// Whether both rules are about the same devices.
    #[must_use]
    pub fn same_devices(&self, other: &Rule) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }
}

/// Checks the spec's rules. The last rule that matches a request decides, and without one it is denied; so what stands
/// before a rule about everything is left out.
pub(crate) fn rules(spec: &[DeviceRule]) -> Result<Vec<Rule>> {
    let rules = spec.iter().map(check).collect::<Result<Vec<_>>>()?;
    let from = rules.iter().rposition(Rule::is_total).unwrap_or(0);
    Ok(rules[from..].to_vec())
}

fn check(spec: &DeviceRule) -> Result<Rule> {
    parse(spec).ok_or_else(|| {
        let number = |number: Option<i64>| number.map_or_else(|| "*".to_owned(), |n| n.to_string());
        Error::DeviceRule {
            rule: format!(
                "{} {} {}:{} {}",
                if spec.allow { "allow" } else { "deny" },
                if spec.kind.is_empty() {
                    "a"
                } else {
                    &spec.kind
                },
                number(spec.major),
                number(spec.minor),
                spec.access
            ),
        }
    })
}

fn parse(spec: &DeviceRule) -> Option<Rule> {
    let kind = match spec.kind.as_str() {
        "" | "a" => None,
        "b" => Some(DeviceKind::Block),
        "c" | "u" => Some(DeviceKind::Char),
        _ => return None,
    };
    // -1 is the runtimes' older way to say "every one". A number is compared as a signed 32-bit one by the BPF program.
    let number = |number: Option<i64>| match number {
        None | Some(-1) => Some(None),
        Some(number) => i32::try_from(number)
            .ok()
            .and_then(|number| u32::try_from(number).ok())
            .map(Some),
    };
    Some(Rule {
        allow: spec.allow,
        kind,
        major: number(spec.major)?,
        minor: number(spec.minor)?,
        access: Access::parse(&spec.access)?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn rule(text: &str) -> DeviceRule {
        let words: Vec<_> = text.split(' ').collect();
        let (major, minor) = words[2].split_once(':').expect("a rule of the test");
        DeviceRule {
            allow: words[0] == "allow",
            kind: words[1].to_owned(),
            major: major.parse().ok(),
            minor: minor.parse().ok(),
            access: words[3].to_owned(),
        }
    }

    #[test]
    fn what_stands_before_a_total_rule_is_left_out() {
        let spec = [
            rule("allow c 1:3 rwm"),
            rule("deny a *:* rwm"),
            rule("allow c 1:5 rwm"),
        ];
        let rules = rules(&spec).expect("good rules");
        assert_eq!(rules.len(), 2);
        assert!(!rules[0].allow && rules[0].is_total());
    }

    #[test]
    fn nonsense_is_refused_by_its_text() {
        let error = rules(&[rule("allow x 1:3 rwm")]).expect_err("no such kind");
        assert_eq!(error.to_string(), "invalid device rule \"allow x 1:3 rwm\"");
        assert!(rules(&[rule("allow c 1:3 rx")]).is_err());
        assert!(rules(&[rule("allow c -7:3 r")]).is_err());
    }
}
