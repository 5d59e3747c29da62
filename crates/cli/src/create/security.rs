//! `--security-opt`: profiles are read here, by the client; `systempaths=unconfined` clears the masks.

use std::fs;

use crate::command::go_io_error;

/// What the security options come to.
#[derive(Debug, Default)]
pub(super) struct Security {
    pub(super) options: Vec<String>,
    /// No masked and no read-only paths.
    pub(super) bare_system_paths: bool,
}

/// Reads the options.
///
/// # Errors
/// Docker's words for a bad option, or an unreadable profile.
pub(super) fn read(given: &[String]) -> Result<Security, String> {
    let mut found = Security::default();
    for option in given {
        let (key, value) = match option.split_once('=') {
            Some(pair) => pair,
            None if option == "no-new-privileges" => (option.as_str(), ""),
            None => option.split_once(':').ok_or_else(|| {
                format!("Invalid --security-opt: {}", crate::values::quote(option))
            })?,
        };
        match (key, value) {
            ("systempaths", "unconfined") => found.bare_system_paths = true,
            ("seccomp", "unconfined" | "builtin") => found.options.push(option.clone()),
            ("seccomp", file) => {
                let text = fs::read_to_string(file).map_err(|error| {
                    format!(
                        "opening seccomp profile ({file}) failed: open {file}: {}",
                        go_io_error(&error)
                    )
                })?;
                let profile: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
                    format!("compacting json for seccomp profile ({file}) failed: {error}")
                })?;
                found.options.push(format!("seccomp={profile}"));
            }
            _ => found.options.push(option.clone()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_by_the_client() {
        let file = std::env::temp_dir().join(format!("estiva-seccomp-{}", std::process::id()));
        fs::write(&file, "{\n \"defaultAction\": \"SCMP_ACT_ALLOW\"\n}").unwrap();
        let found = read(&[
            format!("seccomp={}", file.display()),
            "systempaths=unconfined".into(),
        ])
        .unwrap();
        fs::remove_file(file).unwrap();
        assert_eq!(
            found.options,
            ["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}"]
        );
        assert!(found.bare_system_paths);
        assert!(read(&["nonsense".into()]).is_err());
        assert!(
            read(&["seccomp=/no/such".into()])
                .unwrap_err()
                .contains("no such file")
        );
    }
}
