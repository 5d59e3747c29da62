//! Standard input, output and error.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, fchown, fstat, makedev};
use rustix::io::Errno;
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

/// Gives a stream to the user, who can then open `/dev/stdout` and the like again.
fn give(stream: BorrowedFd<'_>, user: Uid) -> Step {
    let stat = fstat(stream).tried(|| "look at a stream".to_owned())?;
    let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == makedev(1, 3);
    if is_null || Uid::from_raw(stat.st_uid) == user {
        return Ok(());
    }
    match fchown(stream, Some(user), None) {
        // Ids that the user namespace does not map, and files on read-only mounts, keep their owner.
        Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => Ok(()),
        Err(errno) => Err(errno).tried(|| "give a stream to the user".to_owned()),
    }
}
