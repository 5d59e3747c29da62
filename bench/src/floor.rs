//! The floor: what the kernel alone takes for the work of a runtime. A clone into new namespaces, an exec, a wait.
//!
//! It runs as a program of its own (`bench floor …`), as small as the runtimes' processes are, and prints the nanoseconds
//! between the clone and the end of what it executed: its own start is not counted.

use std::ffi::CString;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use sys::exec::{Strings, execve};
use sys::namespace::{Namespaces, join};
use sys::process::{Clone, Fork, clone3, exit_now, fork};

/// The namespaces that `spec` asks for where cgroups are not unified.
const KINDS: Namespaces = Namespaces::PID
    .union(Namespaces::NETWORK)
    .union(Namespaces::IPC)
    .union(Namespaces::UTS)
    .union(Namespaces::MOUNT);

/// `floor start PROGRAM`: in new namespaces. `floor exec PROGRAM PID`: in those of a process.
pub(crate) fn main(args: &[String]) -> ExitCode {
    let nanoseconds = match args {
        [kind, program] if kind == "start" => start(Path::new(program)),
        [kind, program, pid] if kind == "exec" => exec(Path::new(program), pid),
        _ => None,
    };
    let Some(nanoseconds) = nanoseconds else {
        return ExitCode::FAILURE;
    };
    match writeln!(std::io::stdout(), "{nanoseconds}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn start(program: &Path) -> Option<u128> {
    let become_it = words(program)?;
    let how = Clone {
        namespaces: KINDS,
        ..Clone::default()
    };
    let begun = Instant::now();
    match clone3(&how).ok()? {
        Fork::Child => become_it.execute(),
        Fork::Parent { pidfd, .. } => await_success(pidfd)?,
    }
    Some(begun.elapsed().as_nanos())
}

fn exec(program: &Path, pid: &str) -> Option<u128> {
    let become_it = words(program)?;
    let init = pidfd_open(Pid::from_raw(pid.parse().ok()?)?, PidfdFlags::empty()).ok()?;
    let begun = Instant::now();
    // As a runtime must, too: only a child of who has joined is in the pid namespace.
    match fork().ok()? {
        Fork::Child => {
            if join(&init, KINDS).is_err() {
                exit_now(1);
            }
            match fork() {
                Ok(Fork::Child) => become_it.execute(),
                Ok(Fork::Parent { pidfd, .. }) => {
                    exit_now(i32::from(await_success(pidfd).is_none()))
                }
                Err(_) => exit_now(1),
            }
        }
        Fork::Parent { pidfd, .. } => await_success(pidfd)?,
    }
    Some(begun.elapsed().as_nanos())
}

struct Words {
    path: CString,
    args: Strings,
    environment: Strings,
}

fn words(program: &Path) -> Option<Words> {
    let path = CString::new(program.to_str()?).ok()?;
    Some(Words {
        path,
        args: Strings::new(vec![c"true".to_owned()]),
        environment: Strings::new(Vec::new()),
    })
}

impl Words {
    fn execute(&self) -> ! {
        let _why = execve(&self.path, &self.args, &self.environment);
        exit_now(127)
    }
}

fn await_success(pidfd: impl AsFd) -> Option<()> {
    let wait = || waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    let status = rustix::io::retry_on_intr(wait).ok()??;
    (status.exit_status() == Some(0)).then_some(())
}
