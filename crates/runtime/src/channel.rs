//! What parent and child say to each other while the child becomes the container.
//!
//! ```text
//! child ─► parent                    parent ─► child                  when
//!                                    Given    its ids, its devices    user namespace, network devices: it waits for them
//! Console  + the pty's master (fd)                                    terminals
//! Hooks    run the runtime's hooks   HooksDone                        prestart or createRuntime hooks
//! Listener + a descriptor's number   Listening                        the system call filter asks somebody: see `listener.rs`
//! Ready    all but the last steps    Start                            create and start are apart; `gate.rs` when by two processes
//! Failed   + report (JSON); ends                                      any step failed
//! (end of file)                                                       the program has been executed
//! ```
//! One SEQPACKET pair, close-on-exec: the child's end closes by the exec itself. A parent that goes away ends the child,
//! which reads end of file where it waits for a word.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::failure::{Failure, Report, Step, Tried};

/// From the child.
#[derive(Debug)]
pub(crate) enum News {
    /// The terminal's master.
    Console(OwnedFd),
    /// The runtime's hooks are due.
    Hooks,
    /// The child holds a listener of its filter under this number.
    Listener(i32),
    /// Waiting for `Start`.
    Ready,
    /// A step failed; the child ends.
    Failed(Report),
    /// The child's end is closed: the program runs, or the child is dead.
    Closed,
}

/// From the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Word {
    /// What only the parent can give: ids are mapped, network devices are there.
    Given = b'g',
    /// The runtime's hooks have run.
    HooksDone = b'h',
    /// Somebody answers for the filter.
    Listening = b'l',
    /// Execute the program.
    Start = b's',
}

const CONSOLE: u8 = b'C';
const HOOKS: u8 = b'H';
const LISTENER: u8 = b'L';
const READY: u8 = b'R';
const FAILED: u8 = b'F';

/// The largest message; a report is cut to fit.
const MOST_BYTES: usize = 8192;

/// The parent's end.
#[derive(Debug)]
pub(crate) struct ParentEnd(OwnedFd);

/// The child's end.
#[derive(Debug)]
pub(crate) struct ChildEnd(OwnedFd);

impl From<OwnedFd> for ParentEnd {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl From<OwnedFd> for ChildEnd {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

/// A connected pair.
pub(crate) fn pair() -> Result<(ParentEnd, ChildEnd), Errno> {
    let (parent, child) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((ParentEnd(parent), ChildEnd(child)))
}

impl ParentEnd {
    /// Waits for the child's next message.
    pub(crate) fn next(&self) -> Result<News, Errno> {
        let mut buffer = [0u8; MOST_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut buffer)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        })?;
        let message = &buffer[..received.bytes];
        match message.first() {
            None => Ok(News::Closed),
            Some(&HOOKS) => Ok(News::Hooks),
            Some(&READY) => Ok(News::Ready),
            Some(&LISTENER) => message[1..]
                .try_into()
                .map(|number| News::Listener(i32::from_ne_bytes(number)))
                .map_err(|_| Errno::BADMSG),
            Some(&FAILED) => serde_json::from_slice(&message[1..])
                .map(News::Failed)
                .map_err(|_| Errno::BADMSG),
            Some(&CONSOLE) => control
                .drain()
                .find_map(|each| match each {
                    RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                    _ => None,
                })
                .map(News::Console)
                .ok_or(Errno::BADMSG),
            Some(_) => Err(Errno::BADMSG),
        }
    }

    /// Gives the child a word.
    pub(crate) fn say(&self, word: Word) -> Result<(), Errno> {
        rustix::net::send(&self.0, &[word as u8], SendFlags::NOSIGNAL).map(drop)
    }
}

