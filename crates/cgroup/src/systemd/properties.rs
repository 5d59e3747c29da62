//! What systemd is told of a scope: what it is, and its limits in systemd's words.

use oci::runtime::{Cpu, DeviceRule, LinuxResources, Memory};

use super::wire::Value;
use super::{Properties, Unit};
use crate::error::{Error, Result};
use crate::hierarchy::is_unified;

/// Microseconds of a second.
const SECOND: u64 = 1_000_000;
/// The kernel's default period in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;
/// systemd counts in whole percents of a CPU.
const PERCENT: u64 = SECOND / 100;

fn property(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

/// What makes the scope. `Delegate` leaves the group to us, `CollectMode` has a failed one vanish.
pub(super) fn of_scope(unit: &Unit, description: &str, pid: i32) -> Properties {
    let mut all = vec![
        property("Description", Value::Text(description.to_owned())),
        property("Slice", Value::Text(unit.slice().to_owned())),
        property("PIDs", Value::Numbers(vec![pid.unsigned_abs()])),
        property("Delegate", Value::Flag(true)),
        property("DefaultDependencies", Value::Flag(false)),
        property("CollectMode", Value::Text("inactive-or-failed".to_owned())),
    ];
    for kind in ["Memory", "CPU", "IO", "Tasks"] {
        all.push(property(&format!("{kind}Accounting"), Value::Flag(true)));
    }
    all
}

/// The limits that systemd has words for.
pub(super) fn of_limits(resources: &LinuxResources) -> Properties {
    let mut all = Vec::new();
    if let Some(memory) = &resources.memory {
        memory_limits(&mut all, memory);
    }
    if let Some(cpu) = &resources.cpu {
        cpu_limits(&mut all, cpu);
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit)
        && limit != 0
    {
        all.push(property("TasksMax", Value::Long(or_infinity(limit))));
    }
    devices(&mut all, &resources.devices);
    all
}

/// Less than zero is no limit.
fn or_infinity(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

fn memory_limits(all: &mut Properties, memory: &Memory) {
    let given = |limit: Option<i64>| limit.filter(|value| *value != 0);
    if let Some(limit) = given(memory.limit) {
        all.push(property("MemoryMax", Value::Long(or_infinity(limit))));
    }
    if let Some(limit) = given(memory.reservation).filter(|_| is_unified()) {
        all.push(property("MemoryLow", Value::Long(or_infinity(limit))));
    }
    // The spec counts memory and swap together, cgroup v2 swap alone.
    let alone = match (given(memory.limit), given(memory.swap)) {
        (_, Some(both)) if both < 0 => Some(u64::MAX),
        (Some(limit), Some(both)) if limit > 0 => u64::try_from(both - limit).ok(),
        _ => None,
    };
    if let Some(swap) = alone.filter(|_| is_unified()) {
        all.push(property("MemorySwapMax", Value::Long(swap)));
    }
}

fn cpu_limits(all: &mut Properties, cpu: &Cpu) {
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        all.push(match is_unified() {
            true => property("CPUWeight", Value::Long(crate::v2::cpu::weight(shares))),
            false => property("CPUShares", Value::Long(shares)),
        });
    }
    let period = cpu.period.filter(|period| *period != 0);
    if let Some(period) = period {
        all.push(property("CPUQuotaPeriodUSec", Value::Long(period)));
    }
    if let Some(quota) = cpu.quota.filter(|quota| *quota != 0) {
        let period = period.unwrap_or(DEFAULT_PERIOD);
        let per_second = u64::try_from(quota).map_or(u64::MAX, |quota| {
            quota
                .saturating_mul(SECOND)
                .div_ceil(period)
                .next_multiple_of(PERCENT)
        });
        all.push(property("CPUQuotaPerSecUSec", Value::Long(per_second)));
    }
    for (name, list) in [
        ("AllowedCPUs", &cpu.cpus),
        ("AllowedMemoryNodes", &cpu.mems),
    ] {
        if let Some(bits) = bits(list).filter(|_| is_unified()) {
            all.push(property(name, Value::Bytes(bits)));
        }
    }
}

/// A list such as `0-3,7` as bits, the lowest first.
fn bits(list: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for part in list
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        // No machine has more.
        if last >= 1 << 16 {
            return None;
        }
        for number in first..=last {
            if bytes.len() <= number / 8 {
                bytes.resize(number / 8 + 1, 0u8);
            }
            bytes[number / 8] |= 1 << (number % 8);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// Device rules as far as systemd's policy can say them. What is denied after it was allowed stays to our own filter,
/// which holds beside systemd's.
fn devices(all: &mut Properties, rules: &[DeviceRule]) {
    if rules.is_empty() {
        return;
    }
    let is_whole = |rule: &DeviceRule| {
        matches!(rule.kind.as_str(), "" | "a") && rule.major.is_none() && rule.minor.is_none()
    };
    let mut policy = "strict";
    let mut allowed = Vec::new();
    for rule in rules {
        if is_whole(rule) {
            policy = if rule.allow { "auto" } else { "strict" };
            allowed.clear();
        } else if rule.allow {
            allowed.extend(device(rule));
        }
    }
    if policy == "auto" {
        allowed.clear();
    }
    all.push(property("DevicePolicy", Value::Text(policy.to_owned())));
    all.push(property("DeviceAllow", Value::Pairs(allowed)));
}

/// A device as systemd names it: a node by its numbers, or all of a kind by the name that the kernel has for them.
fn device(rule: &DeviceRule) -> Option<(String, String)> {
    let kind = match rule.kind.as_str() {
        "c" => "char",
        "b" => "block",
        _ => return None,
    };
    let name = match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        (Some(major), None) => format!("{kind}-{}", driver(kind, major)?),
        (None, _) => format!("{kind}-*"),
    };
    Some((name, rule.access.clone()))
}

/// The name of a major number. See proc(5), `/proc/devices`.
fn driver(kind: &str, major: i64) -> Option<String> {
    let text = std::fs::read_to_string("/proc/devices").ok()?;
    let (chars, blocks) = text.split_once("Block devices:")?;
    let part = if kind == "char" { chars } else { blocks };
    let number = major.to_string();
    part.lines().find_map(|line| {
        let (found, name) = line.trim().split_once(' ')?;
        (found == number).then(|| name.trim().to_owned())
    })
}

/// A property as an annotation has it: `org.systemd.property.NAME`, with a value in GVariant's text format.
///
/// # Errors
/// `Property` for kinds of values that are not understood.
pub(super) fn parse(name: &str, text: &str) -> Result<(String, Value)> {
    let wrong = || Error::Property {
        name: name.to_owned(),
        value: text.to_owned(),
    };
    let trimmed = text.trim();
    let (kind, number) = trimmed.split_once(' ').unwrap_or(("", trimmed));
    let list = trimmed
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let value = match (kind, number) {
        (_, "true") if kind.is_empty() => Some(Value::Flag(true)),
        (_, "false") if kind.is_empty() => Some(Value::Flag(false)),
        _ if list.is_some() => list.and_then(|items| {
            let texts = items.split(',').map(|item| quoted(item.trim()));
            texts.collect::<Option<_>>().map(Value::Texts)
        }),
        _ if quoted(trimmed).is_some() => quoted(trimmed).map(Value::Text),
        ("uint64", number) => number.parse().ok().map(Value::Long),
        ("uint32", number) => number.parse().ok().map(Value::Number),
        ("int64", number) => number.parse().ok().map(Value::SignedLong),
        ("int32" | "", number) => number.parse().ok().map(Value::Signed),
        _ => None,
    };
    // Intervals are told to systemd in microseconds, under a name of their own.
    match (name.strip_suffix("Sec"), value.ok_or_else(wrong)?) {
        (Some(stem), value) if !stem.ends_with('U') => {
            let seconds = match value {
                Value::Signed(seconds) => u64::try_from(seconds).ok(),
                Value::SignedLong(seconds) => u64::try_from(seconds).ok(),
                Value::Number(seconds) => Some(seconds.into()),
                Value::Long(seconds) => Some(seconds),
                _ => None,
            };
            let micros = seconds.and_then(|seconds| seconds.checked_mul(SECOND));
            Ok((
                format!("{stem}USec"),
                Value::Long(micros.ok_or_else(wrong)?),
            ))
        }
        (_, value) => Ok((name.to_owned(), value)),
    }
}

/// A text in quotes, without escapes.
fn quoted(text: &str) -> Option<String> {
    let inner = text
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .or_else(|| text.strip_prefix('"')?.strip_suffix('"'))?;
    (!inner.contains(['\'', '"', '\\'])).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use oci::runtime::Pids;

    use super::*;

    fn named<'a>(all: &'a Properties, name: &str) -> Option<&'a Value> {
        all.iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    #[test]
    fn limits_are_told_in_systemds_words() {
        let all = of_limits(&LinuxResources {
            memory: Some(Memory {
                limit: Some(1 << 20),
                ..Memory::default()
            }),
            cpu: Some(Cpu {
                quota: Some(12_345),
                period: Some(100_000),
                ..Cpu::default()
            }),
            pids: Some(Pids { limit: Some(-1) }),
            ..LinuxResources::default()
        });
        assert_eq!(named(&all, "MemoryMax"), Some(&Value::Long(1 << 20)));
        assert_eq!(named(&all, "TasksMax"), Some(&Value::Long(u64::MAX)));
        // 12.345 % is rounded up.
        assert_eq!(
            named(&all, "CPUQuotaPerSecUSec"),
            Some(&Value::Long(130_000))
        );
        assert!(of_limits(&LinuxResources::default()).is_empty());
    }

    #[test]
    fn cpus_are_bits() {
        assert_eq!(bits("0-2,9"), Some(vec![0b111, 0b10]));
        assert_eq!(bits(""), None);
        assert_eq!(bits("x"), None);
        assert_eq!(bits("0-99999999"), None);
    }

    #[test]
    fn devices_are_named_and_all_of_them_is_a_policy() {
        let rule = |allow, kind: &str, major, minor| DeviceRule {
            allow,
            kind: kind.to_owned(),
            major,
            minor,
            access: "rwm".to_owned(),
        };
        let mut all = Vec::new();
        devices(
            &mut all,
            &[
                rule(false, "a", None, None),
                rule(true, "c", Some(1), Some(3)),
            ],
        );
        assert_eq!(
            named(&all, "DevicePolicy"),
            Some(&Value::Text("strict".to_owned()))
        );
        let null = ("/dev/char/1:3".to_owned(), "rwm".to_owned());
        assert_eq!(named(&all, "DeviceAllow"), Some(&Value::Pairs(vec![null])));
        let mut all = Vec::new();
        devices(&mut all, &[rule(true, "a", None, None)]);
        assert_eq!(
            named(&all, "DevicePolicy"),
            Some(&Value::Text("auto".to_owned()))
        );
        assert_eq!(driver("char", 1).as_deref(), Some("mem"));
    }

    #[test]
    fn annotations_are_values_in_text() {
        let read = |name: &str, text: &str| parse(name, text).expect(text);
        assert_eq!(read("A", "'x y'").1, Value::Text("x y".to_owned()));
        assert_eq!(read("A", "true").1, Value::Flag(true));
        assert_eq!(read("A", "uint64 5").1, Value::Long(5));
        let both = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(read("A", "['a', 'b']").1, Value::Texts(both));
        let stop = read("TimeoutStopSec", "3");
        assert_eq!(stop, ("TimeoutStopUSec".to_owned(), Value::Long(3_000_000)));
        assert!(parse("A", "[1, 2]").is_err());
        assert!(parse("A", "'it''s'").is_err());
    }
}
