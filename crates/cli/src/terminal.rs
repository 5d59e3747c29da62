//! This terminal: raw mode that is always undone, its size, reading keys without a thread, detach keys.

use std::io;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    stdio,
    termios::{self, OptionalActions, Termios},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Whether standard input is a terminal.
pub(crate) fn stdin_is_terminal() -> bool {
    termios::isatty(stdio::stdin())
}

/// Raw mode of standard input; dropping it restores what was, also while a panic unwinds.
#[derive(Debug)]
pub(crate) struct RawMode {
    saved: Termios,
}

impl RawMode {
    /// Switches to raw mode, if standard input is a terminal.
    pub(crate) fn enter() -> Option<Self> {
        let saved = termios::tcgetattr(stdio::stdin()).ok()?;
        let mut raw = saved.clone();
        raw.make_raw();
        termios::tcsetattr(stdio::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self { saved })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone.
        let _ = termios::tcsetattr(stdio::stdin(), OptionalActions::Now, &self.saved);
    }
}

/// Rows and columns of the terminal on standard output (or input), if there is one.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = termios::tcgetwinsize(stdio::stdout())
        .or_else(|_| termios::tcgetwinsize(stdio::stdin()))
        .ok()?;
    (size.ws_row > 0 || size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Standard input, read without blocking the event loop where the kernel can say when it is ready.
#[derive(Debug)]
pub(crate) enum Stdin {
    /// A terminal, pipe or socket.
    Watched(AsyncFd<rustix::fd::OwnedFd>),
    /// A regular file or /dev/null: always ready.
    Ready,
}

impl Stdin {
    /// Watches standard input.
    #[expect(
        deprecated,
        reason = "its unsafe successor asks what an OwnedFd already promises: the descriptor stays open"
    )]
    pub(crate) fn open() -> io::Result<Self> {
        let copy = rustix::io::fcntl_dupfd_cloexec(stdio::stdin(), 3)?;
        Ok(match AsyncFd::with_interest(copy, Interest::READABLE) {
            Ok(watched) => Self::Watched(watched),
            Err(_) => Self::Ready,
        })
    }

    /// Reads some bytes; 0 is the end.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Self::Watched(watched) = self {
                let mut guard = watched.readable().await?;
                // Readiness comes as an edge: ask the level, so that a rest of the last read is not waited for.
                if !has_bytes() {
                    guard.clear_ready();
                    continue;
                }
            }
            match rustix::io::read(stdio::stdin(), &mut *buffer) {
                Ok(length) => return Ok(length),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                // A terminal whose other side has gone is at its end.
                Err(rustix::io::Errno::IO) => return Ok(0),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn has_bytes() -> bool {
    let stdin = stdio::stdin();
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Docker's default detach keys.
pub(crate) const DEFAULT_DETACH_KEYS: &str = "ctrl-p,ctrl-q";

/// Reads `ctrl-p,ctrl-q`, `a`, `ctrl-@,x`…
///
/// # Errors
/// Docker's words for an unknown key.
pub(crate) fn detach_keys(text: &str) -> Result<Vec<u8>, String> {
    let text = if text.is_empty() {
        DEFAULT_DETACH_KEYS
    } else {
        text
    };
    text.split(',')
        .map(|key| match key.strip_prefix("ctrl-") {
            Some(rest) => match rest.as_bytes() {
                [letter @ b'a'..=b'z'] => Ok(letter - b'a' + 1),
                [b'@'] => Ok(0),
                [b'['] => Ok(27),
                [b'\\'] => Ok(28),
                [b']'] => Ok(29),
                [b'^'] => Ok(30),
                [b'_'] => Ok(31),
                _ => Err(format!("Unknown character: '{key}'")),
            },
            None => match key.as_bytes() {
                [byte] => Ok(*byte),
                _ => Err(format!("Unknown character: '{key}'")),
            },
        })
        .collect()
}

/// Watches typed bytes for the detach keys; a begun sequence is held back until it breaks.
#[derive(Debug)]
pub(crate) struct DetachScanner {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachScanner {
    /// Watches for `keys`.
    pub(crate) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// The bytes to pass on, and whether the sequence is complete.
    pub(crate) fn feed(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut pass = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (pass, true);
                }
                continue;
            }
            pass.extend_from_slice(&self.keys[..self.matched]);
            self.matched = 0;
            if self.keys.first() == Some(byte) {
                self.matched = 1;
            } else {
                pass.push(*byte);
            }
        }
        (pass, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        assert_eq!(detach_keys(""), Ok(vec![16, 17]));
        assert_eq!(detach_keys("ctrl-a,x"), Ok(vec![1, b'x']));
        assert!(detach_keys("foo").is_err());
    }

    #[test]
    fn a_broken_sequence_is_passed_on() {
        let mut scanner = DetachScanner::new(vec![16, 17]);
        assert_eq!(scanner.feed(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(scanner.feed(b"b"), (b"\x10b".to_vec(), false));
        assert_eq!(scanner.feed(b"\x10\x11z"), (Vec::new(), true));
    }
}
