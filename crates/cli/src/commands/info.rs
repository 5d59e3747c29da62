//! `info`: the engine at a glance.

use std::fmt::Write as _;

use client::Request;
use serde_json::{Value, json};

use super::shared;
use crate::{
    VERSION,
    command::{Args, Cli, Command, Failure, Outcome},
    flags::Matches,
    format, human, json, out,
};

pub(super) static COMMAND: Command = Command {
    paths: &["system info", "info"],
    usage: "[OPTIONS]",
    about: "Show the engine at a glance",
    more: "",
    flags: &[&[shared::FORMAT_ONE]],
    args: Args::None,
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let context = client::endpoint::choose(&cli.choice, &cli.contexts)?.context;
    let asked = cli.client()?.json(Request::get(&["info"])).await;
    let format = matches.text("format");
    if !format.is_empty() {
        let mut whole = asked?;
        if let Some(map) = whole.as_object_mut() {
            map.insert(
                "ClientInfo".into(),
                json!({"Debug": cli.debug, "Version": VERSION, "Context": context, "Plugins": [], "Warnings": null}),
            );
        }
        out::print(format::render_object(
            format,
            &whole,
            ("", "system.dockerInfo"),
        )?);
        return Ok(0);
    }
    out::print(format!(
        "Client:\n Version:    {VERSION}\n Context:    {context}\n Debug Mode: {}\n\nServer:\n",
        cli.debug
    ));
    match asked {
        Ok(info) => {
            out::print(pretty(&info));
            for warning in json::list(&info, "Warnings") {
                out::complain(warning.as_str().unwrap_or_default());
            }
            Ok(0)
        }
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

fn pretty(info: &Value) -> String {
    let mut text = String::new();
    let text_of = |key: &str| json::text(info, key);
    // Writing to a String cannot fail.
    let mut line = |value: String| {
        let _ = writeln!(text, " {value}");
    };
    line(format!("Containers: {}", json::int(info, "Containers")));
    for (label, key) in [
        ("Running", "ContainersRunning"),
        ("Paused", "ContainersPaused"),
        ("Stopped", "ContainersStopped"),
    ] {
        line(format!(" {label}: {}", json::int(info, key)));
    }
    line(format!("Images: {}", json::int(info, "Images")));
    let mut some = |label: &str, value: &str| {
        if !value.is_empty() {
            line(format!("{label}: {value}"));
        }
    };
    some("Server Version", text_of("ServerVersion"));
    some("Storage Driver", text_of("Driver"));
    for pair in json::list(info, "DriverStatus") {
        let part = |at: usize| pair.get(at).and_then(Value::as_str).unwrap_or_default();
        some(&format!(" {}", part(0)), part(1));
    }
    some("Logging Driver", text_of("LoggingDriver"));
    some("Cgroup Driver", text_of("CgroupDriver"));
    some("Cgroup Version", text_of("CgroupVersion"));
    line("Plugins:".into());
    let plugins = info.get("Plugins").cloned().unwrap_or_default();
    for kind in ["Volume", "Network", "Authorization", "Log"] {
        let names = words(json::list(&plugins, kind));
        if !names.is_empty() {
            line(format!(" {kind}: {names}"));
        }
    }
    let swarm = info
        .pointer("/Swarm/LocalNodeState")
        .and_then(Value::as_str)
        .unwrap_or("inactive");
    line(format!("Swarm: {swarm}"));
    if let Some(runtimes) = info.get("Runtimes").and_then(Value::as_object) {
        let names: Vec<&str> = runtimes.keys().map(String::as_str).collect();
        line(format!("Runtimes: {}", names.join(" ")));
        line(format!("Default Runtime: {}", text_of("DefaultRuntime")));
    }
    line(format!("Init Binary: {}", text_of("InitBinary")));
    for (label, key) in [
        ("containerd version", "ContainerdCommit"),
        ("runc version", "RuncCommit"),
        ("init version", "InitCommit"),
    ] {
        if let Some(commit) = info.get(key) {
            line(format!("{label}: {}", json::text(commit, "ID")));
        }
    }
    let options = json::list(info, "SecurityOptions");
    if !options.is_empty() {
        line("Security Options:".into());
        for option in options.iter().filter_map(Value::as_str) {
            for (at, pair) in option.split(',').enumerate() {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                match (at, key) {
                    (0, _) if value.is_empty() => line(format!(" {key}")),
                    (_, "name") => line(format!(" {value}")),
                    (_, "profile") => line(format!("  Profile: {value}")),
                    _ => line(format!("  {key}: {value}")),
                }
            }
        }
    }
    line(format!("Kernel Version: {}", text_of("KernelVersion")));
    line(format!("Operating System: {}", text_of("OperatingSystem")));
    line(format!("OSType: {}", text_of("OSType")));
    line(format!("Architecture: {}", text_of("Architecture")));
    line(format!("CPUs: {}", json::int(info, "NCPU")));
    line(format!(
        "Total Memory: {}",
        human::size_binary(json::int(info, "MemTotal") as f64)
    ));
    line(format!("Name: {}", text_of("Name")));
    line(format!("ID: {}", text_of("ID")));
    line(format!("Docker Root Dir: {}", text_of("DockerRootDir")));
    line(format!("Debug Mode: {}", json::truth(info, "Debug")));
    let labels = json::list(info, "Labels");
    if !labels.is_empty() {
        line("Labels:".into());
        for label in labels.iter().filter_map(Value::as_str) {
            line(format!(" {label}"));
        }
    }
    line(format!(
        "Experimental: {}",
        json::truth(info, "ExperimentalBuild")
    ));
    if let Some(registry) = info
        .get("RegistryConfig")
        .filter(|registry| registry.is_object())
    {
        let networks = json::list(registry, "InsecureRegistryCIDRs");
        if !networks.is_empty() {
            line("Insecure Registries:".into());
            for network in networks.iter().filter_map(Value::as_str) {
                line(format!(" {network}"));
            }
        }
        let mirrors = json::list(registry, "Mirrors");
        if !mirrors.is_empty() {
            line("Registry Mirrors:".into());
            for mirror in mirrors.iter().filter_map(Value::as_str) {
                line(format!(" {mirror}"));
            }
        }
    }
    line(format!(
        "Live Restore Enabled: {}",
        json::truth(info, "LiveRestoreEnabled")
    ));
    if !text_of("ProductLicense").is_empty() {
        line(format!("Product License: {}", text_of("ProductLicense")));
    }
    text.push('\n');
    text
}

fn words(list: &[Value]) -> String {
    let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    words.join(" ")
}
