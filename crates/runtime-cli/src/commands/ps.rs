//! `ps`: the processes of a container, read from `/proc`.

use crate::Command;
use crate::error::Error;
use crate::globals::Globals;
use crate::options::{Ends, Given, value};
use crate::process_table::{self, Stat};
use crate::record::Container;

pub(crate) const COMMAND: Command = Command {
    name: "ps",
    arguments: "<container-id>",
    about: "list the processes of a container",
    flags: &[value(&["format", "f"], "table (default) or json")],
    ends: Ends::AtArgument,
    run,
};

fn run(globals: &Globals, given: &Given) -> Result<u8, Error> {
    let (id, rest) = given.args.split_first().ok_or(Error::NoId)?;
    let container = Container::open(&globals.root, id)?;
    let group = container.require_group()?;
    let pids = group.pids().map_err(|source| Error::Cgroup { source })?;
    match given.text("format").unwrap_or("table") {
        "json" => {
            let list: Vec<String> = pids.iter().map(i32::to_string).collect();
            crate::print(&format!("[{}]\n", list.join(",")))
        }
        "table" if rest.iter().all(|word| word == "-ef") => crate::print(&table(&pids)),
        "table" => crate::print(&others_table(rest, &pids)?),
        other => Err(Error::Value {
            flag: "format".to_owned(),
            value: other.to_owned(),
        }),
    }
}

/// The table that the machine's ps(1) makes of options other than ours, without the lines of other processes.
fn others_table(options: &[String], pids: &[i32]) -> Result<String, Error> {
    let failed = |source| Error::Streams {
        what: "run ps: options other than -ef are for the machine's",
        source,
    };
    let output = std::process::Command::new("ps")
        .args(options)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(failed)?;
    if !output.status.success() {
        return Err(failed(std::io::Error::other(output.status.to_string())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    of_these(&text, pids).ok_or(Error::Arguments {
        command: "ps",
        expected: "without a column PID nobody knows which processes are the container's",
    })
}

/// The head and the lines whose column `PID` is among these.
fn of_these(text: &str, pids: &[i32]) -> Option<String> {
    let (head, lines) = text.split_once('\n')?;
    let column = head.split_whitespace().position(|name| name == "PID")?;
    let kept = lines.lines().filter(|line| {
        let pid = line.split_whitespace().nth(column);
        pid.and_then(|pid| pid.parse().ok())
            .is_some_and(|pid| pids.contains(&pid))
    });
    Some(
        [head]
            .into_iter()
            .chain(kept)
            .map(|line| format!("{line}\n"))
            .collect(),
    )
}

fn table(pids: &[i32]) -> String {
    let mut text = "UID          PID    PPID  C STIME TTY          TIME CMD\n".to_owned();
    for pid in pids {
        if let Some(line) = process_table::stat(*pid).map(|stat| row(*pid, &stat)) {
            text.push_str(&line);
        }
    }
    text
}

fn row(pid: i32, stat: &Stat) -> String {
    let hertz = rustix::param::clock_ticks_per_second().max(1);
    let cpu_seconds = stat.cpu_ticks / hertz;
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
    let age = u64::try_from(uptime)
        .unwrap_or(0)
        .saturating_sub(stat.started_ticks / hertz);
    let begun = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(age as i64);
    let begun = begun.to_zoned(jiff::tz::TimeZone::system());
    let begun = match age {
        0..86_400 => begun.strftime("%H:%M").to_string(),
        _ => begun.strftime("%b%d").to_string(),
    };
    format!(
        "{:<8} {pid:>7} {:>7} {:>2} {begun} {:<8} {:02}:{:02}:{:02} {}\n",
        owner(pid),
        stat.parent,
        (cpu_seconds * 100).checked_div(age).unwrap_or(0).min(99),
        terminal(stat.terminal),
        cpu_seconds / 3600,
        cpu_seconds / 60 % 60,
        cpu_seconds % 60,
        command(pid),
    )
}

fn owner(pid: i32) -> String {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(format!("/proc/{pid}")).map(|meta| meta.uid()) {
        Ok(0) => "root".to_owned(),
        Ok(uid) => uid.to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// The device number as proc_pid_stat(5) has it, by the name that most terminals have.
fn terminal(device: i64) -> String {
    let major = device >> 8 & 0xfff;
    let minor = device & 0xff | device >> 12 & 0xfff00;
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        _ => "?".to_owned(),
    }
}

/// The command line, with what could move the cursor replaced: it is the container's own text.
fn command(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line: String = String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .chars()
        .map(|c| match c {
            '\0' => ' ',
            c if c.is_control() => '?',
            c => c,
        })
        .collect();
    if !line.is_empty() {
        return line;
    }
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("[{}]", name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_the_containers_processes_are_kept() {
        let text = "COMMAND  PID\nsh        7\nls       70\n7        71\n";
        assert_eq!(
            of_these(text, &[7, 71]).expect("it has PID"),
            "COMMAND  PID\nsh        7\n7        71\n"
        );
        assert_eq!(of_these("COMMAND\nsh\n", &[7]), None);
    }

    #[test]
    fn terminals_have_names() {
        assert_eq!(terminal(34816), "pts/0");
        assert_eq!(terminal(34816 + 5), "pts/5");
        assert_eq!(terminal(0), "?");
        assert_eq!(terminal(1025), "tty1");
    }
}
