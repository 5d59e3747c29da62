//! `top`: the processes of a container.

use client::{Query, Request};
use serde_json::Value;

use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::Matches,
    json, out,
    tabwriter::{self, Style},
};

pub(super) static COMMAND: Command = Command {
    paths: &["container top", "top"],
    usage: "CONTAINER [ps OPTIONS]",
    about: "Show the processes of a container",
    more: "",
    flags: &[],
    args: Args::AtLeast(1),
    interspersed: false,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let options = matches.args[1..].join(" ");
    let request = Request::get(&["containers", &matches.args[0], "top"])
        .query(Query::new().with_some("ps_args", options));
    let found = cli.client()?.json(request).await?;
    let words = |list: &[Value]| -> String {
        let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        words.join("\t")
    };
    let mut text = words(json::list(&found, "Titles"));
    text.push('\n');
    for process in json::list(&found, "Processes") {
        text.push_str(&words(process.as_array().map_or(&[][..], Vec::as_slice)));
        text.push('\n');
    }
    let style = Style {
        min_width: 20,
        padding: 3,
    };
    out::print(tabwriter::align(&text, style));
    Ok(0)
}
