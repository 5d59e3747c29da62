//! `events`: what a container uses, and when it runs out of memory, as lines of JSON.

use std::time::Duration;

use cgroup::{IoEntry, Stats};
use serde_json::{Value, json};

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given, switch, value};
use crate::record::{Container, Standing};

pub(crate) const COMMAND: Command = Command {
    name: "events",
    arguments: "<container-id>",
    about: "print what a container uses and when memory runs out",
    flags: &[
        value(&["interval"], "time between readings (default: 5s)"),
        switch(&["stats"], "print one reading and end"),
    ],
    ends: Ends::Never,
    run,
};

/// How often it is looked for an out-of-memory kill.
const GLANCE: Duration = Duration::from_millis(100);

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let container = Container::open(&globals.root, crate::only_id("events", given)?)?;
    let interval = interval(given.text("interval").unwrap_or("5s"))?;
    if container.standing_unless_paused() == Standing::Stopped {
        return Err(Error::NotRunning);
    }
    let group = container.require_group()?;
    let failed = |source| Error::Cgroup { source };
    let id = &container.record.id;
    if given.is_on("stats") {
        return tell(id, "stats", Some(data(&group.stats().map_err(failed)?)));
    }
    let mut kills = group.oom_kills().map_err(failed)?;
    let mut waited = Duration::ZERO;
    while container.init().is_some() {
        std::thread::sleep(GLANCE);
        waited += GLANCE;
        // The group may go with the container while we read.
        let now = group.oom_kills().unwrap_or(kills);
        for _ in kills..now {
            tell(id, "oom", None)?;
        }
        kills = now;
        if waited >= interval
            && let Ok(stats) = group.stats()
        {
            waited = Duration::ZERO;
            tell(id, "stats", Some(data(&stats)))?;
        }
    }
    Ok(0)
}

/// A Go duration in one unit: `500ms`, `5s`, `2m`.
fn interval(text: &str) -> Result<Duration, Error> {
    let wrong = || Error::Value {
        flag: "interval".to_owned(),
        value: text.to_owned(),
    };
    let at = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .ok_or_else(wrong)?;
    let number: f64 = text[..at].parse().map_err(|_| wrong())?;
    let unit = match &text[at..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let interval = Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())?;
    match interval.is_zero() {
        true => Err(wrong()),
        false => Ok(interval),
    }
}

fn tell(id: &str, kind: &str, data: Option<Value>) -> Result<u8, Error> {
    let mut event = json!({ "type": kind, "id": id });
    if let Some(data) = data {
        event["data"] = data;
    }
    crate::print(&format!("{event}\n"))
}

fn data(stats: &Stats) -> Value {
    let (cpu, memory) = (&stats.cpu, &stats.memory);
    let stat = |name: &str| memory.stat.get(name).copied().unwrap_or(0);
    json!({
        "cpu": {
            "usage": {
                "total": cpu.total,
                "percpu": cpu.per_cpu,
                "kernel": cpu.kernel,
                "user": cpu.user,
            },
            "throttling": {
                "periods": cpu.periods,
                "throttledPeriods": cpu.throttled_periods,
                "throttledTime": cpu.throttled_time,
            },
        },
        "memory": {
            "cache": stat("cache").max(stat("file")),
            "usage": {
                "limit": memory.limit,
                "usage": memory.usage,
                "max": memory.max_usage.unwrap_or(0),
                "failcnt": memory.failcnt.unwrap_or(0),
            },
            "swap": { "usage": memory.swap.unwrap_or(0) },
            "raw": memory.stat,
        },
        "pids": { "current": stats.pids.current, "limit": stats.pids.limit.unwrap_or(0) },
        "blkio": {
            "ioServiceBytesRecursive": entries(&stats.io.service_bytes),
            "ioServicedRecursive": entries(&stats.io.serviced),
        },
        "hugetlb": hugetlb(stats),
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

/// By the size of pages; what is 0 is left out, as runc does, but the count of refusals.
fn hugetlb(stats: &Stats) -> Value {
    let told = stats.hugetlb.iter().map(|(size, used)| {
        let mut told = json!({ "failcnt": used.failcnt });
        for (name, bytes) in [("usage", used.usage), ("max", used.max_usage.unwrap_or(0))] {
            if bytes != 0 {
                told[name] = json!(bytes);
            }
        }
        (size.clone(), told)
    });
    Value::Object(told.collect())
}

fn entries(entries: &[IoEntry]) -> Value {
    entries
        .iter()
        .map(|entry| {
            json!({
                "major": entry.major,
                "minor": entry.minor,
                "op": entry.op,
                "value": entry.value,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_gos() {
        assert_eq!(
            interval("500ms").expect("valid"),
            Duration::from_millis(500)
        );
        assert_eq!(interval("2m").expect("valid"), Duration::from_secs(120));
        for bad in ["", "5", "s", "0s", "5x"] {
            assert!(interval(bad).is_err(), "{bad:?}");
        }
    }
}
