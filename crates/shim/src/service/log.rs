//! Where a container's output is kept: written here and now, or by a process of its own that may lag behind.
//!
//! With `mode=non-blocking` the program must never wait for a slow disk, and this process, which also serves attach and exec,
//! must not either. A child writes the files; what it has not taken yet waits in a queue of bounded size, and what does not fit
//! is dropped, the newest first, as Docker does.
//!
//! ```text
//! output ─► queue (at most max-buffer-size) ─► pipe ─► child: logs::Writer
//! ```

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use logs::{Stream, Target, Writer};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use sys::fds::close_all_but;
use sys::process::{Fork, exit_now, fork};

use super::poller::{Poller, Ready, Watched, What};

/// Stream, length of the bytes, time: what stands before each piece in the pipe.
const HEADER: usize = 1 + 4 + 8;
/// The largest piece that is read from a container at once.
const PIECE: usize = 1 << 20;

/// The log of a container that runs.
#[derive(Debug)]
pub(crate) enum Log {
    /// Written before the next output is read: no line is lost.
    Direct(Writer),
    /// Written when the disk lets the child.
    Lagging(Lagging),
}

impl Log {
    /// Opens the log; `None` when nothing is kept. To be called before the container has processes: it may fork.
    ///
    /// # Errors
    /// Those of [`Writer::open`].
    pub(crate) fn open(target: &Target) -> logs::Result<Option<Self>> {
        let writer = Writer::open(target)?;
        if !writer.keeps() {
            return Ok(None);
        }
        let Some(bound) = logs::validate(&target.driver, &target.options)?.buffer_bytes else {
            return Ok(Some(Self::Direct(writer)));
        };
        match Lagging::start(writer, bound) {
            Ok(lagging) => Ok(Some(Self::Lagging(lagging))),
            // Without a process to lag behind, every line is written: slower, and nothing is lost.
            Err(_) => Writer::open(target).map(|writer| Some(Self::Direct(writer))),
        }
    }

    /// Takes what was read at `unix_nanos`.
    ///
    /// # Errors
    /// Those of [`Writer::write`]; a log that lags behind has none.
    pub(crate) fn write(
        &mut self,
        stream: Stream,
        bytes: &[u8],
        unix_nanos: i64,
    ) -> logs::Result<()> {
        match self {
            Self::Direct(writer) => writer.write(stream, bytes, unix_nanos),
            Self::Lagging(lagging) => {
                lagging.put(stream, bytes, unix_nanos);
                Ok(())
            }
        }
    }

    /// Both streams have ended: returns when everything is in the files.
    pub(crate) fn end(self, poller: &mut Poller) {
        match self {
            Self::Direct(mut writer) => end(&mut writer),
            Self::Lagging(lagging) => lagging.end(poller),
        }
    }

    /// Gives the memory of a busy time back.
    pub(crate) fn rest(&mut self) {
        match self {
            Self::Direct(writer) => writer.rest(),
            Self::Lagging(lagging) => lagging.queue.shrink_to_fit(),
        }
    }

    /// The child takes more.
    pub(crate) fn flush(&mut self) {
        if let Self::Lagging(lagging) = self {
            lagging.flush();
        }
    }

    /// Asks epoll for what is wanted now.
    pub(crate) fn ask(&mut self, poller: &mut Poller) {
        if let Self::Lagging(lagging) = self {
            let waits = !lagging.queue.is_empty();
            let interest = if waits { Ready::OUT } else { Ready::empty() };
            poller.ask(&mut lagging.pipe, What::Log, interest);
        }
    }
}

/// The queue before a child that writes.
#[derive(Debug)]
pub(crate) struct Lagging {
    pipe: Watched,
    child: OwnedFd,
    queue: VecDeque<u8>,
    bound: usize,
}

impl Lagging {
    fn start(writer: Writer, bound: usize) -> io::Result<Self> {
        let (source, pipe) = pipe_with(PipeFlags::CLOEXEC)?;
        match fork()? {
            Fork::Child => {
                let _ = rustix::thread::set_name(c"estiva-log");
                drop(pipe);
                // The daemon's socket, above all: it must close when the shim goes.
                let kept: Vec<_> = writer
                    .descriptor()
                    .into_iter()
                    .chain([source.as_fd()])
                    .collect();
                let code = match close_all_but(&kept) {
                    Ok(()) => write_all(source, writer),
                    Err(_) => 1,
                };
                exit_now(code)
            }
            Fork::Parent { pidfd, .. } => {
                rustix::io::ioctl_fionbio(&pipe, true)?;
                Ok(Self {
                    pipe: Watched::new(pipe),
                    child: pidfd,
                    queue: VecDeque::new(),
                    bound,
                })
            }
        }
    }

    /// Queues a piece, or drops it whole when there is no room; an empty queue takes a piece of any size.
    fn put(&mut self, stream: Stream, bytes: &[u8], unix_nanos: i64) {
        self.flush();
        if !self.queue.is_empty() && self.queue.len() + bytes.len() > self.bound {
            return;
        }
        let length = u32::try_from(bytes.len()).expect("a piece is at most a read buffer");
        self.queue.push_back(u8::from(stream == Stream::Stderr));
        self.queue.extend(length.to_le_bytes());
        self.queue.extend(unix_nanos.to_le_bytes());
        self.queue.extend(bytes);
        self.flush();
    }

    /// Gives the child what it takes without waiting.
    fn flush(&mut self) {
        while !self.queue.is_empty() {
            match rustix::io::write(&self.pipe, self.queue.as_slices().0) {
                Ok(count) => drop(self.queue.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // The child is gone: nobody will write this any more.
                Err(_) => return self.queue.clear(),
            }
        }
    }

    /// Lets the child finish, however long the disk takes.
    fn end(mut self, poller: &mut Poller) {
        poller.forget(&mut self.pipe);
        let _ = rustix::io::ioctl_fionbio(&self.pipe, false);
        self.flush();
        drop(self.pipe);
        let wait = || waitid(WaitId::PidFd(self.child.as_fd()), WaitIdOptions::EXITED);
        while let Err(Errno::INTR) = wait() {}
    }
}

/// The child's life: until the shim closes the pipe, or is gone.
fn write_all(source: OwnedFd, mut writer: Writer) -> i32 {
    let mut source = std::fs::File::from(source);
    let mut header = [0; HEADER];
    let mut bytes = Vec::new();
    while source.read_exact(&mut header).is_ok() {
        let [stream, a, b, c, d, time @ ..] = header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > PIECE {
            break;
        }
        bytes.resize(length, 0);
        if source.read_exact(&mut bytes).is_err() {
            break;
        }
        let stream = if stream == 0 {
            Stream::Stdout
        } else {
            Stream::Stderr
        };
        // A full disk may have room again later, and a log that may lose lines tells nobody that it does.
        let _ = writer.write(stream, &bytes, i64::from_le_bytes(time));
    }
    end(&mut writer);
    0
}

/// Writes lines that never got their newline.
fn end(writer: &mut Writer) {
    let now = logs::unix_nanos_now();
    for stream in [Stream::Stdout, Stream::Stderr] {
        let _ = writer.end(stream, now);
    }
}
