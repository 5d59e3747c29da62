//! A process's output: read in large pieces, written to the log, given to the clients.

use logs::Stream;
use rustix::io::Errno;
use rustix::pipe::fcntl_setpipe_size;

use super::Shim;
use super::process::{INIT, Key};
use crate::protocol::Event;

/// The first read of a quiet time.
const SMALL: usize = 4 * 1024;
/// A full default pipe.
const MEDIUM: usize = 64 * 1024;
/// What a flood is read by, and what its pipe is enlarged to (the kernel's default limit for pipes).
const LARGE: usize = 1 << 20;
/// What is read for the log at most when clients have been given up.
const LAST: usize = 64 << 20;

/// The one read buffer of the shim; it grows with what comes and is dropped when nothing does.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    buffer: Vec<u8>,
}

impl Reading {
    pub(crate) fn is_busy(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn at_least(&mut self, size: usize) {
        if self.buffer.len() < size {
            self.buffer = vec![0; size];
        }
    }
}

impl Shim {
    /// Output is there, or has ended.
    pub(super) fn pump(&mut self, key: Key, stream: Stream) {
        self.reading.at_least(SMALL);
        let _more = self.read_once(key, stream);
    }

    /// Reads once; answers whether there may be more.
    fn read_once(&mut self, key: Key, stream: Stream) -> bool {
        let Some(process) = self.processes.get_mut(&key) else {
            return false;
        };
        let shared = !process.clients.is_empty();
        let terminal = process.terminal;
        let limit = if shared {
            self.reading.buffer.len().min(MEDIUM)
        } else {
            self.reading.buffer.len()
        };
        let Some(output) = process.output(stream) else {
            return false;
        };
        let got = match rustix::io::read(&*output, &mut self.reading.buffer[..limit]) {
            Ok(n) => n,
            Err(Errno::AGAIN | Errno::INTR) => return false,
            Err(_) => 0, // EIO: the last holder of the terminal has closed it
        };
        if got == 0 {
            if let Some(mut output) = process.output(stream).take() {
                self.poller.forget(&mut output);
            }
            return false;
        }
        let full = got == limit;
        if full && got >= MEDIUM && !terminal {
            // A flood: fewer and larger reads, and room for the container to go on meanwhile.
            let _ = fcntl_setpipe_size(&*output, LARGE);
        }
        self.spread(key, stream, got);
        if full {
            let next = if limit < MEDIUM { MEDIUM } else { LARGE };
            self.reading.at_least(next);
        }
        full
    }

    /// Gives the first `got` bytes of the buffer to the log and to the clients.
    fn spread(&mut self, key: Key, stream: Stream, got: usize) {
        let bytes = &self.reading.buffer[..got];
        let mut failure = None;
        if key == INIT
            && let Some(log) = &mut self.log
        {
            match log.write(stream, bytes, logs::unix_nanos_now()) {
                Ok(()) => self.log_failed = false,
                Err(error) if !self.log_failed => {
                    self.log_failed = true;
                    failure = Some(fault::chain(&error));
                }
                Err(_) => {}
            }
        }
        if let Some(process) = self.processes.get_mut(&key) {
            for client in process.clients.iter_mut().filter(|c| c.wants(stream)) {
                if client.give(stream, bytes) {
                    process.moved = std::time::Instant::now();
                }
            }
        }
        if let Some(message) = failure {
            self.daemon.send(&Event::LogFailed { message });
        }
    }

    /// The time for output is over: whoever has not fetched it is let go, and what is there still goes to the log.
    pub(super) fn abandon_output(&mut self, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        process.clients.retain_mut(|client| {
            let stuck = client.is_congested();
            if stuck {
                client.hang_up(&mut self.poller);
            }
            !stuck
        });
        self.reading.at_least(MEDIUM);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut left = LAST / MEDIUM;
            while left > 0 && self.read_once(key, stream) {
                left -= 1;
            }
        }
    }
}
