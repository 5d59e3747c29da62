//! The OCI runtime's command line: what engines call instead of runc or crun.
//!
//! A face: it translates options, keeps one folder of state per container ([`record`] draws it), and leaves containers
//! to the `runtime` crate and limits to `cgroup`. `create` and `start` are two processes, which meet at the start gate.
#![forbid(unsafe_code)]

mod bundle;
mod commands;
mod console;
mod creation;
mod criu;
mod descriptors;
mod error;
mod foreground;
mod globals;
mod json;
mod limits;
mod options;
mod pattern;
mod process_table;
mod record;
mod removal;
mod scope;
mod signals;

use std::ffi::OsString;
use std::io::Write;

use error::Error;
use globals::Globals;
use options::{Ends, Given};

/// One command: what it is called, what it takes, and what it does.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static str,
    pub(crate) about: &'static str,
    pub(crate) flags: &'static [options::Flag],
    pub(crate) ends: Ends,
    pub(crate) run: fn(&Globals, &Given) -> Result<u8, Error>,
}

/// Runs the command that `argv` names, without the program's own name, and gives the exit code.
///
/// Must be called before any other thread exists: containers are made by a copy of this process.
#[must_use]
pub fn main(argv: Vec<OsString>) -> u8 {
    // A reader that has gone is an error to tell of, not the end.
    sys::signal::ignore(signals::PIPE);
    let mut globals = Globals::default();
    match dispatch(argv, &mut globals) {
        Ok(code) => code,
        Err(error) => {
            globals.tell_error(&error.line());
            error.exit_code()
        }
    }
}

fn dispatch(argv: Vec<OsString>, globals: &mut Globals) -> Result<u8, Error> {
    let words = argv
        .into_iter()
        .map(|word| word.into_string().map_err(|word| Error::NotText { word }))
        .collect::<Result<Vec<_>, _>>()?;
    let given = options::parse(globals::FLAGS, Ends::AtArgument, words)?;
    *globals = Globals::new(&given)?;
    if given.is_on("version") {
        return print(&format!(
            "estiva-runtime version {}\nspec: {}\n",
            env!("CARGO_PKG_VERSION"),
            oci::runtime::VERSION
        ));
    }
    let mut words = given.args.into_iter();
    let Some(name) = words.next().filter(|name| name != "help" && !given.help) else {
        return print(&overview());
    };
    let command = commands::ALL
        .iter()
        .find(|command| command.name == name)
        .ok_or(Error::UnknownCommand { name })?;
    let given = options::parse(command.flags, command.ends, words)?;
    if given.help {
        return print(&usage(command));
    }
    (command.run)(globals, &given)
}

fn overview() -> String {
    let mut text = "USAGE:\n   estiva-runtime [global options] command [command options] [arguments...]\n\nCOMMANDS:\n"
        .to_owned();
    for command in commands::ALL {
        text.push_str(&format!("   {:<12}{}\n", command.name, command.about));
    }
    text.push_str("\nGLOBAL OPTIONS:\n");
    text + &list(globals::FLAGS)
}

fn usage(command: &Command) -> String {
    format!(
        "NAME:\n   estiva-runtime {} - {}\n\nUSAGE:\n   estiva-runtime {} [command options] {}\n\nOPTIONS:\n{}",
        command.name,
        command.about,
        command.name,
        command.arguments,
        list(command.flags)
    )
}

fn list(flags: &[options::Flag]) -> String {
    let mut text = String::new();
    for flag in flags {
        let names: Vec<String> = flag
            .names
            .iter()
            .map(|name| match name.len() {
                1 => format!("-{name}"),
                _ => format!("--{name}"),
            })
            .collect();
        let value = if flag.takes_value { " value" } else { "" };
        let names = names.join(", ") + value;
        text.push_str(&format!("   {names:<30} {}\n", flag.help));
    }
    text
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Result<u8, Error> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|source| Error::Output { source })?;
    Ok(0)
}

/// The one argument of most commands.
pub(crate) fn only_id<'a>(command: &'static str, given: &'a Given) -> Result<&'a str, Error> {
    match given.args.as_slice() {
        [id] => Ok(id),
        _ => Err(Error::Arguments {
            command,
            expected: "it takes exactly one argument, the container's id",
        }),
    }
}
