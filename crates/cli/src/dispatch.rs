//! From the words of a call to a command and its flags; failures become text and exit codes.

use std::{cell::OnceCell, env, path::PathBuf};

use client::{context::Contexts, endpoint::Choice};

use crate::{
    Hooks, VERSION,
    command::{Args, Cli, Command, Failure},
    commands,
    flags::{self, Flag, Kind, Matches, flag},
    help, out,
};

/// The flags before the command.
pub(crate) const GLOBAL: &[Flag] = &[
    flag(
        "config",
        Kind::String,
        "Folder of the client's configuration",
    )
    .default("~/.docker"),
    flag(
        "context",
        Kind::String,
        "Context that names the daemon (outweighs DOCKER_HOST and the current context)",
    )
    .short('c'),
    flag("debug", Kind::Bool, "Tell more").short('D'),
    flag("host", Kind::List, "Daemon socket to connect to").short('H'),
    flag(
        "log-level",
        Kind::String,
        "Least level of messages (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")",
    )
    .short('l')
    .default("info"),
    flag("tls", Kind::Bool, "Use TLS; implied by --tlsverify"),
    flag(
        "tlscacert",
        Kind::String,
        "Trust only certificates of this authority",
    ),
    flag("tlscert", Kind::String, "TLS certificate file"),
    flag("tlskey", Kind::String, "TLS key file"),
    flag("tlsverify", Kind::Bool, "Use TLS and verify the remote"),
    flag("version", Kind::Bool, "Print the version and quit").short('v'),
];

/// What to do about a failure that tells it only to those who know; most say it themselves.
fn next_step(program: &str, message: &str) -> Option<String> {
    let message = message.to_ascii_lowercase();
    message.contains("no space left on device").then(|| {
        format!(
            "The disk is full: '{program} system df' shows what takes space, '{program} system prune' frees what nobody uses."
        )
    })
}

/// Runs one call and returns its exit code.
pub(crate) async fn run(program: String, words: &[String], hooks: Hooks) -> u8 {
    match call(&program, words, hooks).await {
        Ok(code) => code,
        Err(failure) => {
            if let Some(message) = &failure.message {
                out::complain(message);
                if let Some(step) = next_step(&program, message) {
                    out::complain(step);
                }
            }
            failure.code
        }
    }
}

async fn call(program: &str, words: &[String], hooks: Hooks) -> Result<u8, Failure> {
    let global = flags::parse(&[GLOBAL], false, words).map_err(|error| {
        Failure::with_code(
            format!(
                "{error}\n\nUsage:  {program} [OPTIONS] COMMAND [ARG...]\n\nRun '{program} --help' for more information"
            ),
            125,
        )
    })?;
    if global.on("version") {
        out::line(short_version(program));
        return Ok(0);
    }
    let mut rest: &[String] = &global.args;
    let mut wants_help = global.help;
    if rest.first().is_some_and(|word| word == "help") {
        rest = &rest[1..];
        wants_help = true;
    }
    let Some(first) = rest.first() else {
        out::print(help::root(program));
        return Ok(0);
    };
    if let Some(group) = help::group(first) {
        let inner = rest.get(1).map(String::as_str);
        match inner {
            None if !wants_help => {
                out::complain(help::group_screen(program, group).trim_end());
                return Ok(0);
            }
            None | Some("--help" | "-h" | "help") => {
                out::print(help::group_screen(program, group));
                return Ok(0);
            }
            Some(word) if word.starts_with('-') => {
                let error = if word.starts_with("--") {
                    format!("unknown flag: {word}")
                } else {
                    format!(
                        "unknown shorthand flag: '{}' in {word}",
                        word.chars().nth(1).unwrap_or('-')
                    )
                };
                return Err(Failure::with_code(
                    format!(
                        "{error}\n\nUsage:  {program} {first} COMMAND\n\nRun '{program} {first} --help' for more information"
                    ),
                    125,
                ));
            }
            Some(word) => {
                let path = format!("{first} {word}");
                return match commands::find(&path) {
                    Some(command) => {
                        invoke(
                            program,
                            command,
                            &path,
                            &rest[2..],
                            wants_help,
                            &global,
                            hooks,
                        )
                        .await
                    }
                    None => Err(unknown(program, &path, Some(first))),
                };
            }
        }
    }
    match commands::find(first) {
        Some(command) => {
            invoke(
                program,
                command,
                first,
                &rest[1..],
                wants_help,
                &global,
                hooks,
            )
            .await
        }
        None => Err(unknown(program, first, None)),
    }
}

