//! What the kernel says of a process, in `/proc`.

use std::path::PathBuf;

use rustix::process::{Pid, Signal};

/// A file under `/proc/<pid>`, or nothing when the process has gone.
#[must_use]
pub fn read(pid: i32, file: &str) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// One field of `/proc/<pid>/status`, trimmed.
///
/// # Panics
/// When the process or the field is not there.
#[track_caller]
#[must_use]
pub fn status(pid: i32, field: &str) -> String {
    let status = read(pid, "status").unwrap_or_else(|| panic!("no process {pid}"));
    field_of(&status, field).unwrap_or_else(|| panic!("no field {field} in\n{status}"))
}

/// One `Field: value` of a status file's text.
#[must_use]
pub fn field_of(status: &str, field: &str) -> Option<String> {
    status.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == field).then(|| value.trim().to_owned())
    })
}

/// The namespace a process is in, as `pid:[4026531836]`.
///
/// # Panics
/// When the process has gone.
#[track_caller]
#[must_use]
pub fn namespace(pid: i32, kind: &str) -> String {
    let link = format!("/proc/{pid}/ns/{kind}");
    let target = std::fs::read_link(&link).unwrap_or_else(|error| panic!("{link}: {error}"));
    target.display().to_string()
}

/// Whether a process is there and not a zombie.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    read(pid, "status")
        .and_then(|status| field_of(&status, "State"))
        .is_some_and(|state| !state.starts_with('Z') && !state.starts_with('X'))
}

/// Sends a signal; a process that has gone is no error.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _gone_already = rustix::process::kill_process(pid, signal);
    }
}

/// Every pid there is.
///
/// # Panics
/// Without `/proc`.
#[must_use]
pub fn pids() -> Vec<i32> {
    std::fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Proportional set size of a process in bytes; 0 when it has gone.
#[must_use]
pub fn pss(pid: i32) -> u64 {
    read(pid, "smaps_rollup")
        .and_then(|rollup| field_of(&rollup, "Pss"))
        .and_then(|value| value.trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

/// Mount points below a folder, as this process sees them.
///
/// # Panics
/// Without `/proc`.
#[must_use]
pub fn mounts_below(folder: &str) -> Vec<PathBuf> {
    let info = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    info.lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| point.starts_with(folder))
        .map(PathBuf::from)
        .collect()
}
