//! Running one program: how long it takes, and how much memory it has at most.

use std::ffi::CString;
use std::path::Path;
use std::time::{Duration, Instant};

use sys::exec::{Strings, execve};
use sys::process::{Fork, exit_now, fork, wait_with_usage};

/// What a program took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    /// From before the fork until its end was known.
    pub(crate) time: Duration,
    /// Its largest resident set, and that of the children it has waited for, in KiB.
    pub(crate) peak_kib: u64,
}

/// Runs a program to its end; an error names it when it fails. Its standard streams are ours.
///
/// It is born by a plain fork: after a vfork, as the library does it, the kernel would count our own memory as its peak.
pub(crate) fn run(program: &Path, name: &str, args: &[String]) -> Result<Taken, String> {
    let failed = |what: &str| format!("{what}: {} {}", program.display(), args.join(" "));
    let text = |text: &str| CString::new(text).expect("arguments hold no zero byte");
    let path = text(&program.to_string_lossy());
    let words = std::iter::once(name).chain(args.iter().map(String::as_str));
    let words = Strings::new(words.map(text).collect());
    let environment = Strings::new(vec![text("PATH=/usr/sbin:/usr/bin:/sbin:/bin")]);
    let begun = Instant::now();
    let pid = match fork().map_err(|error| failed(&error.to_string()))? {
        Fork::Child => {
            let _why = execve(&path, &words, &environment);
            exit_now(127)
        }
        Fork::Parent { pid, .. } => pid,
    };
    let ended = wait_with_usage(pid).map_err(|error| failed(&error.to_string()))?;
    let time = begun.elapsed();
    if !ended.succeeded() {
        return Err(failed("it fails"));
    }
    Ok(Taken {
        time,
        peak_kib: ended.peak_kib,
    })
}
