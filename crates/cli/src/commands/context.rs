//! `context ls`, `context inspect`, `context use`, `context show`: Docker's own context files.

use std::env;

use client::endpoint;
use serde_json::{Value as Json, json};

use super::{inspect, shared};
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format::{self, Columns},
    out,
    template::{Record, Value},
};

const LS_FLAGS: &[Flag] = &[
    shared::FORMAT,
    flag("quiet", Kind::Bool, "Show names only").short('q'),
];

pub(super) static LS: Command = Command {
    paths: &["context ls", "context list"],
    usage: "[OPTIONS]",
    about: "List contexts",
    more: "",
    flags: &[LS_FLAGS],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(list(cli, matches)),
};

const COLUMNS: Columns = Columns {
    type_name: "*formatter.clientContextContext",
    headings: &[
        ("Current", "CURRENT"),
        ("Description", "DESCRIPTION"),
        ("DockerEndpoint", "DOCKER ENDPOINT"),
        ("Error", "ERROR"),
        ("Name", "NAME"),
    ],
};

const DEFAULT_DESCRIPTION: &str = "Current DOCKER_HOST based configuration";

/// The variable that outweighs the current context, if one is set.
fn overriding() -> Option<(&'static str, String)> {
    ["ESTIVA_HOST", "DOCKER_HOST"].into_iter().find_map(|name| {
        env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .map(|value| (name, value))
    })
}

fn default_host() -> String {
    overriding().map_or_else(|| endpoint::DEFAULT_HOST.to_owned(), |(_, host)| host)
}

fn current(cli: &Cli) -> Result<String, Failure> {
    Ok(endpoint::choose(&cli.choice, &cli.contexts)?.context)
}

async fn list(cli: &Cli, matches: &Matches) -> Outcome {
    let current = current(cli)?;
    let mut all = vec![(
        "default".to_owned(),
        DEFAULT_DESCRIPTION.to_owned(),
        default_host(),
    )];
    for context in cli.contexts.list() {
        all.push((context.name, context.description, context.host));
    }
    all.sort();
    let quiet = matches.on("quiet") && !matches.is_set("format");
    let custom = matches.text("format");
    let table = custom.is_empty() || custom.starts_with("table");
    let rows = all
        .into_iter()
        .map(|(name, description, host)| Record {
            fields: vec![
                ("Current", Value::Bool(name == current)),
                ("Description", description.into()),
                ("DockerEndpoint", host.into()),
                ("Error", "".into()),
                // In tables a star marks the current one.
                (
                    "Name",
                    if table && !quiet && name == current {
                        format!("{name} *")
                    } else {
                        name
                    }
                    .into(),
                ),
            ],
            ..Record::default()
        })
        .collect();
    let default = if quiet {
        "{{.Name}}"
    } else {
        "{{.Name}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}"
    };
    let format = if quiet { default } else { custom };
    out::print(format::render(format, default, COLUMNS, rows)?);
    if let (Some((name, _)), None) = (overriding(), &cli.choice.context) {
        out::complain(format!(
            "Warning: {name} environment variable overrides the active context. To use a context, either set the global --context flag, or unset {name} environment variable."
        ));
    }
    Ok(0)
}

pub(super) static SHOW: Command = Command {
    paths: &["context show"],
    usage: "",
    about: "Print the name of the current context",
    more: "",
    flags: &[],
    args: Args::None,
    interspersed: true,
    run: |cli, _| {
        Box::pin(async move {
            out::line(current(cli)?);
            Ok(0)
        })
    },
};

pub(super) static USE: Command = Command {
    paths: &["context use"],
    usage: "CONTEXT",
    about: "Choose the current context",
    more: "",
    flags: &[],
    args: Args::Exactly(1),
    interspersed: true,
    run: |cli, matches| Box::pin(choose(cli, matches)),
};

async fn choose(cli: &Cli, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    cli.contexts.make_current(name)?;
    out::line(name);
    out::complain(format!("Current context is now \"{name}\""));
    if let (Some((variable, _)), true) = (overriding(), name != "default") {
        out::complain(format!(
            "Warning: {variable} environment variable overrides the active context. To use \"{name}\", either set the global --context flag, or unset {variable} environment variable."
        ));
    }
    Ok(0)
}

pub(super) static INSPECT: Command = Command {
    paths: &["context inspect"],
    usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
    about: "Show all about one or more contexts",
    more: "",
    flags: &[&[shared::FORMAT_ONE]],
    args: Args::Any,
    interspersed: true,
    run: |cli, matches| Box::pin(show_all(cli, matches)),
};

async fn show_all(cli: &Cli, matches: &Matches) -> Outcome {
    let mut names = matches.args.clone();
    if names.is_empty() {
        names.push(current(cli)?);
    }
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for name in names {
        match describe(cli, &name) {
            Ok(object) => found.push(crate::template::escape_html(&object.to_string())),
            Err(error) => errors.push(error.to_string()),
        }
    }
    inspect::show(&found, matches.text("format"), &errors)
}

fn describe(cli: &Cli, name: &str) -> Result<Json, client::Error> {
    if name == "default" {
        return Ok(json!({
            "Name": name,
            "Metadata": {},
            "Endpoints": {"docker": {"Host": default_host(), "SkipTLSVerify": false}},
            "TLSMaterial": {},
            "Storage": {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
        }));
    }
    let context = cli.contexts.require(name)?;
    let id = context
        .folder
        .file_name()
        .map(|id| id.to_string_lossy().into_owned())
        .unwrap_or_default();
    let tls = context
        .folder
        .ancestors()
        .nth(2)
        .map(|contexts| contexts.join("tls").join(id).display().to_string())
        .unwrap_or_default();
    let part = |key: &str| {
        context
            .metadata
            .get(key)
            .cloned()
            .unwrap_or_else(|| json!({}))
    };
    Ok(json!({
        "Name": name,
        "Metadata": part("Metadata"),
        "Endpoints": part("Endpoints"),
        "TLSMaterial": {},
        "Storage": {"MetadataPath": context.folder.display().to_string(), "TLSPath": tls},
    }))
}
