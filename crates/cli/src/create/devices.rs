//! Devices, their limits and resource limits.

use std::path::Path;

use serde_json::{Value, json};

use crate::values;

/// Whether a `--device` can be read; what is no path may be a CDI name.
pub(super) fn device_is_valid(_: &str) -> Result<(), String> {
    Ok(())
}

/// Reads `HOST[:CONTAINER][:PERMISSIONS]`.
///
/// # Errors
/// Docker's words for a bad device.
pub(super) fn device(text: &str) -> Result<Value, String> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 || text.is_empty() {
        return Err(format!("invalid device specification: {text}"));
    }
    let host = parts[0];
    let (mut target, mut permissions) = (host, "rwm");
    match parts.as_slice() {
        [_, second] if is_permissions(second) => permissions = second,
        [_, second] => target = second,
        [_, second, third] => {
            target = second;
            permissions = third;
        }
        _ => {}
    }
    for path in [host, target] {
        if !path.starts_with('/') {
            return Err(format!("{path} is not an absolute path"));
        }
    }
    if !is_permissions(permissions) {
        return Err(format!("bad mode specified: {permissions}"));
    }
    Ok(json!({
        "PathOnHost": super::mounts::clean(Path::new(host)),
        "PathInContainer": super::mounts::clean(Path::new(target)),
        "CgroupPermissions": permissions,
    }))
}

fn is_permissions(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 3
        && text.chars().all(|c| "rwm".contains(c))
        && text
            .chars()
            .enumerate()
            .all(|(at, c)| !text[at + 1..].contains(c))
}

/// Whether a rule reads `a 7:* rwm`.
pub(super) fn rule_is_valid(text: &str) -> Result<(), String> {
    let bad = || format!("invalid device cgroup format '{text}'");
    let words: Vec<&str> = text.split(' ').collect();
    let [kind, numbers, permissions] = words.as_slice() else {
        return Err(bad());
    };
    let number =
        |word: &str| word == "*" || (!word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()));
    let fits = matches!(*kind, "a" | "b" | "c")
        && numbers
            .split_once(':')
            .is_some_and(|(major, minor)| number(major) && number(minor))
        && is_permissions(permissions);
    if fits { Ok(()) } else { Err(bad()) }
}

fn split_device(text: &str) -> Result<(&str, &str), String> {
    let (path, value) = text
        .split_once(':')
        .filter(|(path, value)| !path.is_empty() && !value.is_empty())
        .ok_or_else(|| format!("bad format: {text}"))?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    Ok((path, value))
}

/// Reads `/dev/sda:100`.
pub(super) fn weight(text: &str) -> Result<Value, String> {
    let (path, value) = split_device(text)?;
    let weight =
        values::uint(value, 16).map_err(|_| format!("invalid weight for device: {text}"))?;
    if weight > 0 && !(10..=1000).contains(&weight) {
        return Err(format!("invalid weight for device: {text}"));
    }
    Ok(json!({"Path": path, "Weight": weight}))
}

pub(super) fn weight_is_valid(text: &str) -> Result<(), String> {
    weight(text).map(drop)
}

/// Reads `/dev/sda:1mb`.
pub(super) fn bps(text: &str) -> Result<Value, String> {
    let (path, value) = split_device(text)?;
    let rate = values::bytes(value).map_err(|_| {
        format!("invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb")
    })?;
    Ok(json!({"Path": path, "Rate": rate}))
}

pub(super) fn bps_is_valid(text: &str) -> Result<(), String> {
    bps(text).map(drop)
}

/// Reads `/dev/sda:1000`.
pub(super) fn iops(text: &str) -> Result<Value, String> {
    let (path, value) = split_device(text)?;
    let rate = values::uint(value, 64).map_err(|_| {
        format!("invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer")
    })?;
    Ok(json!({"Path": path, "Rate": rate}))
}

pub(super) fn iops_is_valid(text: &str) -> Result<(), String> {
    iops(text).map(drop)
}

const LIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads `nofile=1024:2048`.
///
/// # Errors
/// Docker's words for a bad limit.
pub(super) fn ulimit(text: &str) -> Result<Value, String> {
    let (name, range) = text
        .split_once('=')
        .ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !LIMITS.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let parts: Vec<&str> = range.split(':').collect();
    if parts.len() > 2 {
        return Err(format!(
            "too many limit value arguments - {range}, can only have up to two, `soft[:hard]`"
        ));
    }
    let number = |text: &str| {
        text.parse::<i64>().map_err(|_| {
            values::int(text).err().unwrap_or_else(|| {
                format!(
                    "strconv.ParseInt: parsing {}: invalid syntax",
                    values::quote(text)
                )
            })
        })
    };
    let soft = number(parts[0])?;
    let hard = parts.get(1).map_or(Ok(soft), |text| number(text))?;
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(if soft == -1 {
            format!(
                "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
            )
        } else {
            format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
        });
    }
    Ok(json!({"Name": name, "Hard": hard, "Soft": soft}))
}

pub(super) fn ulimit_is_valid(text: &str) -> Result<(), String> {
    ulimit(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        assert_eq!(
            device("/dev/fuse:r").unwrap(),
            json!({"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "r"})
        );
        assert_eq!(device("foo").unwrap_err(), "foo is not an absolute path");
        assert_eq!(device("/dev/a:/b:z").unwrap_err(), "bad mode specified: z");
        assert!(rule_is_valid("c 7:* rmw").is_ok());
        assert!(rule_is_valid("c 7 rmw").is_err());
    }

    #[test]
    fn limits() {
        assert_eq!(
            ulimit("nofile=10:20").unwrap(),
            json!({"Name": "nofile", "Hard": 20, "Soft": 10})
        );
        assert_eq!(ulimit("foo").unwrap_err(), "invalid ulimit argument: foo");
        assert!(ulimit("nofile=20:10").unwrap_err().contains("20 > 10"));
        assert_eq!(
            bps("/dev/sda:1mb").unwrap(),
            json!({"Path": "/dev/sda", "Rate": 1_048_576})
        );
        assert!(weight("/dev/sda:5").is_err());
    }
}
