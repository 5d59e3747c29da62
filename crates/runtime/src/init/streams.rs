//! Standard input, output and error.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat, fchown, fstat, makedev, open};
use rustix::io::Errno;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::Uid;

use crate::failure::{Step, Tried};
use crate::stdio::{self, Stdio};

/// Makes them ours (a terminal's are so already) and the user's.
pub(super) fn lay_out(streams: &Stdio, user: Uid) -> Step {
    if let Stdio::Pipes {
        stdin,
        stdout,
        stderr,
    } = streams
    {
        stdio::lay_out(stdin.as_fd(), stdout.as_fd(), stderr.as_fd())
            .tried(|| "duplicate".to_owned())?;
    }
    for stream in [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ] {
        give(stream, user)?;
    }
    Ok(())
}

/// Puts the container's own null device in place of the host's, which is on a mount that the container does not have:
/// nobody could open it again, and a checkpoint not find it. A container without one keeps the host's.
fn own_null(stream: BorrowedFd<'_>) -> Step {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let Ok(null) = open(c"/dev/null", flags, Mode::empty()) else {
        return Ok(());
    };
    if !fstat(&null).is_ok_and(|stat| is_null(&stat)) {
        return Ok(());
    }
    match stream.as_raw_fd() {
        0 => dup2_stdin(&null),
        1 => dup2_stdout(&null),
        _ => dup2_stderr(&null),
    }
    .tried(|| "reopen /dev/null".to_owned())
}

fn is_null(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == makedev(1, 3)
}

/// Gives a stream to the user, who can then open `/dev/stdout` and the like again.
fn give(stream: BorrowedFd<'_>, user: Uid) -> Step {
    let stat = fstat(stream).tried(|| "look at a stream".to_owned())?;
    if is_null(&stat) {
        return own_null(stream);
    }
    if Uid::from_raw(stat.st_uid) == user {
        return Ok(());
    }
    match fchown(stream, Some(user), None) {
        // Ids that the user namespace does not map, and files on read-only mounts, keep their owner.
        Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => Ok(()),
        Err(errno) => Err(errno).tried(|| "give a stream to the user".to_owned()),
    }
}
