//! `version`: of this program and of the daemon.

use std::fmt::Write as _;

use client::{NEWEST_VERSION, Request};
use serde_json::{Map, Value, json};

use super::shared;
use crate::{
    VERSION,
    command::{Args, Cli, Command, Failure, Outcome},
    flags::Matches,
    format, json, out, times,
};

/// The version of Docker's command line whose behaviour this one has.
pub(crate) const DOCKER_VERSION: &str = "28.2.2";

pub(super) static COMMAND: Command = Command {
    paths: &["version"],
    usage: "[OPTIONS]",
    about: "Show the versions of client and engine",
    more: "",
    flags: &[&[shared::FORMAT_ONE]],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let client = cli.client()?;
    let asked = client.json(Request::get(&["version"])).await;
    let version = match &asked {
        Ok(_) => client.version().await?,
        Err(_) => NEWEST_VERSION.to_owned(),
    };
    let context = client::endpoint::choose(&cli.choice, &cli.contexts)?.context;
    let mut whole = Map::new();
    whole.insert(
        "Client".into(),
        json!({
            "Version": VERSION,
            "ApiVersion": version,
            "DefaultAPIVersion": NEWEST_VERSION,
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": architecture(),
            "BuildTime": "",
            "Context": context,
        }),
    );
    if let Ok(server) = &asked {
        whole.insert("Server".into(), server.clone());
    }
    let whole = Value::Object(whole);
    let format = matches.text("format");
    if format.is_empty() {
        out::print(pretty(&whole));
    } else {
        out::print(format::render_object(
            format,
            &whole,
            ("version", "system.versionInfo"),
        )?);
    }
    match asked {
        Ok(_) => Ok(0),
        Err(error) => Err(Failure::from(error)),
    }
}

/// This machine's architecture as Go names it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn pretty(whole: &Value) -> String {
    let mut text = String::from("Client:\n");
    let mut line = |indent: usize, key: &str, value: &str| {
        let width = 20 - indent;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:indent$}{:<width$}{value}", "", format!("{key}:"));
    };
    let client = whole.get("Client").cloned().unwrap_or_default();
    let negotiated = json::text(&client, "ApiVersion");
    let api = if negotiated == NEWEST_VERSION {
        negotiated.to_owned()
    } else {
        format!("{negotiated} (downgraded from {NEWEST_VERSION})")
    };
    line(1, "Version", json::text(&client, "Version"));
    line(1, "API version", &api);
    line(
        1,
        "OS/Arch",
        &format!(
            "{}/{}",
            json::text(&client, "Os"),
            json::text(&client, "Arch")
        ),
    );
    line(1, "Context", json::text(&client, "Context"));
    if let Some(server) = whole.get("Server") {
        text.push_str(&server_text(server));
    }
    text
}

fn server_text(server: &Value) -> String {
    let platform = server
        .get("Platform")
        .map(|platform| json::text(platform, "Name"))
        .unwrap_or_default();
    let mut text = if platform.is_empty() {
        "\nServer:\n".to_owned()
    } else {
        format!("\nServer: {platform}\n")
    };
    let mut components = json::list(server, "Components").to_vec();
    if components.is_empty() {
        components.push(
            json!({"Name": "Engine", "Version": json::text(server, "Version"), "Details": server}),
        );
    }
    for component in components {
        let name = json::text(&component, "Name");
        let empty = json!({});
        let details = component.get("Details").unwrap_or(&empty);
        let mut body = Vec::new();
        body.push(("Version", json::text(&component, "Version").to_owned()));
        if name == "Engine" {
            let detail = |key: &str| json::text(details, key).to_owned();
            body.push((
                "API version",
                format!(
                    "{} (minimum version {})",
                    detail("ApiVersion"),
                    detail("MinAPIVersion")
                ),
            ));
            for (label, key) in [("Go version", "GoVersion"), ("Git commit", "GitCommit")] {
                if !detail(key).is_empty() {
                    body.push((label, detail(key)));
                }
            }
            if !detail("BuildTime").is_empty() {
                body.push(("Built", times::ansic(&detail("BuildTime"))));
            }
            body.push(("OS/Arch", format!("{}/{}", detail("Os"), detail("Arch"))));
            body.push((
                "Experimental",
                match details.get("Experimental") {
                    Some(Value::Bool(truth)) => truth.to_string(),
                    _ => detail("Experimental"),
                },
            ));
        } else if let Some(map) = details.as_object() {
            for (key, value) in map {
                line_push(&mut body, key, value);
            }
        }
        let _ = writeln!(text, " {name}:");
        for (key, value) in &body {
            let _ = writeln!(text, "  {:<18}{value}", format!("{key}:"));
        }
    }
    text
}

fn line_push<'a>(body: &mut Vec<(&'a str, String)>, key: &'a str, value: &Value) {
    body.push((
        key,
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    ));
}