impl AsFd for ChildEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl ChildEnd {
    /// Hands the terminal's master to the parent.
    pub(crate) fn send_console(&self, master: &OwnedFd) -> Result<(), Errno> {
        let fds = [master.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(
            &self.0,
            &[IoSlice::new(&[CONSOLE])],
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .map(drop)
    }

    /// Has the parent run the runtime's hooks, and waits for it.
    pub(crate) fn ask_for_hooks(&self) -> Step {
        self.send(&[HOOKS]).tried(|| "ask for hooks".to_owned())?;
        self.expect(Word::HooksDone)
    }

    /// Has the parent take a listener of our filter, and waits until somebody answers. Nothing but write and read here:
    /// the filter is in force.
    pub(crate) fn hand_over_listener(&self, listener: &OwnedFd) -> Step {
        let mut message = [LISTENER; 5];
        message[1..].copy_from_slice(&listener.as_raw_fd().to_ne_bytes());
        rustix::io::write(&self.0, &message)
            .tried(|| "tell of the filter's listener".to_owned())?;
        let mut word = [0u8; 1];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut word)) {
            Ok(1) if word[0] == Word::Listening as u8 => Ok(()),
            Ok(_) => Err(Failure::new("nobody answers for the filter")),
            Err(errno) => Err(errno).tried(|| "wait for who answers for the filter".to_owned()),
        }
    }

    /// Says that all is ready.
    pub(crate) fn say_ready(&self) -> Step {
        self.send(&[READY]).tried(|| "say ready".to_owned())
    }

    /// Says that all is ready, and waits for the start.
    pub(crate) fn await_start(&self) -> Step {
        self.say_ready()?;
        self.expect(Word::Start)
    }

    /// Waits for a word.
    pub(crate) fn expect(&self, word: Word) -> Step {
        let mut buffer = [0u8; 1];
        let (_, len) = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.0, &mut buffer, RecvFlags::empty())
        })
        .tried(|| "listen to the parent".to_owned())?;
        if len == 1 && buffer[0] == word as u8 {
            return Ok(());
        }
        Err(Failure::new(format!("the parent left before {word:?}")))
    }

    /// Tells why the child ends. When even that fails nobody is there to hear it.
    pub(crate) fn fail(&self, mut report: Report) {
        let most = MOST_BYTES / 8;
        if report.what.len() > most {
            let cut = (0..=most)
                .rev()
                .find(|at| report.what.is_char_boundary(*at))
                .unwrap_or(0);
            report.what.truncate(cut);
        }
        let mut message = vec![FAILED];
        if serde_json::to_writer(&mut message, &report).is_ok() {
            let _ = self.send(&message);
        }
    }

    fn send(&self, message: &[u8]) -> Result<(), Errno> {
        rustix::net::send(&self.0, message, SendFlags::NOSIGNAL).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_crosses_whole_and_a_closed_end_is_seen() {
        let (parent, child) = pair().expect("socketpair");
        let report = Report {
            step: "mounts".to_owned(),
            what: "open \"/x\": no".to_owned(),
            exec_code: None,
        };
        child.fail(report.clone());
        match parent.next().expect("a message") {
            News::Failed(got) => assert_eq!(got, report),
            other => panic!("{other:?}"),
        }
        drop(child);
        assert!(matches!(parent.next().expect("end of file"), News::Closed));
    }

    #[test]
    fn a_console_arrives_as_a_descriptor() {
        let (parent, child) = pair().expect("socketpair");
        let (reader, _writer) = rustix::pipe::pipe().expect("pipe");
        child.send_console(&reader).expect("send");
        assert!(matches!(
            parent.next().expect("a message"),
            News::Console(_)
        ));
    }

    #[test]
    fn a_report_too_long_is_cut() {
        let (parent, child) = pair().expect("socketpair");
        child.fail(Report {
            step: "x".to_owned(),
            what: "ä\n".repeat(9000),
            exec_code: Some(127),
        });
        match parent.next().expect("a message") {
            News::Failed(got) => assert!(got.what.len() <= MOST_BYTES / 8),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_child_without_parent_does_not_wait_for_ever() {
        let (parent, child) = pair().expect("socketpair");
        drop(parent);
        assert!(child.expect(Word::Start).is_err());
    }
}
