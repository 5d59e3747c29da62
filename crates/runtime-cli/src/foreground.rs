//! Staying beside a process: its signals, its terminal, its status.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use sys::signal::Set;

use crate::error::Error;
use crate::signals;

/// Signals that tell of a fault of our own.
const FAULTS: [i32; 5] = [4, 5, 7, 8, 11];

/// Signals caught for the process that we stay beside. Caught before it is made, so that none is lost.
#[derive(Debug)]
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// Catches them from now on.
    pub(crate) fn begin() -> Result<Self, Error> {
        let not_ours = FAULTS.into_iter().chain([signals::PIPE]);
        let set = not_ours.fold(Set::all(), Set::without);
        sys::signal::set_blocked(set)
            .and_then(|_| sys::signal::descriptor(set))
            .map(Self)
            .map_err(|source| Error::Streams {
                what: "catch signals",
                source,
            })
    }

    /// The next signal that has arrived.
    fn take(&self) -> Option<i32> {
        let mut record = [0u8; 128];
        let len = rustix::io::read(&self.0, &mut record).ok()?;
        let number = record.first_chunk::<4>().filter(|_| len == record.len())?;
        i32::try_from(u32::from_ne_bytes(*number)).ok()
    }
}

/// Raw mode of our terminal; dropping it restores what was.
#[derive(Debug)]
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        let saved = tcgetattr(stdin()).ok()?;
        let mut raw = saved.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(saved))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// Waits for the end of a child: signals go to it, and its terminal is ours meanwhile. Gives its status; 128+n after
/// signal n.
pub(crate) fn accompany(
    watch: &Watch,
    child: &OwnedFd,
    terminal: Option<OwnedFd>,
) -> Result<i32, Error> {
    let _raw = terminal.as_ref().and_then(|_| Raw::enter());
    let mut session = Session {
        watch,
        child,
        terminal,
        typed: Vec::new(),
        reads: true,
    };
    session.fit();
    if let Some(master) = &session.terminal {
        rustix::io::ioctl_fionbio(master, true).map_err(failed("serve the terminal"))?;
    }
    session.serve().map_err(failed("serve the process"))?;
    drop(session);
    let status =
        rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED))
            .map_err(failed("wait for the process"))?;
    let code = status.and_then(|status| {
        let signal = status.terminating_signal().map(|signal| 128 + signal);
        status.exit_status().or(signal)
    });
    Ok(code.unwrap_or(255))
}

fn failed(what: &'static str) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::Streams {
        what,
        source: io::Error::from(errno),
    }
}

#[derive(Debug)]
struct Session<'a> {
    watch: &'a Watch,
    child: &'a OwnedFd,
    terminal: Option<OwnedFd>,
    /// Typed, and not yet taken by the terminal.
    typed: Vec<u8>,
    /// Whether our standard input may still have something.
    reads: bool,
}

impl Session<'_> {
    fn serve(&mut self) -> Result<(), Errno> {
        loop {
            let watch = self.watch;
            let child = self.child;
            let mut fds = vec![
                PollFd::new(&watch.0, PollFlags::IN),
                PollFd::new(child, PollFlags::IN),
            ];
            let reads = self.reads && self.typed.is_empty();
            let stdin = stdin();
            if let Some(master) = &self.terminal {
                let mut wanted = PollFlags::IN;
                wanted.set(PollFlags::OUT, !self.typed.is_empty());
                fds.push(PollFd::new(master, wanted));
                if reads {
                    fds.push(PollFd::new(&stdin, PollFlags::IN));
                }
            }
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            if ready[0] {
                self.pass_signals();
            }
            if ready.get(3) == Some(&true) {
                self.read_keys();
            }
            if ready.get(2) == Some(&true) {
                self.write_keys();
                self.show();
            }
            if ready[1] {
                // What it wrote last.
                self.show();
                return Ok(());
            }
        }
    }

    fn pass_signals(&mut self) {
        while let Some(signal) = self.watch.take() {
            match signal {
                signals::CHLD | signals::URG => {}
                signals::WINCH if self.terminal.is_some() => self.fit(),
                // It may have ended meanwhile.
                other => drop(sys::process::send_signal(self.child.as_fd(), other)),
            }
        }
    }

    /// Makes its terminal as large as ours.
    fn fit(&self) {
        if let (Some(master), Ok(size)) = (&self.terminal, tcgetwinsize(stdin())) {
            // A terminal that has gone needs no size.
            let _ = tcsetwinsize(master, size);
        }
    }

    fn read_keys(&mut self) {
        let mut buffer = [0u8; 4096];
        match rustix::io::read(stdin(), &mut buffer) {
            Ok(0) => self.reads = false,
            Ok(len) => self.typed.extend_from_slice(&buffer[..len]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.reads = false,
        }
        self.write_keys();
    }

    fn write_keys(&mut self) {
        let Some(master) = &self.terminal else { return };
        while !self.typed.is_empty() {
            match rustix::io::write(master, &self.typed) {
                Ok(len) => drop(self.typed.drain(..len)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.typed.clear(),
            }
        }
    }

    /// Copies what the terminal shows to our standard output.
    fn show(&mut self) {
        let Some(master) = &self.terminal else { return };
        let mut buffer = [0u8; 16384];
        loop {
            match rustix::io::read(master, &mut buffer) {
                Ok(0) => break,
                Ok(len) => write_all(stdout(), &buffer[..len]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // Nobody holds the other side any more.
                Err(_) => break,
            }
        }
        self.terminal = None;
    }
}

/// A reader that has gone ends nothing: the process goes on.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(&to, PollFlags::OUT)];
                let _ = poll(&mut fds, None);
            }
            Err(_) => return,
        }
    }
}
