//! Flags declared as tables and parsed as pflag does: clusters, `--name=value`, `--`, interspersed arguments.

use std::collections::HashMap;

use crate::values::{self, quote};

/// What a flag's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; a bare flag is true.
    Bool,
    /// Any text; the last one wins.
    String,
    /// Texts collected in order.
    List,
    /// A signed number.
    Int,
    /// A 16-bit number.
    Uint16,
    /// An unsigned number.
    Uint,
    /// A size such as `64m`; `-1` is allowed where `memory-swap` says so.
    Bytes,
    /// A number of CPUs.
    Decimal,
    /// A Go duration.
    Duration,
    /// `key=value` texts collected in order.
    Map,
    /// Texts collected in order, under another type name in help.
    Named(&'static str),
}

impl Kind {
    fn type_name(self) -> &'static str {
        match self {
            Self::Bool => "",
            Self::String => "string",
            Self::List => "list",
            Self::Int => "int",
            Self::Uint16 => "uint16",
            Self::Uint => "uint",
            Self::Bytes => "bytes",
            Self::Decimal => "decimal",
            Self::Duration => "duration",
            Self::Map => "map",
            Self::Named(name) => name,
        }
    }

    fn collects(self) -> bool {
        matches!(self, Self::List | Self::Map | Self::Named(_))
    }
}

/// A validator of one value; its error becomes the reason users read.
pub type Check = fn(&str) -> Result<(), String>;

/// One flag of a command.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The name after `--`.
    pub long: &'static str,
    /// The letter after `-`.
    pub short: Option<char>,
    /// What its value is.
    pub kind: Kind,
    /// What help prints as the default, empty for none.
    pub default: &'static str,
    /// What help says.
    pub help: &'static str,
    /// A further check of each value.
    pub check: Option<Check>,
    /// Left out of help.
    pub hidden: bool,
}

/// A flag without letter, default or check.
#[must_use]
pub const fn flag(long: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag {
        long,
        short: None,
        kind,
        default: "",
        help,
        check: None,
        hidden: false,
    }
}

impl Flag {
    /// With a letter.
    #[must_use]
    pub const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// With a default that help prints.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = text;
        self
    }

    /// With a validator.
    #[must_use]
    pub const fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// Accepted, but left out of help.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    fn display(&self) -> String {
        match self.short {
            Some(letter) => format!("-{letter}, --{}", self.long),
            None => format!("--{}", self.long),
        }
    }

    fn validate(&self, value: &str) -> Result<(), String> {
        let result = match self.kind {
            Kind::Bool => values::boolean(value).map(drop),
            Kind::Int => values::int(value).map(drop),
            Kind::Uint16 => values::uint(value, 16).map(drop),
            Kind::Uint => values::uint(value, 64).map(drop),
            Kind::Bytes if value == "-1" && self.long == "memory-swap" => Ok(()),
            Kind::Bytes => values::bytes(value).map(drop),
            Kind::Decimal => values::nano_cpus(value).map(drop),
            Kind::Duration => values::duration(value).map(drop),
            _ => Ok(()),
        };
        result
            .and_then(|()| self.check.map_or(Ok(()), |check| check(value)))
            .map_err(|why| {
                format!(
                    "invalid argument {} for {} flag: {why}",
                    quote(value),
                    quote(&self.display())
                )
            })
    }
}

/// The flags and arguments of one call.
#[derive(Debug, Default, Clone)]
pub struct Matches {
    values: HashMap<&'static str, Vec<String>>,
    /// What is left: the arguments.
    pub args: Vec<String>,
    /// Whether help was asked for.
    pub help: bool,
}

