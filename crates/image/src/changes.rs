//! Instructions that change an image's config: `--change` of `commit` and `import`.

use std::collections::BTreeMap;
use std::str::FromStr;

use oci::image::{Execution, Healthcheck};

/// One instruction, as a Dockerfile writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    keyword: Keyword,
    rest: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
    WorkDir,
}

const KEYWORDS: &[(&str, Keyword)] = &[
    ("CMD", Keyword::Cmd),
    ("ENTRYPOINT", Keyword::Entrypoint),
    ("ENV", Keyword::Env),
    ("EXPOSE", Keyword::Expose),
    ("HEALTHCHECK", Keyword::Healthcheck),
    ("LABEL", Keyword::Label),
    ("ONBUILD", Keyword::OnBuild),
    ("SHELL", Keyword::Shell),
    ("STOPSIGNAL", Keyword::StopSignal),
    ("USER", Keyword::User),
    ("VOLUME", Keyword::Volume),
    ("WORKDIR", Keyword::WorkDir),
];

/// Why an instruction is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A word no Dockerfile knows.
    #[error("unknown instruction: {0}")]
    Unknown(String),
    /// A build step that changes files, which cannot be done here.
    #[error("{0} is not a valid change command")]
    NotAllowed(String),
    /// The instruction needs something behind it.
    #[error("{0} requires at least one argument")]
    Empty(String),
    /// `ENV` or `LABEL` without a value.
    #[error("{0} must have two arguments")]
    NoValue(String),
    /// A name is missing before `=`.
    #[error("{0} names can not be blank")]
    BlankName(String),
    /// A quote is open at the end.
    #[error("unexpected end of statement while looking for matching quote in {0:?}")]
    Quote(String),
    /// A port that is none.
    #[error("invalid containerPort: {0}")]
    Port(String),
    /// A health check that cannot be read.
    #[error("HEALTHCHECK: {0}")]
    Healthcheck(String),
    /// `SHELL` wants a JSON list.
    #[error("SHELL requires the arguments to be in JSON form")]
    ShellForm,
    /// These may not stand behind `ONBUILD`.
    #[error("{0} isn't allowed as an ONBUILD trigger")]
    OnBuild(String),
}

impl ChangeError {
    /// Always the caller's mistake.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        fault::Kind::Invalid
    }
}

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(line: &str) -> Result<Self, ChangeError> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let word = word.to_ascii_uppercase();
        let Some((_, keyword)) = KEYWORDS.iter().find(|(name, _)| *name == word) else {
            return Err(match word.as_str() {
                "FROM" | "RUN" | "COPY" | "ADD" | "ARG" | "MAINTAINER" => {
                    ChangeError::NotAllowed(word)
                }
                _ => ChangeError::Unknown(word),
            });
        };
        let change = Self {
            keyword: *keyword,
            rest: rest.trim().to_owned(),
        };
        let may_be_empty = matches!(keyword, Keyword::Cmd | Keyword::Entrypoint);
        if change.rest.is_empty() && !may_be_empty {
            return Err(ChangeError::Empty(word));
        }
        // A trial on nothing finds every mistake before anything is made.
        change.apply(&mut Execution::default())?;
        Ok(change)
    }
}

impl Change {
    /// Changes a config as the instruction says.
    ///
    /// # Errors
    /// When its arguments cannot be read.
    pub fn apply(&self, config: &mut Execution) -> Result<(), ChangeError> {
        let rest = self.rest.as_str();
        match self.keyword {
            Keyword::Cmd => config.cmd = Some(command(rest, config.shell.as_deref())),
            Keyword::Entrypoint => config.entrypoint = Some(command(rest, config.shell.as_deref())),
            Keyword::Env => {
                for (name, value) in pairs("ENV", rest)? {
                    set_env(&mut config.env, &name, &value);
                }
            }
            Keyword::Label => config.labels.extend(pairs("LABEL", rest)?),
            Keyword::Expose => {
                for word in words(rest)? {
                    config.exposed_ports.extend(ports(&word)?);
                }
            }
            Keyword::Healthcheck => {
                config.healthcheck = Some(healthcheck(rest, config.shell.as_deref())?)
            }
            Keyword::OnBuild => config.on_build.push(on_build(rest)?),
            Keyword::Shell => config.shell = Some(json_list(rest).ok_or(ChangeError::ShellForm)?),
            Keyword::StopSignal => rest.clone_into(&mut config.stop_signal),
            Keyword::User => rest.clone_into(&mut config.user),
            Keyword::Volume => config.volumes.extend(match json_list(rest) {
                Some(list) => list,
                None => words(rest)?,
            }),
            Keyword::WorkDir => config.working_dir = join_workdir(&config.working_dir, rest),
        }
        Ok(())
    }
}

