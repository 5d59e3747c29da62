//! `network disconnect`.

use client::Request;
use serde_json::json;

use crate::{
    command::{Args, Cli, Command, Outcome},
    flags::{Kind, Matches, flag},
};

pub(in crate::commands) static COMMAND: Command = Command {
    paths: &["network disconnect"],
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Disconnect a container from a network",
    more: "",
    flags: &[&[flag("force", Kind::Bool, "Disconnect whatever stands against it").short('f')]],
    args: Args::Exactly(2),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let [network, container] = [&matches.args[0], &matches.args[1]];
    let body = json!({ "Container": container, "Force": matches.on("force") });
    cli.client()?
        .call(Request::post(&["networks", network, "disconnect"]).json(&body))
        .await?;
    Ok(0)
}
