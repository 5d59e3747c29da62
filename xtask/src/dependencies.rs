//! Rules for dependencies: licences that everyone may use, and arrows between our crates that point down.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than their own text to be kept. `deny.toml` says the same to cargo-deny.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Our crates from the ground up; a crate may only use what stands on a lower floor.
const FLOORS: &[&[&str]] = &[
    &["fault"],
    &["ids", "oci", "sys", "lifecycle"],
    &["api", "cgroup", "archive", "logs", "netlink"],
    &["content", "snapshot", "volume", "runtime", "network"],
    &["image", "shim", "client"],
    &["engine", "cli"],
    &["server"],
    &["estiva"],
];

/// Complaints about the workspace's dependencies, each with its mend.
pub(crate) fn check(root: &Path) -> Vec<String> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root)
        .output();
    let metadata: Value = match output {
        Ok(output) if output.status.success() => {
            serde_json::from_slice(&output.stdout).unwrap_or_default()
        }
        Ok(output) => return vec![String::from_utf8_lossy(&output.stderr).into_owned()],
        Err(error) => return vec![format!("cargo metadata: {error}")],
    };
    let mut complaints = licences(&metadata);
    complaints.extend(arrows(&metadata));
    complaints
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn licences(metadata: &Value) -> Vec<String> {
    packages(metadata)
        .filter_map(|package| {
            let name = package["name"].as_str().unwrap_or_default();
            let licence = package["license"].as_str().unwrap_or_default();
            (!is_allowed(licence)).then(|| {
                format!("{name}: its licence {licence:?} is not on the list in xtask/src/dependencies.rs; choose another crate")
            })
        })
        .collect()
}

/// Whether some reading of an SPDX expression asks only for licences on the list.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    if !expression.contains('(') {
        return plain
            .split(" OR ")
            .any(|choice| choice.split(" AND ").all(is_listed));
    }
    // With parentheses "A AND (B OR C)" is all that occurs: every part must offer something.
    plain
        .split(" AND ")
        .all(|part| part.split(" OR ").any(is_listed))
}

fn is_listed(licence: &str) -> bool {
    LICENCES.contains(&licence.trim())
}

fn arrows(metadata: &Value) -> Vec<String> {
    let floors: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, names)| names.iter().map(move |name| (*name, floor)))
        .collect();
    let mut complaints = Vec::new();
    for package in packages(metadata).filter(|package| package["source"].is_null()) {
        let name = short(package);
        let Some(floor) = floors.get(name) else {
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // Tests may look up; the product may not.
            if dependency["kind"] == "dev" || dependency["path"].is_null() {
                continue;
            }
            let used = short(dependency);
            if floors.get(used).is_some_and(|below| below >= floor) {
                complaints.push(format!(
                    "{name} uses {used}, which does not stand below it (docs/architecture.md); move the shared words down"
                ));
            }
        }
    }
    complaints
}

fn short(package: &Value) -> &str {
    let name = package["name"].as_str().unwrap_or_default();
    name.strip_prefix("estiva-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_when_one_reading_is() {
        let check = |expression: &str, expect: bool| {
            assert_eq!(is_allowed(expression), expect, "{expression}")
        };
        check("MIT", true);
        check("GPL-3.0-or-later", false);
        check("MIT OR GPL-2.0", true);
        check("MIT/Apache-2.0", true);
        check("MIT AND GPL-2.0", false);
        check("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
        check("(MPL-2.0 OR GPL-2.0) AND MIT", false);
        check("", false);
    }
}