/// Sets or replaces one `NAME=value`.
fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let line = format!("{name}={value}");
    match env
        .iter_mut()
        .find(|old| old.split('=').next() == Some(name))
    {
        Some(old) => *old = line,
        None => env.push(line),
    }
}

fn json_list(rest: &str) -> Option<Vec<String>> {
    rest.starts_with('[')
        .then(|| serde_json::from_str(rest).ok())
        .flatten()
}

/// A JSON list is the command itself; anything else is a line for the shell.
fn command(rest: &str, shell: Option<&[String]>) -> Vec<String> {
    if rest.is_empty() {
        return Vec::new();
    }
    json_list(rest).unwrap_or_else(|| {
        let mut command = match shell {
            Some(shell) => shell.to_vec(),
            None => vec!["/bin/sh".to_owned(), "-c".to_owned()],
        };
        command.push(rest.to_owned());
        command
    })
}

/// `a=b "c d"=e` or the old `a everything else`.
fn pairs(keyword: &str, rest: &str) -> Result<BTreeMap<String, String>, ChangeError> {
    let words = words(rest)?;
    let first = words.first().cloned().unwrap_or_default();
    let mut pairs = BTreeMap::new();
    if first.contains('=') {
        for word in words {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| ChangeError::NoValue(keyword.to_owned()))?;
            if name.is_empty() {
                return Err(ChangeError::BlankName(keyword.to_owned()));
            }
            pairs.insert(name.to_owned(), value.to_owned());
        }
        return Ok(pairs);
    }
    let (name, value) = rest
        .split_once(char::is_whitespace)
        .ok_or_else(|| ChangeError::NoValue(keyword.to_owned()))?;
    pairs.insert(name.to_owned(), value.trim().to_owned());
    Ok(pairs)
}

/// Splits at blanks outside quotes, and takes quotes and backslashes away.
fn words(text: &str) -> Result<Vec<String>, ChangeError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', q) if q != Some('\'') => {
                let next = chars.next();
                let current = word.get_or_insert_default();
                if q == Some('"') && !matches!(next, Some('"' | '\\' | '$')) {
                    current.push('\\');
                }
                current.extend(next);
            }
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(ChangeError::Quote(text.to_owned()));
    }
    words.extend(word);
    Ok(words)
}

/// `80`, `80/udp`, `80-82/tcp` as single ports.
fn ports(word: &str) -> Result<Vec<String>, ChangeError> {
    let bad = || ChangeError::Port(word.to_owned());
    let (range, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(bad());
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let first: u16 = first.parse().map_err(|_| bad())?;
    let last: u16 = last.parse().map_err(|_| bad())?;
    if first > last || first == 0 {
        return Err(bad());
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

fn healthcheck(rest: &str, shell: Option<&[String]>) -> Result<Healthcheck, ChangeError> {
    let mut check = Healthcheck::default();
    let mut rest = rest;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, behind) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        rest = behind.trim_start();
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let bad = || ChangeError::Healthcheck(format!("invalid value {value:?} for --{name}"));
        let time = || duration(value).ok_or_else(bad);
        match name {
            "interval" => check.interval = time()?,
            "timeout" => check.timeout = time()?,
            "start-period" => check.start_period = time()?,
            "start-interval" => check.start_interval = time()?,
            "retries" => check.retries = value.parse().ok().filter(|n| *n >= 0).ok_or_else(bad)?,
            _ => return Err(ChangeError::Healthcheck(format!("unknown flag: {name}"))),
        }
    }
    let (word, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match word.to_ascii_uppercase().as_str() {
        "NONE" => check.test = vec!["NONE".to_owned()],
        "CMD" if !arguments.trim().is_empty() => {
            let arguments = arguments.trim();
            check.test = match json_list(arguments) {
                Some(list) => [vec!["CMD".to_owned()], list].concat(),
                None if shell.is_some() => {
                    [vec!["CMD".to_owned()], command(arguments, shell)].concat()
                }
                None => vec!["CMD-SHELL".to_owned(), arguments.to_owned()],
            };
        }
        "CMD" => {
            return Err(ChangeError::Healthcheck(
                "missing command after HEALTHCHECK CMD".to_owned(),
            ));
        }
        _ => {
            return Err(ChangeError::Healthcheck(format!(
                "unknown type {word:?} (try CMD)"
            )));
        }
    }
    Ok(check)
}

/// Go's duration text (`1m30s`, `500ms`) in nanoseconds; `None` when malformed or negative.
fn duration(text: &str) -> Option<i64> {
    let mut total = 0f64;
    let mut rest = text;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_len);
        let unit_len = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked before"
    )]
    (!text.is_empty() && total <= 9e18).then_some(total as i64)
}

