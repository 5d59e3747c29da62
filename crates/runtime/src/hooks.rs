//! Hooks: programs that are told of a container's state on their standard input.
//!
//! Spec: OCI runtime, "POSIX-platform Hooks".

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use oci::runtime::{Hook, Spec, State, Status};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::Timespec;

use crate::error::Error;
use crate::failure::{Failure, Step};

/// How much of a failed hook's words is told.
const MOST_WORDS: u64 = 4096;

/// The state document of a container that is being created.
#[must_use]
pub fn state(id: &str, spec: &Spec, bundle: Option<&Path>) -> State {
    State {
        oci_version: oci::runtime::VERSION.to_owned(),
        id: id.to_owned(),
        status: Status::Creating,
        pid: None,
        bundle: bundle.map_or_else(PathBuf::new, Path::to_owned),
        annotations: spec.annotations.clone(),
    }
}

/// Runs hooks in order, until one fails. `point` names the list: `poststart` and so on.
///
/// # Errors
/// The first hook that cannot be run, does not end in time, or ends with a status other than 0.
pub fn run_hooks(point: &'static str, hooks: &[Hook], state: &State) -> Result<(), Error> {
    for (index, hook) in hooks.iter().enumerate() {
        run(hook, state).map_err(|reason| Error::Hook {
            point,
            index,
            reason,
        })?;
    }
    Ok(())
}

/// Runs one hook from inside the container, of which we are the first process.
pub(crate) fn run_inside(point: &str, at: usize, hook: &Hook, state: &State) -> Step {
    let mut state = state.clone();
    state.status = Status::Created;
    state.pid = Some(rustix::process::getpid().as_raw_nonzero().get());
    run(hook, &state)
        .map_err(|reason| Failure::new(format!("error running {point} hook #{at}: {reason}")))
}

fn run(hook: &Hook, state: &State) -> Result<(), String> {
    let mut command = Command::new(&hook.path);
    if let Some((name, args)) = hook.args.split_first() {
        command.arg0(name).args(args);
    }
    command.env_clear();
    for pair in &hook.env {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        command.env(name, value);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let document = serde_json::to_vec(state).map_err(|error| error.to_string())?;
    let mut child = command
        .spawn()
        .map_err(|error| format!("{}: {error}", hook.path.display()))?;
    // The document is smaller than a pipe, and is written before the wait. A hook need not read it.
    if let Some(mut stdin) = child.stdin.take()
        && let Err(error) = stdin.write_all(&document)
        && error.kind() != ErrorKind::BrokenPipe
    {
        return Err(error.to_string());
    }
    let status = await_end(&mut child, hook.timeout)?;
    if status.success() {
        return Ok(());
    }
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // What its children may still hold open is not waited for.
        let _ = rustix::io::ioctl_fionbio(&stderr, true);
        let _ = stderr.take(MOST_WORDS).read_to_end(&mut words);
    }
    Err(format!(
        "{status}, stderr: {}",
        String::from_utf8_lossy(&words).trim()
    ))
}

fn await_end(child: &mut Child, timeout: Option<u32>) -> Result<ExitStatus, String> {
    let Some(seconds) = timeout else {
        return child.wait().map_err(|error| error.to_string());
    };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or("a process without a pid")?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| errno.to_string())?;
    let deadline = Instant::now() + Duration::from_secs(u64::from(seconds));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(0) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {seconds} s"));
            }
            Ok(_) => return child.wait().map_err(|error| error.to_string()),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Option<u32>) -> Hook {
        Hook {
            path: "/bin/sh".into(),
            args: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
            env: vec!["COLOUR=blue".to_owned()],
            timeout,
        }
    }

    fn run_one(hook: Hook) -> Result<(), Error> {
        let state = State {
            id: "c1".to_owned(),
            pid: Some(7),
            ..State::default()
        };
        run_hooks("poststart", &[hook], &state)
    }

    #[test]
    fn a_hook_reads_the_state_and_has_its_own_environment_only() {
        run_one(shell(
            r#"grep -q '"id":"c1"' && test "$COLOUR" = blue && test -z "$HOME""#,
            None,
        ))
        .expect("the hook succeeds");
    }

    #[test]
    fn a_failed_hook_is_named_with_its_words() {
        let error = run_one(shell("echo no luck >&2; exit 3", None)).expect_err("status 3");
        let text = fault::chain(&error);
        assert!(
            text.starts_with("error running poststart hook #0"),
            "{text}"
        );
        assert!(text.contains("no luck"), "{text}");
    }

    #[test]
    fn a_hook_that_takes_too_long_is_killed() {
        let begun = Instant::now();
        let error = run_one(shell("exec sleep 60", Some(1))).expect_err("too long");
        assert!(fault::chain(&error).contains("within 1 s"));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
