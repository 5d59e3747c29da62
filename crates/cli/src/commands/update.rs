//! `update`: changes the limits and restart policy of containers.

use client::Request;
use serde_json::{Map, Value};

use crate::{
    command::{Args, Cli, Command, Failure, Outcome},
    create::restart_policy,
    flags::{Flag, Kind, Matches, flag},
    json, out, values,
};

const FLAGS: &[Flag] = &[
    flag(
        "blkio-weight",
        Kind::Uint16,
        "Block IO weight, 10 to 1000, or 0 for none",
    )
    .default("0"),
    flag(
        "cpu-period",
        Kind::Int,
        "Length of the CPU quota's period in microseconds",
    ),
    flag(
        "cpu-quota",
        Kind::Int,
        "CPU time per period in microseconds",
    ),
    flag(
        "cpu-rt-period",
        Kind::Int,
        "Length of the CPU real-time period in microseconds",
    ),
    flag(
        "cpu-rt-runtime",
        Kind::Int,
        "CPU real-time budget per period in microseconds",
    ),
    flag("cpu-shares", Kind::Int, "CPU shares (relative weight)").short('c'),
    flag("kernel-memory", Kind::Bytes, "Without effect, as in docker").hidden(),
    flag("cpus", Kind::Decimal, "Number of CPUs"),
    flag("cpuset-cpus", Kind::String, "CPUs to run on (0-3, 0,1)"),
    flag(
        "cpuset-mems",
        Kind::String,
        "Memory nodes to use (0-3, 0,1)",
    ),
    flag("memory", Kind::Bytes, "Memory limit").short('m'),
    flag("memory-reservation", Kind::Bytes, "Memory soft limit"),
    flag(
        "memory-swap",
        Kind::Bytes,
        "Limit of memory plus swap: -1 for unlimited swap",
    ),
    flag("pids-limit", Kind::Int, "Most processes (-1 for unlimited)"),
    flag(
        "restart",
        Kind::String,
        "Restart policy when the container exits",
    ),
];

pub(super) static COMMAND: Command = Command {
    paths: &["container update", "update"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Change the limits of one or more containers",
    more: "",
    flags: &[FLAGS],
    args: Args::AtLeast(1),
    interspersed: true,
    run: |cli, matches| Box::pin(run(cli, matches)),
};

async fn run(cli: &Cli, matches: &Matches) -> Outcome {
    let body = Value::Object(body(matches).map_err(Failure::new)?);
    if body.as_object().is_some_and(Map::is_empty) && !matches.is_set("kernel-memory") {
        return Err(Failure::new(
            "you must provide one or more flags when using this command",
        ));
    }
    let client = cli.client()?;
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for name in &matches.args {
        match client
            .json(Request::post(&["containers", name, "update"]).json(&body))
            .await
        {
            Ok(answer) => {
                out::line(name);
                warnings.extend(
                    json::list(&answer, "Warnings")
                        .iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned),
                );
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    if !warnings.is_empty() {
        out::line(warnings.join("\n"));
    }
    if errors.is_empty() {
        Ok(0)
    } else {
        Err(Failure::new(errors.join("\n")))
    }
}

fn body(matches: &Matches) -> Result<Map<String, Value>, String> {
    let mut body = Map::new();
    for (key, flag) in [
        ("BlkioWeight", "blkio-weight"),
        ("CpuPeriod", "cpu-period"),
        ("CpuQuota", "cpu-quota"),
        ("CpuRealtimePeriod", "cpu-rt-period"),
        ("CpuRealtimeRuntime", "cpu-rt-runtime"),
        ("CpuShares", "cpu-shares"),
        ("PidsLimit", "pids-limit"),
    ] {
        if matches.is_set(flag) {
            body.insert(key.into(), matches.int(flag).into());
        }
    }
    for (key, flag) in [
        ("Memory", "memory"),
        ("MemoryReservation", "memory-reservation"),
        ("MemorySwap", "memory-swap"),
    ] {
        if matches.is_set(flag) {
            body.insert(key.into(), matches.bytes(flag).into());
        }
    }
    for (key, flag) in [("CpusetCpus", "cpuset-cpus"), ("CpusetMems", "cpuset-mems")] {
        if matches.is_set(flag) {
            body.insert(key.into(), matches.text(flag).into());
        }
    }
    if matches.is_set("cpus") {
        body.insert(
            "NanoCpus".into(),
            values::nano_cpus(matches.text("cpus"))?.into(),
        );
    }
    if matches.is_set("restart") {
        body.insert(
            "RestartPolicy".into(),
            restart_policy(matches.text("restart"))?,
        );
    }
    Ok(body)
}