fn on_build(rest: &str) -> Result<String, ChangeError> {
    let word = rest
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    match word.as_str() {
        "ONBUILD" | "FROM" | "MAINTAINER" => Err(ChangeError::OnBuild(word)),
        _ => Ok(rest.to_owned()),
    }
}

/// A relative folder is below the one set before.
fn join_workdir(old: &str, new: &str) -> String {
    let new = new.trim_matches('"');
    let whole = if new.starts_with('/') {
        new.to_owned()
    } else {
        format!("/{old}/{new}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(lines: &[&str]) -> Execution {
        let mut config = Execution::default();
        for line in lines {
            line.parse::<Change>().unwrap().apply(&mut config).unwrap();
        }
        config
    }

    #[test]
    fn commands_have_two_forms() {
        assert_eq!(changed(&["CMD [\"a\", \"b\"]"]).cmd.unwrap(), ["a", "b"]);
        assert_eq!(
            changed(&["cmd echo hi"]).cmd.unwrap(),
            ["/bin/sh", "-c", "echo hi"]
        );
        assert_eq!(
            changed(&["SHELL [\"zsh\"]", "ENTRYPOINT x"])
                .entrypoint
                .unwrap(),
            ["zsh", "x"]
        );
        assert_eq!(changed(&["ENTRYPOINT []"]).entrypoint.unwrap(), [""; 0]);
    }

    #[test]
    fn names_and_values_are_unquoted() {
        let config = changed(&[
            "ENV A=1 B=\"two words\" C=it\\ is",
            "ENV A 2 and more",
            "LABEL x='y z'",
        ]);
        assert_eq!(config.env, ["A=2 and more", "B=two words", "C=it is"]);
        assert_eq!(config.labels["x"], "y z");
    }

    #[test]
    fn ports_volumes_and_folders() {
        let config = changed(&[
            "EXPOSE 80 90-91/UDP",
            "VOLUME [\"/a\"]",
            "VOLUME /b /c",
            "WORKDIR /x",
            "WORKDIR ../y",
        ]);
        assert_eq!(
            config.exposed_ports.iter().collect::<Vec<_>>(),
            ["80/tcp", "90/udp", "91/udp"]
        );
        assert_eq!(config.volumes.len(), 3);
        assert_eq!(config.working_dir, "/y");
    }

    #[test]
    fn health_checks() {
        let check = changed(&["HEALTHCHECK --interval=1m30s --retries=3 CMD curl x"])
            .healthcheck
            .unwrap();
        assert_eq!(check.test, ["CMD-SHELL", "curl x"]);
        assert_eq!((check.interval, check.retries), (90_000_000_000, 3));
        assert_eq!(
            changed(&["HEALTHCHECK NONE"]).healthcheck.unwrap().test,
            ["NONE"]
        );
    }

    #[test]
    fn mistakes_are_named() {
        let check = |line: &str, text: &str| {
            assert_eq!(line.parse::<Change>().unwrap_err().to_string(), text)
        };
        check("RUN rm -rf /", "RUN is not a valid change command");
        check("BANANA x", "unknown instruction: BANANA");
        check("ENV A", "ENV must have two arguments");
        check("ENV =x", "ENV names can not be blank");
        check("EXPOSE pig", "invalid containerPort: pig");
        check("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger");
        check("USER", "USER requires at least one argument");
        check(
            "SHELL sh",
            "SHELL requires the arguments to be in JSON form",
        );
    }
}
