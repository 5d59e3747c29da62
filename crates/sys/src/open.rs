//! Opening below a folder with limits on how the path may lead there.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// How often a lookup is tried again.
const TRIES: u32 = 256;

/// Opens a path below `folder`. See openat2(2), Linux 5.6.
///
/// With `RESOLVE_IN_ROOT` or `RESOLVE_BENEATH` the kernel gives up a lookup when anything was renamed or mounted anywhere on
/// the machine meanwhile (`EAGAIN`), which a busy host does all the time: the lookup is tried again.
///
/// # Errors
/// openat2(2)'s; `EAGAIN` only after hundreds of tries.
pub fn openat2<P: Arg + Copy>(
    folder: impl AsFd,
    path: P,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    for attempt in 0..TRIES {
        match rustix::fs::openat2(&folder, path, flags, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {
                if attempt > 16 {
                    std::thread::yield_now();
                }
            }
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}
