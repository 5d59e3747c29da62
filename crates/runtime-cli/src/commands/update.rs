//! `update`: changes the limits of a container.

use std::io::Read;

use oci::runtime::{BlockIo, Cpu, LinuxResources, Memory, Pids};

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given, value};
use crate::record::{Container, Standing};

pub(crate) const COMMAND: Command = Command {
    name: "update",
    arguments: "<container-id>",
    about: "change the limits of a container",
    flags: &[
        value(
            &["resources", "r"],
            "file with the limits, or - for standard input",
        ),
        value(&["blkio-weight"], "weight of block I/O, 10 to 1000"),
        value(&["cpu-period"], "period of the CPU quota in microseconds"),
        value(&["cpu-quota"], "CPU quota in microseconds"),
        value(&["cpu-burst"], "CPU burst in microseconds"),
        value(&["cpu-share"], "CPU shares"),
        value(&["cpu-rt-period"], "real-time period in microseconds"),
        value(&["cpu-rt-runtime"], "real-time runtime in microseconds"),
        value(&["cpuset-cpus"], "CPUs that may be used"),
        value(&["cpuset-mems"], "memory nodes that may be used"),
        value(&["cpu-idle"], "1: run only when nothing else does"),
        value(&["memory"], "memory limit in bytes"),
        value(&["memory-reservation"], "soft memory limit in bytes"),
        value(
            &["memory-swap"],
            "limit of memory and swap in bytes, -1 for none",
        ),
        value(&["kernel-memory"], "ignored: kernels have given it up"),
        value(&["kernel-memory-tcp"], "TCP buffer limit in bytes"),
        value(&["pids-limit"], "most processes"),
        value(
            &["l3-cache-schema"],
            "schema of the L3 cache (Intel RDT), such as L3:0=f",
        ),
        value(
            &["mem-bw-schema"],
            "schema of the memory bandwidth, such as MB:0=20",
        ),
    ],
    ends: Ends::Never,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let container = Container::open(&globals.root, crate::only_id("update", given)?)?;
    if matches!(
        container.standing_unless_paused(),
        Standing::Stopped | Standing::Creating
    ) {
        return Err(Error::NotRunning);
    }
    let schema = |flag| given.text(flag).unwrap_or_default();
    let (l3, bandwidth) = (schema("l3-cache-schema"), schema("mem-bw-schema"));
    if !(l3.is_empty() && bandwidth.is_empty()) {
        let class = container.record.class_folders.first();
        let class = class.ok_or_else(|| Error::Spec {
            member: "linux.intelRdt",
            reason: "the container has no class of caches and bandwidth to change".to_owned(),
        })?;
        cgroup::resctrl::update(class, l3, bandwidth).map_err(|source| Error::Cgroup { source })?;
    }
    let resources = match given.text("resources") {
        Some("-") => read(std::io::stdin().lock(), "standard input")?,
        Some(path) => {
            let file = std::fs::File::open(path).map_err(Error::file("open", path))?;
            read(file, path)?
        }
        None => resources(given)?,
    };
    if let Some(unit) = &container.record.systemd_unit {
        cgroup::systemd::update(unit, &resources).map_err(|source| Error::Cgroup { source })?;
    }
    container
        .require_group()?
        .apply(&resources)
        .map_err(|source| Error::Cgroup { source })?;
    Ok(0)
}

fn read(source: impl Read, name: &str) -> Result<LinuxResources, Error> {
    let mut text = Vec::new();
    let mut source = source.take(1 << 20);
    source
        .read_to_end(&mut text)
        .map_err(Error::file("read", name))?;
    let mut resources: LinuxResources = crate::json::read(&text, name.as_ref())?;
    // Documents of this kind write 0 for what is to stay as it is.
    if let Some(memory) = &mut resources.memory {
        for limit in [
            &mut memory.limit,
            &mut memory.reservation,
            &mut memory.swap,
            &mut memory.kernel,
            &mut memory.kernel_tcp,
        ] {
            limit.take_if(|value| *value == 0);
        }
    }
    if let Some(cpu) = &mut resources.cpu {
        cpu.shares.take_if(|value| *value == 0);
        cpu.quota.take_if(|value| *value == 0);
        cpu.period.take_if(|value| *value == 0);
        cpu.realtime_runtime.take_if(|value| *value == 0);
        cpu.realtime_period.take_if(|value| *value == 0);
    }
    if let Some(block_io) = &mut resources.block_io {
        block_io.weight.take_if(|value| *value == 0);
    }
    if let Some(pids) = &mut resources.pids {
        pids.limit.take_if(|value| *value == 0);
    }
    Ok(resources)
}

fn resources(given: &Given) -> Result<LinuxResources, Error> {
    let size = |name: &'static str| given.text(name).map(|text| bytes(name, text)).transpose();
    let text = |name: &'static str| given.text(name).unwrap_or_default().to_owned();
    Ok(LinuxResources {
        memory: Some(Memory {
            limit: size("memory")?,
            reservation: size("memory-reservation")?,
            swap: size("memory-swap")?,
            kernel_tcp: size("kernel-memory-tcp")?,
            ..Memory::default()
        }),
        cpu: Some(Cpu {
            shares: given.number("cpu-share")?,
            quota: given.number("cpu-quota")?,
            burst: given.number("cpu-burst")?,
            period: given.number("cpu-period")?,
            realtime_runtime: given.number("cpu-rt-runtime")?,
            realtime_period: given.number("cpu-rt-period")?,
            cpus: text("cpuset-cpus"),
            mems: text("cpuset-mems"),
            idle: given.number("cpu-idle")?,
        }),
        pids: Some(Pids {
            limit: given.number("pids-limit")?,
        }),
        block_io: Some(BlockIo {
            weight: given.number("blkio-weight")?,
            ..BlockIo::default()
        }),
        ..LinuxResources::default()
    })
}

/// A number of bytes, with a binary suffix: `64m`, `1g`, `-1`.
fn bytes(flag: &str, text: &str) -> Result<i64, Error> {
    let wrong = || Error::Value {
        flag: flag.to_owned(),
        value: text.to_owned(),
    };
    let lower = text.to_ascii_lowercase();
    let bare = lower.trim_end_matches('b').trim_end_matches('i');
    let (number, shift) = match bare.char_indices().next_back() {
        Some((at, 'k')) => (&bare[..at], 10),
        Some((at, 'm')) => (&bare[..at], 20),
        Some((at, 'g')) => (&bare[..at], 30),
        Some((at, 't')) => (&bare[..at], 40),
        _ => (bare, 0),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes() {
        for (text, expect) in [("64m", 64 << 20), ("1GiB", 1 << 30), ("-1", -1), ("7", 7)] {
            assert_eq!(bytes("memory", text).expect(text), expect);
        }
        assert!(bytes("memory", "much").is_err());
        assert!(bytes("memory", "9999999999g").is_err());
    }

    #[test]
    fn zero_leaves_a_limit_as_it_is() {
        let text = r#"{"memory":{"limit":0,"swap":-1},"cpu":{"shares":0,"quota":5}}"#;
        let read = read(text.as_bytes(), "x").expect("valid");
        let (memory, cpu) = (read.memory.expect("given"), read.cpu.expect("given"));
        assert_eq!((memory.limit, memory.swap), (None, Some(-1)));
        assert_eq!((cpu.shares, cpu.quota), (None, Some(5)));
    }
}
