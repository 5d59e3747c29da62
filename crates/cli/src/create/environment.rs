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
        .map_err(|_| format!("env file {file} contains invalid utf8 bytes"))?;
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split('=').next().unwrap_or_default();
        if name.contains([' ', '\t']) {
            return Err(format!(
                "poorly formatted environment: variable '{name}' contains whitespaces"
            ));
        }
        if name.is_empty() {
            return Err(format!(
                "poorly formatted environment: no variable name on line '{line}'"
            ));
        }
        found.push(line.to_owned());
    }
    Ok(found)
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
        fs::remove_file(file).unwrap();
        assert_eq!(
            read_all(&["/no/such".into()], &[]).unwrap_err(),
            "open /no/such: no such file or directory"
        );
    }
}
