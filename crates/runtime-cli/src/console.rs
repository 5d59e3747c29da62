//! Handing a terminal's master to whoever asked for it.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with,
};

use crate::error::Error;

/// What is to become of the terminal.
#[derive(Debug)]
pub(crate) enum Console {
    /// There is none.
    None,
    /// Sent to this socket.
    Socket(PathBuf),
    /// Ours is copied to it and back.
    Foreground,
}

impl Console {
    /// Checks what was asked for.
    pub(crate) fn plan(
        socket: Option<PathBuf>,
        detach: bool,
        terminal: bool,
    ) -> Result<Self, Error> {
        match (socket, terminal) {
            (None, false) => Ok(Self::None),
            (None, true) if detach => Err(Error::NoConsoleSocket),
            (None, true) => Ok(Self::Foreground),
            (Some(path), true) if detach => Ok(Self::Socket(path)),
            (Some(_), _) => Err(Error::UselessConsoleSocket),
        }
    }
}

/// Sends the master as one message: its name, with the descriptor beside.
pub(crate) fn send(master: &OwnedFd, path: &Path) -> Result<(), Error> {
    give(master, b"/dev/ptmx", path)
        .map_err(|errno| Error::file("send the terminal to", path)(errno.into()))
}

/// Sends a pidfd the same way.
pub(crate) fn send_pidfd(pidfd: &OwnedFd, path: &Path) -> Result<(), Error> {
    give(pidfd, b"pidfd", path)
        .map_err(|errno| Error::file("send the pidfd to", path)(errno.into()))
}

fn give(fd: &OwnedFd, name: &[u8], path: &Path) -> Result<(), Errno> {
    let socket = connected(path)?;
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let name = [IoSlice::new(name)];
    sendmsg(&socket, &name, &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// Connects through a descriptor of the folder: an address holds 108 bytes, a path more.
fn connected(path: &Path) -> Result<OwnedFd, Errno> {
    let folder = path.parent().ok_or(Errno::NOENT)?;
    let name = path.file_name().ok_or(Errno::NOENT)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let short = Path::new("/proc/self/fd")
        .join(folder.as_raw_fd().to_string())
        .join(name);
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    connect(&socket, &SocketAddrUnix::new(short)?)?;
    Ok(socket)
}
