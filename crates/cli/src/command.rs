//! What a command is, the call's surroundings, and how a call fails.

use std::{cell::OnceCell, fmt, future::Future, pin::Pin};

use client::{Client, context::Contexts, endpoint};
use serde_json::Value;

use crate::{
    Hooks,
    flags::{Flag, Matches},
};

/// How many arguments a command takes.
#[derive(Debug, Clone, Copy)]
pub enum Args {
    /// None.
    None,
    /// Exactly so many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
    /// At most so many.
    AtMost(usize),
    /// From so many to so many.
    Between(usize, usize),
    /// Any number.
    Any,
}

impl Args {
    /// Docker's complaint about `count` arguments, if there is one.
    #[must_use]
    pub fn complaint(self, command: &str, count: usize) -> Option<String> {
        let s = |n: usize| if n == 1 { "" } else { "s" };
        match self {
            Self::None if count > 0 => Some(format!("'{command}' accepts no arguments")),
            Self::Exactly(n) if count != n => {
                Some(format!("'{command}' requires {n} argument{}", s(n)))
            }
            Self::AtLeast(n) if count < n => Some(format!(
                "'{command}' requires at least {n} argument{}",
                s(n)
            )),
            Self::AtMost(n) if count > n => {
                Some(format!("'{command}' requires at most {n} argument{}", s(n)))
            }
            Self::Between(low, high) if count < low || count > high => Some(format!(
                "'{command}' requires at least {low} and at most {high} argument{}",
                s(high)
            )),
            _ => None,
        }
    }
}

/// What a command's work gives back: the exit code, or why it failed.
pub type Outcome = Result<u8, Failure>;

/// A command's work in progress.
pub type Work<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// One command under all its names.
pub struct Command {
    /// Its full names without the program, such as `container ls` and `ps`; the first one is help's.
    pub paths: &'static [&'static str],
    /// What follows its name in the usage line.
    pub usage: &'static str,
    /// One line for the lists.
    pub about: &'static str,
    /// More for its own screen.
    pub more: &'static str,
    /// Its flags.
    pub flags: &'static [&'static [Flag]],
    /// How many arguments it takes.
    pub args: Args,
    /// Whether flags may follow arguments.
    pub interspersed: bool,
    /// Its work.
    pub run: for<'a> fn(&'a Cli, &'a Matches) -> Work<'a>,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

/// A call's surroundings: the program's name, global flags and the daemon.
pub struct Cli {
    /// The name the program was called by.
    pub program: String,
    /// The command's name as usage lines print it, without the program.
    pub path: String,
    /// The contexts and configuration of the user.
    pub contexts: Contexts,
    /// The global flags that choose a daemon.
    pub choice: endpoint::Choice,
    /// `-D`.
    pub debug: bool,
    pub(crate) hooks: Hooks,
    pub(crate) client: OnceCell<Client>,
}

impl fmt::Debug for Cli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cli")
            .field("program", &self.program)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Cli {
    /// The daemon, chosen at the first use.
    ///
    /// # Errors
    /// The endpoint cannot be read.
    pub fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let chosen = endpoint::choose(&self.choice, &self.contexts)?;
        let fresh = if chosen.is_default {
            Client::connect_or_start(chosen.endpoint, self.hooks.start_daemon.take())
        } else {
            Client::new(chosen.endpoint)
        };
        Ok(self.client.get_or_init(|| fresh))
    }

    /// The format to print with: the flag, else the user's configuration, else nothing.
    #[must_use]
    pub fn format(&self, matches: &Matches, configured: &str) -> String {
        if matches.is_set("format") {
            return matches.text("format").to_owned();
        }
        if configured.is_empty() || matches.on("quiet") {
            return String::new();
        }
        self.contexts
            .config()
            .get(configured)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}

/// Why a call failed, and with which exit code.
#[derive(Debug)]
pub struct Failure {
    /// What standard error gets; nothing when it has been said already.
    pub message: Option<String>,
    /// The exit code.
    pub code: u8,
}

impl Failure {
    /// A failure with Docker's general exit code 1.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            code: 1,
        }
    }

    /// A failure with its own exit code.
    #[must_use]
    pub fn with_code(message: impl Into<String>, code: u8) -> Self {
        Self {
            message: Some(message.into()),
            code,
        }
    }

    /// A failure that has been told already.
    #[must_use]
    pub fn silent(code: u8) -> Self {
        Self {
            message: None,
            code,
        }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(go_io_error(&error))
    }
}

/// An I/O error in the words of Go's standard library (`no such file or directory`).
#[must_use]
pub fn go_io_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    let bare = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = bare.chars();
    match (error.raw_os_error(), chars.next()) {
        (Some(_), Some(first)) => first.to_lowercase().collect::<String>() + chars.as_str(),
        _ => bare.to_owned(),
    }
}
