//! The start gate: where a created container waits for a process that is not its creator.
//!
//! ```text
//! creator:  bind FOLDER/NAME ──► clone; the child holds the listening socket ──► the creator may end
//! child:    … all but the last steps ── accept ──► Start ──► Ready ──► … ──► exec (end of file) or Failed
//! starter:  connect ──► Start ──► waits for Ready, then for the end of file or the report
//! ```
//! The accepted connection takes the place of the creator's channel, so whoever starts a container learns why its
//! program could not be executed. Whoever is second finds nobody who says `Ready`. A starter that goes away without
//! having said `Start` changes nothing. Addresses go through a descriptor of the folder: `sun_path` holds 108 bytes.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen,
    socket_with,
};

use crate::channel::{ChildEnd, News, ParentEnd, Word};
use crate::error::Error;
use crate::failure::{Failure, Step, Tried};
use crate::listener::Listener;

/// A bound socket on which a created container awaits its start.
#[derive(Debug)]
pub struct Gate(OwnedFd);

impl Gate {
    /// Makes the gate in a folder. It is there as a socket until somebody removes it.
    ///
    /// # Errors
    /// EADDRINUSE: the name is taken.
    pub fn bind(folder: BorrowedFd<'_>, name: &str) -> Result<Self, Errno> {
        let socket = socket()?;
        bind(&socket, &address(folder, name)?)?;
        listen(&socket, 1)?;
        Ok(Self(socket))
    }

    /// Waits until somebody says `Start`; gives the channel to them.
    pub(crate) fn await_start(&self) -> Step<ChildEnd> {
        loop {
            let starter = rustix::io::retry_on_intr(|| accept_with(&self.0, SocketFlags::CLOEXEC))
                .tried(|| "wait at the start gate".to_owned())?;
            let channel = ChildEnd::from(starter);
            if channel.expect(Word::Start).is_ok() {
                channel
                    .say_ready()
                    .map_err(|_| Failure::new("the starter left"))?;
                return Ok(channel);
            }
        }
    }
}

fn socket() -> Result<OwnedFd, Errno> {
    socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
}

fn address(folder: BorrowedFd<'_>, name: &str) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}

/// Has a container that waits at a gate execute its program. The gate's socket stays for the caller to remove.
///
/// # Errors
/// [`Error::NotWaiting`] when nobody waits there (any more); otherwise why the program could not be executed, and then
/// the container has ended. Notifications of its filter go to `listener`.
pub fn open_gate(
    folder: BorrowedFd<'_>,
    name: &str,
    listener: Option<&Listener>,
) -> Result<(), Error> {
    let socket = socket().map_err(Error::spawn("make a socket"))?;
    let address = address(folder, name).map_err(Error::spawn("name the start gate"))?;
    connect(&socket, &address).map_err(|_| Error::NotWaiting)?;
    let channel = ParentEnd::from(socket);
    channel.say(Word::Start).map_err(|_| Error::NotWaiting)?;
    match channel.next() {
        Ok(News::Ready) => {}
        Ok(News::Failed(report)) => return Err(report.into_error()),
        _ => return Err(Error::NotWaiting),
    }
    loop {
        match channel.next() {
            Ok(News::Closed) => return Ok(()),
            Ok(News::Failed(report)) => return Err(report.into_error()),
            Ok(News::Listener(number)) => {
                let known = listener.and_then(|each| Some((each, each.init()?)));
                let (listener, pid) = known.ok_or(Error::Lost)?;
                listener.clone().send(pid, number)?;
                channel.say(Word::Listening).map_err(|_| Error::Lost)?;
            }
            _ => return Err(Error::Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn folder() -> (std::path::PathBuf, OwnedFd) {
        let path = std::env::temp_dir().join(format!(
            "estiva-test-gate-{}-{:?}",
            rustix::process::getpid().as_raw_nonzero(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&path).expect("a folder of our own");
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).expect("our folder");
        (path, fd)
    }

    #[test]
    fn the_starter_hears_the_end_or_the_report_and_a_second_one_nobody() {
        let (path, fd) = folder();
        let gate = Gate::bind(fd.as_fd(), "gate").expect("a free name");
        let child = std::thread::spawn(move || {
            let channel = gate.await_start().expect("somebody comes");
            channel.fail(crate::failure::Report::new("x", Failure::new("no luck")));
        });
        let error = open_gate(fd.as_fd(), "gate", None).expect_err("the report");
        assert!(fault::chain(&error).contains("no luck"));
        child.join().expect("no panic");
        assert!(matches!(
            open_gate(fd.as_fd(), "gate", None),
            Err(Error::NotWaiting)
        ));
        std::fs::remove_dir_all(path).expect("our folder");
    }

    #[test]
    fn a_starter_that_says_nothing_changes_nothing() {
        let (path, fd) = folder();
        let gate = Gate::bind(fd.as_fd(), "gate").expect("a free name");
        let child = std::thread::spawn(move || drop(gate.await_start().expect("somebody comes")));
        let silent = socket().expect("a socket");
        connect(&silent, &address(fd.as_fd(), "gate").expect("short")).expect("it listens");
        drop(silent);
        open_gate(fd.as_fd(), "gate", None).expect("the end of the channel is the exec");
        child.join().expect("no panic");
        std::fs::remove_dir_all(path).expect("our folder");
    }
}
