//! Options before the command: where states are kept, and where errors are told.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use crate::error::Error;
use crate::options::{Flag, Given, switch, value};

/// Where states are kept unless told otherwise.
pub(crate) const DEFAULT_ROOT: &str = "/run/estiva-runtime";

/// The options.
pub(crate) const FLAGS: &[Flag] = &[
    switch(&["debug"], "enable debug logging"),
    value(
        &["log"],
        "file to write log messages to (default: standard error)",
    ),
    value(
        &["log-format"],
        "format of log messages: text (default) or json",
    ),
    value(
        &["root", "r"],
        "folder that keeps the state of containers (default: /run/estiva-runtime)",
    ),
    value(
        &["criu"],
        "path of criu (default: it is looked for in PATH)",
    ),
    switch(&["systemd-cgroup"], "let systemd manage cgroups"),
    value(&["rootless"], "ignored"),
    value(
        &["log-level"],
        "ignored: errors and warnings are logged (crun's option)",
    ),
    value(
        &["cgroup-manager"],
        "cgroupfs, systemd or disabled (crun's option)",
    ),
    switch(&["version", "v", "V"], "print the version"),
];

/// What they say.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    /// Folder of all states.
    pub(crate) root: PathBuf,
    /// Let systemd manage cgroups.
    pub(crate) systemd: bool,
    /// Make no cgroups.
    pub(crate) without_cgroups: bool,
    /// criu, when it is not to be looked for.
    pub(crate) criu: Option<PathBuf>,
    log: Option<PathBuf>,
    json: bool,
}

impl Globals {
    pub(crate) fn new(given: &Given) -> Result<Self, Error> {
        let json = match given.text("log-format") {
            None | Some("text" | "") => false,
            Some("json") => true,
            Some(other) => {
                return Err(Error::Value {
                    flag: "log-format".to_owned(),
                    value: other.to_owned(),
                });
            }
        };
        let manager = given.text("cgroup-manager").unwrap_or("cgroupfs");
        if !matches!(manager, "cgroupfs" | "systemd" | "disabled") {
            return Err(Error::Value {
                flag: "cgroup-manager".to_owned(),
                value: manager.to_owned(),
            });
        }
        let root = PathBuf::from(given.text("root").unwrap_or(DEFAULT_ROOT));
        Ok(Self {
            // Commands change their working folder to the bundle.
            root: std::path::absolute(&root).map_err(Error::file("find", &root))?,
            systemd: manager == "systemd" || given.is_on("systemd-cgroup") && manager != "disabled",
            without_cgroups: manager == "disabled",
            criu: given
                .text("criu")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            log: given
                .text("log")
                .filter(|path| !path.is_empty())
                .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into())),
            json,
        })
    }

    /// Tells of an error: in the log, and on standard error too when the log is elsewhere.
    pub(crate) fn tell_error(&self, message: &str) {
        self.tell("error", message);
        if self.log.is_some() {
            write_stderr(&format!("{message}\n"));
        }
    }

    /// Tells of something that went wrong and stopped nothing.
    pub(crate) fn warn(&self, message: &str) {
        self.tell("warning", message);
    }

    fn tell(&self, level: &str, message: &str) {
        let line = line(self.json, level, message);
        let file = self
            .log
            .as_ref()
            .map(|path| OpenOptions::new().create(true).append(true).open(path));
        let written = match file {
            Some(file) => file.and_then(|mut file| file.write_all(line.as_bytes())),
            None => Err(std::io::ErrorKind::NotFound.into()),
        };
        if written.is_err() {
            write_stderr(&line);
        }
    }
}

fn line(json: bool, level: &str, message: &str) -> String {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    if json {
        let record = serde_json::json!({ "level": level, "msg": message, "time": now });
        return format!("{record}\n");
    }
    format!("time=\"{now}\" level={level} msg={message:?}\n")
}

/// Standard error that has gone is nobody's error.
pub(crate) fn write_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_what_engines_parse() {
        let text = line(true, "error", "no \"luck\"");
        let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(record["level"], "error");
        assert_eq!(record["msg"], "no \"luck\"");
        let time = record["time"].as_str().expect("a time");
        time.parse::<jiff::Timestamp>().expect("RFC 3339");
        let text = line(false, "error", "no \"luck\"");
        assert!(
            text.ends_with("level=error msg=\"no \\\"luck\\\"\"\n"),
            "{text}"
        );
    }
}
