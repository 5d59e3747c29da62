//! Options as runc reads them: one dash or two, `--name value` or `--name=value`, every option before or after the id. And
//! as crun does: letters behind one dash, the last of them with its value.

use crate::error::Error;

/// One option of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// The names, without dashes; the first is what code asks for.
    pub(crate) names: &'static [&'static str],
    /// Whether a value follows.
    pub(crate) takes_value: bool,
    /// What help says.
    pub(crate) help: &'static str,
}

/// An option with a value.
pub(crate) const fn value(names: &'static [&'static str], help: &'static str) -> Flag {
    Flag {
        names,
        takes_value: true,
        help,
    }
}

/// An option that is there or not.
pub(crate) const fn switch(names: &'static [&'static str], help: &'static str) -> Flag {
    Flag {
        names,
        takes_value: false,
        help,
    }
}

/// Where options end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// At `--` only.
    Never,
    /// At the first word that is none: what follows belongs to somebody else.
    AtArgument,
}

/// What was given.
#[derive(Debug, Default)]
pub(crate) struct Given {
    options: Vec<(&'static str, String)>,
    /// The words that are no options.
    pub(crate) args: Vec<String>,
    /// Whether help was asked for.
    pub(crate) help: bool,
}

impl Given {
    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &'static str) -> bool {
        self.text(name)
            .is_some_and(|text| !matches!(text, "false" | "0" | "f" | "F" | "False" | "FALSE"))
    }

    /// The last value given.
    pub(crate) fn text(&self, name: &'static str) -> Option<&str> {
        self.list(name).last()
    }

    /// All values given.
    pub(crate) fn list(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.options
            .iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, text)| text.as_str())
    }

    /// A value as a number.
    pub(crate) fn number<T: std::str::FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, Error> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Error::Value {
                flag: name.to_owned(),
                value: text.to_owned(),
            })
        };
        self.text(name).map(parse).transpose()
    }
}

/// Reads options and arguments.
pub(crate) fn parse(
    flags: &[Flag],
    ends: Ends,
    words: impl IntoIterator<Item = String>,
) -> Result<Given, Error> {
    let mut given = Given::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let bare = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        match bare {
            Some("") if word == "--" => {
                given.args.extend(words);
                break;
            }
            None | Some("") => {
                given.args.push(word);
                if ends == Ends::AtArgument {
                    given.args.extend(words);
                    break;
                }
            }
            Some(bare) => {
                let (name, value) = match bare.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (bare, None),
                };
                let Some(flag) = find(flags, name) else {
                    if matches!(name, "help" | "h" | "?" | "usage") {
                        given.help = true;
                        continue;
                    }
                    let letters = letters(flags, bare).filter(|_| !word.starts_with("--"));
                    let mut letters = letters.ok_or_else(|| Error::UnknownFlag {
                        name: name.to_owned(),
                    })?;
                    let last = letters.pop().expect("a word that is no option alone");
                    let switches = letters
                        .iter()
                        .map(|(flag, _)| (flag.names[0], "true".to_owned()));
                    given.options.extend(switches);
                    given
                        .options
                        .push(with_value(last.0, last.1, name, &mut words)?);
                    continue;
                };
                given
                    .options
                    .push(with_value(flag, value, name, &mut words)?);
            }
        }
    }
    Ok(given)
}

fn find<'a>(flags: &'a [Flag], name: &str) -> Option<&'a Flag> {
    flags.iter().find(|flag| flag.names.contains(&name))
}

/// Options of one letter each, without a blank between; behind one that takes a value comes that.
fn letters<'a>(flags: &'a [Flag], word: &str) -> Option<Vec<(&'a Flag, Option<String>)>> {
    let mut found = Vec::new();
    for (at, letter) in word.char_indices() {
        let flag = find(flags, letter.encode_utf8(&mut [0; 4]))?;
        let rest = &word[at + letter.len_utf8()..];
        if flag.takes_value {
            let value = (!rest.is_empty()).then(|| rest.to_owned());
            found.push((flag, value));
            return Some(found);
        }
        found.push((flag, None));
    }
    Some(found)
}

fn with_value(
    flag: &Flag,
    value: Option<String>,
    name: &str,
    words: &mut impl Iterator<Item = String>,
) -> Result<(&'static str, String), Error> {
    let value = match value {
        Some(value) => value,
        None if !flag.takes_value => "true".to_owned(),
        None => words.next().ok_or_else(|| Error::NoValue {
            name: name.to_owned(),
        })?,
    };
    Ok((flag.names[0], value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        value(&["bundle", "b"], ""),
        value(&["env", "e"], ""),
        switch(&["force", "f"], ""),
    ];

    fn read(ends: Ends, line: &str) -> Result<Given, Error> {
        parse(FLAGS, ends, line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn dashes_values_and_places() {
        let given = read(Ends::Never, "-b /x --env=A=1 c1 --force -e B").expect("valid");
        assert_eq!(given.text("bundle"), Some("/x"));
        assert_eq!(given.list("env").collect::<Vec<_>>(), ["A=1", "B"]);
        assert!(given.is_on("force"));
        assert_eq!(given.args, ["c1"]);
        assert!(
            !read(Ends::Never, "--force=false")
                .expect("valid")
                .is_on("force")
        );
    }

    #[test]
    fn letters_may_stand_together() {
        let given = read(Ends::Never, "-fb /x c1 -fe=A=1").expect("valid");
        assert!(given.is_on("force"));
        assert_eq!(given.text("bundle"), Some("/x"));
        assert_eq!(given.text("env"), Some("=A=1"));
        assert_eq!(given.args, ["c1"]);
        let given = read(Ends::Never, "-b/x -force").expect("valid");
        assert_eq!(given.text("bundle"), Some("/x"));
        assert!(given.is_on("force"));
    }

    #[test]
    fn what_belongs_to_the_program_is_left_alone() {
        let given = read(Ends::AtArgument, "-f c1 ls -b --nope").expect("valid");
        assert_eq!(given.args, ["c1", "ls", "-b", "--nope"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = |line| read(Ends::Never, line).expect_err("wrong").to_string();
        assert_eq!(text("--nope"), "flag provided but not defined: -nope");
        assert_eq!(text("-fx"), "flag provided but not defined: -fx");
        assert_eq!(text("--fb=/x"), "flag provided but not defined: -fb");
        assert_eq!(text("-fb"), "flag needs an argument: -fb");
    }
}
