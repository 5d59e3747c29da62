//! `events`: what happens in the engine, as it happens.

use client::{Query, Request};
use serde_json::Value as Json;

use super::shared;
use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    flags::{Flag, Kind, Matches, flag},
    format, json, out,
    template::{Mode, Record, Template, Value},
    times,
};

const FLAGS: &[Flag] = &[
    shared::FILTER,
    flag(
        "format",
        Kind::String,
        "Print with a template:\n'json':             JSON\n'TEMPLATE':         the Go template",
    ),
    flag("since", Kind::String, "From this time on"),
    flag("until", Kind::String, "Up to this time"),
];

pub(super) static COMMAND: Command = Command {
    paths: &["system events", "events"],
    usage: "[OPTIONS]",
    about: "Show what happens in the engine as it happens",
    more: "",
    flags: &[FLAGS],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let format = match matches.text("format") {
        "json" => "{{json .}}".to_owned(),
        text => format::unescape(text),
    };
    let template =
        if format.is_empty() {
            None
        } else {
            Some(Template::parse(&format).map_err(|error| {
                Failure::with_code(format!("Error parsing format: {error}"), 64)
            })?)
        };
    let moment = |flag| {
        // Unlike `logs`, docker does not name the flag here.
        let bare = |text: String| {
            Failure::new(text.trim_start_matches(&format!("invalid value for \"{flag}\": ")))
        };
        times::moment(flag, matches.text(flag)).map_err(bare)
    };
    let request = Request::get(&["events"]).query(
        Query::new()
            .with_some("since", moment("since")?)
            .with_some("until", moment("until")?)
            .with_some("filters", shared::filters(matches.list("filter"))),
    );
    let mut answer = cli.client()?.send(request).await?;
    let mut buffer = Vec::new();
    while let Some(event) = answer.next_json(&mut buffer).await? {
        let text = match &template {
            None => pretty(&event),
            Some(template) => {
                let mut text = String::new();
                template
                    .execute(&record(event), Mode::Values, &mut text)
                    .map_err(Failure::new)?;
                text
            }
        };
        out::line(text);
    }
    Ok(0)
}

fn pretty(event: &Json) -> String {
    let actor = event.get("Actor").cloned().unwrap_or_default();
    let nano = json::int(event, "timeNano");
    let nano = if nano == 0 {
        json::int(event, "time") * 1_000_000_000
    } else {
        nano
    };
    let mut text = format!(
        "{} {} {} {}",
        times::rfc3339_nano(nano),
        json::text(event, "Type"),
        json::text(event, "Action"),
        json::text(&actor, "ID")
    );
    let attributes: Vec<String> = json::pairs(&actor, "Attributes")
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if !attributes.is_empty() {
        text.push_str(&format!(" ({})", attributes.join(", ")));
    }
    text
}

/// An event under the names of Docker's template fields.
fn record(event: Json) -> Value {
    let value = |key: &str| {
        event
            .get(key)
            .cloned()
            .map_or_else(|| "".into(), Value::from)
    };
    let fields = vec![
        ("Action", value("Action")),
        ("Actor", value("Actor")),
        ("From", value("from")),
        ("ID", value("id")),
        ("Scope", value("scope")),
        ("Status", value("status")),
        ("Time", value("time")),
        ("TimeNano", value("timeNano")),
        ("Type", value("Type")),
    ];
    Value::Record(
        Record {
            type_name: "events.Message",
            fields,
            json: Some(event),
            ..Record::default()
        }
        .into(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_with_sorted_attributes() {
        let event = json!({"Type": "container", "Action": "start", "timeNano": 1_700_000_000_000_000_001_i64,
            "Actor": {"ID": "abc", "Attributes": {"name": "n", "image": "i"}}});
        assert!(pretty(&event).ends_with("container start abc (image=i, name=n)"));
        assert!(pretty(&event).contains(".000000001"));
    }
}
