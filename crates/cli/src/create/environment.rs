//! Variables and labels from flags and files.

use std::{env, fs};

use crate::{command::go_io_error, flags::Matches};

/// The variables of `--env-file` and then `--env`; a bare name takes this program's value or is left out.
///
/// # Errors
/// A file that cannot be read or a line that is no variable.
pub(crate) fn read_all(files: &[String], given: &[String]) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for file in files {
        for entry in lines(file)? {
            push(&mut all, &entry);
        }
    }
    for entry in given {
        push_given(&mut all, entry);
    }
    Ok(all)
}

/// A bare name in a file is dropped when it is not set here.
fn push(all: &mut Vec<String>, entry: &str) {
    if entry.contains('=') {
        all.push(entry.to_owned());
    } else if let Ok(value) = env::var(entry) {
        all.push(format!("{entry}={value}"));
    }
}

/// A bare name on the command line that is not set here is sent bare: it unsets the image's.
fn push_given(all: &mut Vec<String>, entry: &str) {
    if entry.contains('=') {
        all.push(entry.to_owned());
    } else {
        match env::var(entry) {
            Ok(value) => all.push(format!("{entry}={value}")),
            Err(_) => all.push(entry.to_owned()),
        }
    }
}

/// The lines of an environment or label file, without comments and blanks.
fn lines(file: &str) -> Result<Vec<String>, String> {
    let bytes = fs::read(file).map_err(|error| format!("open {file}: {}", go_io_error(&error)))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("invalid env file ({file}): {}", not_text(bytes, error)))?;
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split('=').next().unwrap_or_default();
        if name.contains([' ', '\t']) {
            return Err(format!(
                "invalid env file ({file}): variable '{name}' contains whitespaces"
            ));
        }
        if name.is_empty() {
            return Err(format!(
                "invalid env file ({file}): no variable name on line '{line}'"
            ));
        }
        found.push(line.to_owned());
    }
    Ok(found)
}

/// Which line is not UTF-8, and its bytes.
fn not_text(bytes: &[u8], error: std::str::Utf8Error) -> String {
    let number = bytes[..error.valid_up_to()]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count();
    let line = bytes.split(|byte| *byte == b'\n').nth(number);
    let shown: Vec<String> = line.unwrap_or_default().iter().map(u8::to_string).collect();
    format!(
        "invalid utf8 bytes at line {}: [{}]",
        number + 1,
        shown.join(" ")
    )
}

/// The labels of `--label-file` and then `--label`.
pub(super) fn labels(matches: &Matches) -> Result<Vec<(String, String)>, String> {
    let mut entries = Vec::new();
    for file in matches.list("label-file") {
        // In a file, a name without a value is no label, as in docker.
        entries.extend(lines(file)?.into_iter().filter(|line| line.contains('=')));
    }
    entries.extend(matches.list("label").iter().cloned());
    Ok(entries
        .iter()
        .map(|entry| match entry.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (entry.clone(), String::new()),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_before_flags_and_comments_are_left_out() {
        let file = env::temp_dir().join(format!("estiva-env-{}", std::process::id()));
        fs::write(&file, "\u{feff}# note\nA=1\n\n  B=x y\nESTIVA_NOT_SET\n").unwrap();
        let name = file.display().to_string();
        assert_eq!(
            read_all(&[name], &["A=2".into()]).unwrap(),
            ["A=1", "B=x y", "A=2"]
        );
        let wrong = |bytes: &[u8], expect: &str| {
            fs::write(&file, bytes).unwrap();
            let name = file.display().to_string();
            let error = read_all(std::slice::from_ref(&name), &[]).unwrap_err();
            assert_eq!(error, format!("invalid env file ({name}): {expect}"));
        };
        wrong(b"a b=1\n", "variable 'a b' contains whitespaces");
        wrong(b"A=1\n=x\n", "no variable name on line '=x'");
        wrong(
            b"A=1\n\xff=2\n",
            "invalid utf8 bytes at line 2: [255 61 50]",
        );
        fs::remove_file(file).unwrap();
        assert_eq!(
            read_all(&["/no/such".into()], &[]).unwrap_err(),
            "open /no/such: no such file or directory"
        );
    }
}