impl Matches {
    /// Whether the flag was given.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The flag's text, empty when it was not given.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.values
            .get(name)
            .and_then(|all| all.last())
            .map_or("", String::as_str)
    }

    /// Every text given, in order.
    #[must_use]
    pub fn list(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The flag's truth; false when it was not given.
    #[must_use]
    pub fn on(&self, name: &str) -> bool {
        values::boolean(self.text(name)).unwrap_or(false)
    }

    /// The flag's truth; `default` when it was not given.
    #[must_use]
    pub fn on_or(&self, name: &str, default: bool) -> bool {
        if self.is_set(name) {
            self.on(name)
        } else {
            default
        }
    }

    /// The flag's number, 0 when it was not given.
    #[must_use]
    pub fn int(&self, name: &str) -> i64 {
        values::int(self.text(name)).unwrap_or(0)
    }

    /// The flag's size in bytes, 0 when it was not given; `-1` stays.
    #[must_use]
    pub fn bytes(&self, name: &str) -> i64 {
        match self.text(name) {
            "-1" => -1,
            text => values::bytes(text).unwrap_or(0),
        }
    }

    fn store(&mut self, flag: &Flag, value: &str) -> Result<(), String> {
        flag.validate(value)?;
        let slot = self.values.entry(flag.long).or_default();
        if !flag.kind.collects() {
            slot.clear();
        }
        slot.push(value.to_owned());
        Ok(())
    }
}

/// Parses what follows a command's name. Without `interspersed`, flags end at the first argument.
///
/// # Errors
/// pflag's words, such as `unknown flag: --x`.
pub fn parse(flags: &[&[Flag]], interspersed: bool, argv: &[String]) -> Result<Matches, String> {
    let mut found = Matches::default();
    let mut words = argv.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            found.args.extend(words.cloned());
            break;
        }
        if let Some(body) = word.strip_prefix("--") {
            long(flags, body, &mut words, &mut found)?;
        } else if word.len() > 1 && word.starts_with('-') {
            cluster(flags, &word[1..], &mut words, &mut found)?;
        } else {
            found.args.push(word.clone());
            if !interspersed {
                found.args.extend(words.cloned());
                break;
            }
        }
        if found.help {
            break;
        }
    }
    Ok(found)
}

type Words<'a> = std::slice::Iter<'a, String>;

fn long(
    flags: &[&[Flag]],
    body: &str,
    words: &mut Words<'_>,
    found: &mut Matches,
) -> Result<(), String> {
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    };
    if name.is_empty() || name.starts_with('-') || name.starts_with('=') {
        return Err(format!("bad flag syntax: --{body}"));
    }
    // `--net` and `--net-alias` are old names that never went away.
    let canonical = match name {
        "net" => "network",
        "net-alias" => "network-alias",
        "time" => "timeout",
        other => other,
    };
    let known = flags
        .iter()
        .flat_map(|table| table.iter())
        .find(|flag| flag.long == canonical);
    let Some(flag) = known else {
        if name == "help" {
            found.help = true;
            return Ok(());
        }
        return Err(format!("unknown flag: --{name}"));
    };
    if name == "time" {
        crate::out::line("Flag --time has been deprecated, use --timeout instead");
    }
    match value {
        Some(value) => found.store(flag, value),
        None if flag.kind == Kind::Bool => found.store(flag, "true"),
        None => match words.next() {
            Some(value) => found.store(flag, value),
            None => Err(format!("flag needs an argument: --{name}")),
        },
    }
}

fn cluster(
    flags: &[&[Flag]],
    body: &str,
    words: &mut Words<'_>,
    found: &mut Matches,
) -> Result<(), String> {
    let mut rest = body;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        let known = flags
            .iter()
            .flat_map(|table| table.iter())
            .find(|flag| flag.short == Some(letter));
        let Some(flag) = known else {
            if letter == 'h' {
                found.help = true;
                return Ok(());
            }
            return Err(format!("unknown shorthand flag: '{letter}' in -{rest}"));
        };
        if let Some(value) = after.strip_prefix('=').filter(|_| !after.is_empty()) {
            return found.store(flag, value);
        }
        if flag.kind == Kind::Bool {
            found.store(flag, "true")?;
            rest = after;
            continue;
        }
        if !after.is_empty() {
            return found.store(flag, after);
        }
        return match words.next() {
            Some(value) => found.store(flag, value),
            None => Err(format!("flag needs an argument: '{letter}' in -{rest}")),
        };
    }
    Ok(())
}

