//! Rules for source files: each says what it is, keeps to one idea, and leaves `unsafe` to one crate.

use std::path::{Path, PathBuf};

/// Beyond this a file holds more than one idea; tables and long suites of tests excepted.
const MOST_LINES: usize = 700;

/// Complaints about all Rust files of the workspace, each with its mend.
pub(crate) fn check(root: &Path) -> Vec<String> {
    let mut complaints = Vec::new();
    for folder in ["bin", "crates", "tests", "bench", "xtask"] {
        for file in rust_files(&root.join(folder)) {
            let name = file
                .strip_prefix(root)
                .unwrap_or(&file)
                .display()
                .to_string();
            match std::fs::read_to_string(&file) {
                Ok(text) => complaints.extend(check_file(&name, &text)),
                Err(error) => complaints.push(format!("{name}: {error}")),
            }
        }
    }
    complaints
}

fn check_file(name: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |what: &str| complaints.push(format!("{name}: {what}"));
    if !text.starts_with("//! ") {
        complain("the first line must say what the file is: `//! One sentence.`");
    }
    let in_sys = name.starts_with("crates/sys/");
    let is_root = [
        "/src/lib.rs",
        "/src/main.rs",
        "tests/testkit/lib.rs",
        "tests/integration/main.rs",
    ]
    .iter()
    .any(|end| name.ends_with(end));
    if is_root && !in_sys && !text.contains("#![forbid(unsafe_code)]") {
        complain(
            "a crate's root forbids unsafe code: add `#![forbid(unsafe_code)]`, move the unsafe part to crates/sys",
        );
    }
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if !in_sys && code.contains(concat!("unsafe", " {")) {
            complain(&format!(
                "line {}: unsafe code lives in crates/sys",
                number + 1
            ));
        }
        if line.contains(concat!("TO", "DO")) || line.contains(concat!("FIX", "ME")) {
            complain(&format!(
                "line {}: do it now or write it down where such things are tracked",
                number + 1
            ));
        }
    }
    let lines = text.lines().count();
    let is_table =
        text.contains("rustfmt::skip") || name.ends_with("tests.rs") || name.contains("/tests/");
    if lines > MOST_LINES && !is_table {
        complain(&format!(
            "{lines} lines; beyond {MOST_LINES} a file holds more than one idea: split it"
        ));
    }
    complaints
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                found.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_complains_about_what_breaks_it() {
        let check = |name: &str, text: &str, expect: &str| {
            let complaints = check_file(name, text);
            assert!(
                complaints
                    .iter()
                    .any(|complaint| complaint.contains(expect)),
                "{complaints:?}"
            );
        };
        check("crates/x/src/a.rs", "fn a() {}\n", "first line");
        check("crates/x/src/lib.rs", "//! A.\n", "forbids unsafe");
        check(
            "crates/x/src/a.rs",
            concat!("//! A.\nfn a() { unsafe", " { b() } }\n"),
            "line 2",
        );
        check(
            "crates/x/src/a.rs",
            concat!("//! A.\n// TO", "DO later\n"),
            "line 2",
        );
        check(
            "crates/x/src/a.rs",
            &format!("//! A.\n{}", "\n".repeat(900)),
            "901 lines",
        );
        assert_eq!(
            check_file(
                "crates/sys/src/a.rs",
                concat!("//! A.\nunsafe", " { b() }\n")
            ),
            Vec::<String>::new()
        );
    }
}