fn unknown(program: &str, path: &str, group: Option<&str>) -> Failure {
    if let Some(why) = commands::not_built(path) {
        return Failure::new(format!(
            "{program}: '{program} {path}' is not built yet: {why}"
        ));
    }
    Failure::new(match group {
        None => format!(
            "{program}: unknown command: {program} {path}\n\nRun '{program} --help' for more information"
        ),
        // Docker's volume group alone names its COMMAND here.
        Some(group) => format!(
            "{program}: unknown command: {program} {path}\n\nUsage:  {program} {group}{}\n\nRun '{program} {group} --help' for more information",
            if group == "volume" { " COMMAND" } else { "" }
        ),
    })
}

async fn invoke(
    program: &str,
    command: &Command,
    called: &str,
    words: &[String],
    wants_help: bool,
    global: &Matches,
    hooks: Hooks,
) -> Result<u8, Failure> {
    let path = help::canonical(command, called);
    let full = format!("{program} {path}");
    let usage = format!("Usage:  {full} {}", command.usage);
    let usage = usage.trim_end();
    let matches = flags::parse(command.flags, command.interspersed, words).map_err(|error| {
        Failure::with_code(
            format!("{error}\n\n{usage}\n\nRun '{full} --help' for more information"),
            125,
        )
    })?;
    if wants_help || matches.help {
        out::print(help::screen(program, command, path));
        return Ok(0);
    }
    if let Some(complaint) = command.args.complaint(&full, matches.args.len()) {
        let usage = usage.replace('\n', &format!("\n\t{full} "));
        let verb = match command.args {
            Args::AtLeast(_) => "See",
            _ => "Run",
        };
        return Err(Failure::new(format!(
            "{program}: {complaint}\n\n{usage}\n\n{verb} '{full} --help' for more information"
        )));
    }
    let cli = surroundings(program, path, global, hooks)?;
    (command.run)(&cli, &matches).await
}

fn surroundings(program: &str, path: &str, global: &Matches, hooks: Hooks) -> Result<Cli, Failure> {
    if global.on("tls") || global.on("tlsverify") {
        return Err(Failure::new(
            "TLS connections are not supported yet: use unix:// or plain tcp://",
        ));
    }
    let level = global.text("log-level");
    if !matches!(
        level,
        "" | "panic" | "fatal" | "error" | "warn" | "warning" | "info" | "debug" | "trace"
    ) {
        return Err(Failure::new(format!(
            "Unable to parse logging level: {level}"
        )));
    }
    let hosts = global.list("host");
    if hosts.len() > 1 {
        return Err(Failure::new("specify only one -H"));
    }
    if !hosts.is_empty() && global.is_set("context") {
        return Err(Failure::new(
            "conflicting options: cannot specify both --host and --context",
        ));
    }
    let folder = if global.is_set("config") {
        PathBuf::from(global.text("config"))
    } else if let Some(folder) = env::var_os("DOCKER_CONFIG").filter(|text| !text.is_empty()) {
        PathBuf::from(folder)
    } else {
        PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker")
    };
    Ok(Cli {
        program: program.to_owned(),
        path: path.to_owned(),
        contexts: Contexts::new(folder),
        choice: Choice {
            host: hosts.first().cloned(),
            context: global
                .is_set("context")
                .then(|| global.text("context").to_owned()),
        },
        debug: global.on("debug"),
        hooks,
        client: OnceCell::new(),
    })
}

/// The line of `--version`. Tools that look for Docker's line find it when called by its name.
fn short_version(program: &str) -> String {
    if program == "docker" {
        format!(
            "Docker version {}, build estiva-{VERSION}",
            commands::version::DOCKER_VERSION
        )
    } else {
        format!("estiva version {VERSION}")
    }
}