/// The options block of a help screen, wrapped at `columns`.
#[must_use]
pub fn usages(flags: &[&[Flag]], columns: usize) -> String {
    let mut all: Vec<&Flag> = flags
        .iter()
        .flat_map(|table| table.iter())
        .filter(|flag| !flag.hidden)
        .collect();
    all.sort_by_key(|flag| flag.long);
    let heads: Vec<String> = all
        .iter()
        .map(|flag| {
            let mut head = match flag.short {
                Some(letter) => format!("  -{letter}, --{}", flag.long),
                None => format!("      --{}", flag.long),
            };
            let type_name = flag.kind.type_name();
            if !type_name.is_empty() {
                head.push(' ');
                head.push_str(type_name);
            }
            head
        })
        .collect();
    let indent = heads.iter().map(String::len).max().unwrap_or(0) + 3;
    let mut text = String::new();
    for (head, flag) in heads.iter().zip(&all) {
        let mut help = flag.help.to_owned();
        if !flag.default.is_empty() {
            let shown = match flag.kind {
                Kind::String => quote(flag.default),
                _ => flag.default.to_owned(),
            };
            help.push_str(&format!(" (default {shown})"));
        }
        text.push_str(&format!(
            "{head:<indent$}{}\n",
            wrap(&help, indent, columns)
        ));
    }
    text
}

/// Breaks help text at blanks so that no line passes `columns`, except for five characters of mercy.
fn wrap(help: &str, indent: usize, columns: usize) -> String {
    const MERCY: usize = 5;
    let room = columns.saturating_sub(indent).max(24) - MERCY;
    let mut lines = Vec::new();
    let mut rest = help;
    loop {
        if room + MERCY > rest.len() {
            lines.push(rest);
            break;
        }
        let head = &rest[..room];
        let newline = head.rfind('\n').filter(|at| *at > 0);
        let blank = head.rfind([' ', '\t', '\n']).filter(|at| *at > 0);
        let Some(at) = newline.or(blank) else {
            lines.push(rest);
            break;
        };
        lines.push(&rest[..at]);
        rest = &rest[at + 1..];
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        flag("interactive", Kind::Bool, "").short('i'),
        flag("tty", Kind::Bool, "").short('t'),
        flag("env", Kind::List, "").short('e'),
        flag("memory", Kind::Bytes, "").short('m'),
        flag("name", Kind::String, ""),
    ];

    fn run(words: &[&str], interspersed: bool) -> Result<Matches, String> {
        let argv: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        parse(&[FLAGS], interspersed, &argv)
    }

    #[test]
    fn clusters_values_and_arguments() {
        let m = run(
            &["-it", "-eA=1", "--env=B=2", "-e", "C", "img", "-x"],
            false,
        )
        .unwrap();
        assert!(m.on("interactive") && m.on("tty"));
        assert_eq!(m.list("env"), ["A=1", "B=2", "C"]);
        assert_eq!(m.args, ["img", "-x"]);
        let m = run(&["a", "--tty=false", "--", "-i"], true).unwrap();
        assert!(m.is_set("tty") && !m.on("tty"));
        assert_eq!(m.args, ["a", "-i"]);
    }

    #[test]
    fn errors_are_pflags() {
        let check = |words: &[&str], expect: &str| {
            assert_eq!(run(words, false).unwrap_err(), expect);
        };
        check(&["--nope"], "unknown flag: --nope");
        check(&["-iZ"], "unknown shorthand flag: 'Z' in -Z");
        check(&["--name"], "flag needs an argument: --name");
        check(&["-e"], "flag needs an argument: 'e' in -e");
        check(
            &["-m", "abc"],
            "invalid argument \"abc\" for \"-m, --memory\" flag: invalid size: 'abc'",
        );
        check(
            &["--tty=x"],
            "invalid argument \"x\" for \"-t, --tty\" flag: strconv.ParseBool: parsing \"x\": invalid syntax",
        );
    }
}
