//! What can go wrong between us and the kernel.

use std::io;

use rustix::io::Errno;

/// A failure to talk to the kernel, or the kernel's refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No socket.
    #[error("open a netlink socket")]
    Open {
        /// Why.
        source: io::Error,
    },
    /// A multicast group was refused.
    #[error("join netlink group {group}")]
    Join {
        /// Which.
        group: u32,
        /// Why.
        source: io::Error,
    },
    /// A message has an attribute of more than 65,535 bytes; nothing was sent.
    #[error("netlink message {index} has an attribute that is too long")]
    TooLong {
        /// Its place in the batch, from 0.
        index: usize,
    },
    /// The datagram did not go out; the kernel has done nothing.
    #[error("send {len_bytes} bytes to netlink")]
    Send {
        /// How long it was.
        len_bytes: usize,
        /// Why.
        source: io::Error,
    },
    /// No answer could be read.
    #[error("receive from netlink")]
    Receive {
        /// Why.
        source: io::Error,
    },
    /// The kernel said no.
    #[error("netlink message {index} refused{}", in_brackets(text))]
    Refused {
        /// The message's place in the batch, from 0. A whole transaction's refusal counts as its first message's.
        index: usize,
        /// The kernel's words, often empty.
        text: String,
        /// The errno.
        source: io::Error,
    },
    /// Answers or notices were dropped, because they were too many for the socket's buffer.
    #[error("netlink lost messages")]
    Lost,
    /// A table changed each time it was read.
    #[error("the kernel's table kept changing while it was read")]
    Unstable,
    /// A datagram was longer than the buffer. Never seen outside: dumps are read again.
    #[error("netlink message longer than the buffer")]
    Truncated,
    /// An answer without its fixed part.
    #[error("malformed netlink message")]
    Malformed,
}

impl Error {
    /// What it means.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self.errno() {
            Some(Errno::EXIST | Errno::BUSY | Errno::ADDRINUSE) => fault::Kind::Conflict,
            Some(Errno::NOENT | Errno::NODEV | Errno::SRCH | Errno::ADDRNOTAVAIL) => {
                fault::Kind::NotFound
            }
            Some(Errno::PERM | Errno::ACCESS) => fault::Kind::Denied,
            Some(Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT) => {
                fault::Kind::Unimplemented
            }
            None if matches!(self, Self::Unstable) => fault::Kind::Unavailable,
            _ => fault::Kind::Internal,
        }
    }

    /// The errno of a refusal or of a failed system call.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Open { source }
            | Self::Join { source, .. }
            | Self::Send { source, .. }
            | Self::Receive { source }
            | Self::Refused { source, .. } => Errno::from_io_error(source),
            _ => None,
        }
    }

    /// The place in its batch of the message that was refused.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::Refused { index, .. } | Self::TooLong { index } => Some(*index),
            _ => None,
        }
    }
}

fn in_brackets(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(" ({text})")
    }
}
