//! Help screens in Docker's layout.

use crate::{
    command::Command,
    commands, dispatch,
    flags::{self, Flag},
    out,
};

/// A group of commands and what it is for.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    about: &'static str,
}

const GROUPS: &[Group] = &[
    Group {
        name: "container",
        about: "Manage containers",
    },
    Group {
        name: "context",
        about: "Manage contexts",
    },
    Group {
        name: "image",
        about: "Manage images",
    },
    Group {
        name: "network",
        about: "Manage networks",
    },
    Group {
        name: "system",
        about: "Manage the engine",
    },
    Group {
        name: "volume",
        about: "Manage volumes",
    },
];

const COMMON: &[&str] = &["run", "exec", "ps", "images", "version", "info"];

/// The group called `name`.
pub(crate) fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

/// The name a usage line prints: the first one in the group that was called.
pub(crate) fn canonical(command: &Command, called: &str) -> &'static str {
    let group = |path: &str| path.split_once(' ').map(|(group, _)| group.to_owned());
    command
        .paths
        .iter()
        .find(|path| group(path) == group(called))
        .or(command.paths.first())
        .copied()
        .unwrap_or_default()
}

/// The screen of the program itself.
pub(crate) fn root(program: &str) -> String {
    let mut text = format!(
        "Usage:  {program} [OPTIONS] COMMAND\n\nContainers, images and volumes from one binary\n"
    );
    let entry = |name: &str, about: &str| format!("  {name:<12}{about}\n");
    text.push_str("\nCommon Commands:\n");
    for name in COMMON {
        if let Some(command) = commands::find(name) {
            text.push_str(&entry(name, command.about));
        }
    }
    text.push_str("\nManagement Commands:\n");
    for group in GROUPS {
        text.push_str(&entry(group.name, group.about));
    }
    text.push_str("\nCommands:\n");
    let mut singles: Vec<(&str, &str)> = commands::ALL
        .iter()
        .flat_map(|command| command.paths.iter().map(|path| (*path, command.about)))
        .filter(|(path, _)| !path.contains(' ') && !COMMON.contains(path))
        .collect();
    singles.push(("daemon", "Run the engine"));
    singles.sort_unstable();
    for (name, about) in singles {
        text.push_str(&entry(name, about));
    }
    text.push_str("\nGlobal Options:\n");
    text.push_str(&flags::usages(&[dispatch::GLOBAL], out::width()));
    text.push_str(&format!(
        "\nRun '{program} COMMAND --help' for more information on a command.\n"
    ));
    text
}

/// The screen of a group.
pub(crate) fn group_screen(program: &str, group: &Group) -> String {
    let name = group.name;
    let mut text = format!(
        "Usage:  {program} {name} COMMAND\n\n{}\n\nCommands:\n",
        group.about
    );
    let mut entries: Vec<(&str, &str)> = commands::ALL
        .iter()
        .filter_map(|command| {
            let path = command
                .paths
                .iter()
                .find(|path| path.strip_prefix(name).is_some_and(|r| r.starts_with(' ')))?;
            Some((&path[name.len() + 1..], command.about))
        })
        .collect();
    entries.sort_unstable();
    for (command, about) in entries {
        text.push_str(&format!("  {command:<12}{about}\n"));
    }
    text.push_str(&format!(
        "\nRun '{program} {name} COMMAND --help' for more information on a command.\n"
    ));
    text
}

/// The screen of a command.
pub(crate) fn screen(program: &str, command: &Command, path: &str) -> String {
    let mut text = format!("Usage:  {program} {path} {}", command.usage)
        .trim_end()
        .to_owned();
    text = text.replace('\n', &format!("\n\t{program} {path} "));
    text.push_str(&format!("\n\n{}\n", command.about));
    if !command.more.is_empty() {
        text.push_str(&format!("\n{}\n", command.more));
    }
    if command.paths.len() > 1 {
        let names: Vec<String> = command
            .paths
            .iter()
            .map(|path| format!("{program} {path}"))
            .collect();
        text.push_str(&format!("\nAliases:\n  {}\n", names.join(", ")));
    }
    let any = command
        .flags
        .iter()
        .flat_map(|table| table.iter())
        .any(|flag: &Flag| !flag.hidden);
    if any {
        text.push_str("\nOptions:\n");
        text.push_str(&flags::usages(command.flags, out::width()));
    }
    text
}
