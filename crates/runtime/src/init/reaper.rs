//! Our own pid 1 (`--init`): starts the program, passes signals on, reaps orphans, ends with the program's status.

use std::os::fd::AsFd;

use rustix::process::{WaitOptions, WaitStatus};
use sys::fds::{CloseRange, close_from};
use sys::process::{Fork, exit_now, fork, kill};
use sys::signal::{Set, set_blocked, wait};

use crate::failure::{Step, Tried};

const SIGCHLD: i32 = 17;
/// Signals that tell of a fault in the process that gets them.
const FAULTS: [i32; 5] = [4, 5, 7, 8, 11];

/// Returns in the child, which goes on to be the program; stays as pid 1 for ever.
pub(super) fn split() -> Step {
    let all = FAULTS
        .iter()
        .fold(Set::all(), |set, fault| set.without(*fault));
    // Blocked before the fork, so that none is lost between it and the first wait.
    let before = set_blocked(all).tried(|| "block signals".to_owned())?;
    match fork().tried(|| "fork the program".to_owned())? {
        Fork::Child => {
            lead(rustix::stdio::stdin())?;
            set_blocked(before).tried(|| "unblock signals".to_owned())?;
            Ok(())
        }
        Fork::Parent { pid, .. } => watch(pid),
    }
}

/// The program leads a process group of its own, the one that a terminal's keys reach. A terminal cannot be taken from
/// the background unless SIGTTOU is blocked, which it still is.
fn lead(terminal: impl AsFd) -> Step {
    rustix::process::setpgid(None, None).tried(|| "lead a process group".to_owned())?;
    let own = rustix::process::getpid();
    match rustix::termios::tcsetpgrp(terminal, own) {
        Ok(())
        | Err(rustix::io::Errno::NOTTY | rustix::io::Errno::BADF | rustix::io::Errno::NXIO) => {
            Ok(())
        }
        Err(errno) => Err(errno).tried(|| "take the terminal".to_owned()),
    }
}

fn watch(program: i32) -> ! {
    let _ = rustix::thread::set_name(c"estiva-init");
    // The channel among them: from now on only the program holds it.
    let _ = close_from(3, CloseRange::Now);
    loop {
        match wait(Set::all()) {
            Ok(SIGCHLD) => reap(program),
            Ok(signal) => {
                let _ = kill(program, signal);
            }
            Err(_) => {}
        }
    }
}

/// Takes every child that has ended; ends with the program.
fn reap(program: i32) {
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == program {
            exit_now(code(status));
        }
    }
}

fn code(status: WaitStatus) -> i32 {
    status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
        .unwrap_or(255)
}
