//! What the program's standard streams are.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, fcntl_dupfd_cloexec};

/// Standard input, output and error of a new process.
#[derive(Debug)]
pub enum Stdio {
    /// These descriptors; their owner becomes the program's user, so that `/dev/stdout` can be opened again.
    Pipes {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A new terminal out of the container's own devpts; the caller gets its master.
    Terminal,
}

impl Stdio {
    /// The same with every descriptor above 2, so that none is overwritten while 0 to 2 are laid out.
    pub(crate) fn above_standard(self) -> Result<Self, Errno> {
        Ok(match self {
            Self::Pipes {
                stdin,
                stdout,
                stderr,
            } => Self::Pipes {
                stdin: raise(stdin)?,
                stdout: raise(stdout)?,
                stderr: raise(stderr)?,
            },
            Self::Terminal => Self::Terminal,
        })
    }
}

fn raise(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    fcntl_dupfd_cloexec(&fd, 3)
}

/// Makes the descriptors 0, 1 and 2, which survive an exec.
pub(crate) fn lay_out(
    stdin: BorrowedFd<'_>,
    stdout: BorrowedFd<'_>,
    stderr: BorrowedFd<'_>,
) -> Result<(), Errno> {
    rustix::stdio::dup2_stdin(stdin)?;
    rustix::stdio::dup2_stdout(stdout)?;
    rustix::stdio::dup2_stderr(stderr)
}
