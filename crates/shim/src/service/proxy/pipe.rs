//! Pipes that bytes are spliced through: lent to a connection while it moves bytes, so that an idle one has none.

use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// Pipes kept for the next who needs one.
const MAX_FREE: usize = 4;
/// How much a pipe holds, where the kernel grants it.
pub(super) const SIZE: usize = 256 * 1024;

/// An empty pipe, or one that a connection has bytes in.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
}

/// The free ones.
#[derive(Debug, Default)]
pub(super) struct Pipes {
    free: Vec<Pipe>,
    /// Somebody got none.
    starving: bool,
}

impl Pipes {
    /// An empty pipe; none when the process is out of descriptors or of memory for pipes.
    pub(super) fn take(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.free.pop() {
            return Some(pipe);
        }
        let Ok((read, write)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
            self.starving = true;
            return None;
        };
        // Smaller will do.
        let _ = fcntl_setpipe_size(&write, SIZE);
        Some(Pipe { read, write })
    }

    /// Takes back an empty pipe.
    pub(super) fn give_back(&mut self, pipe: Pipe) {
        if self.free.len() < MAX_FREE {
            self.free.push(pipe);
        }
    }

    /// Whether somebody got none since the last call.
    pub(super) fn take_starving(&mut self) -> bool {
        std::mem::take(&mut self.starving)
    }

    pub(super) fn drop_free(&mut self) {
        self.free = Vec::new();
    }
}
