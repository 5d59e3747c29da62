//! One message with at most one descriptor over a SEQPACKET socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// No message of ours is larger; the socket's own send buffer (208 KiB by default) is the limit in practice.
const MAX_BYTES: usize = 1 << 20;

/// Sends one message whole, or nothing.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] on a nonblocking socket whose buffer is full; `EPIPE` when the peer is gone; `EMSGSIZE`.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fd: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = fd.map(|fd| [fd]);
    if let Some(fds) = &fds {
        let fits = ancillary.push(SendAncillaryMessage::ScmRights(fds));
        debug_assert!(fits, "the space is for one descriptor");
    }
    loop {
        match sendmsg(
            socket,
            &[IoSlice::new(bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        ) {
            Err(Errno::INTR) => {}
            result => return result.map(drop).map_err(io::Error::from),
        }
    }
}

/// Receives one message; `None` when the peer has closed. The buffer is as large as the message and no larger.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] on a nonblocking socket without a message; [`io::ErrorKind::InvalidData`] for one that is
/// too large.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<(Vec<u8>, Option<OwnedFd>)>> {
    let mut resets = 0;
    let waiting = loop {
        let mut nothing = RecvAncillaryBuffer::new(&mut []);
        match recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut [])],
            &mut nothing,
            RecvFlags::PEEK | RecvFlags::TRUNC,
        ) {
            Err(Errno::INTR) => {}
            // The peer left with messages of ours unread; told once, and what it had sent before is still there.
            Err(Errno::CONNRESET) if resets == 0 => resets = 1,
            Err(error) => return Err(error.into()),
            Ok(message) => break message.bytes,
        }
    };
    if waiting > MAX_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; waiting];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        match recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(message) => break message,
        }
    };
    let mut fd = None;
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = part {
            fd = fds.last();
        }
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if message.bytes == 0 {
        return Ok(None); // nobody sends empty messages: this is the end
    }
    bytes.truncate(message.bytes);
    Ok(Some((bytes, fd)))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )
        .expect("a socket pair")
    }

    #[test]
    fn messages_keep_their_bounds_and_carry_a_descriptor() {
        let (left, right) = pair();
        let (pipe, _writer) = rustix::pipe::pipe().expect("a pipe");
        let large = vec![b'x'; 100_000];
        send(left.as_fd(), b"one", Some(pipe.as_fd())).expect("send");
        send(left.as_fd(), &large, None).expect("send");
        drop(left);
        let (first, fd) = receive(right.as_fd()).expect("receive").expect("a message");
        assert_eq!((first.as_slice(), fd.is_some()), (&b"one"[..], true));
        let (second, fd) = receive(right.as_fd()).expect("receive").expect("a message");
        assert_eq!((second, fd.is_some()), (large, false));
        assert!(receive(right.as_fd()).expect("receive").is_none());
    }

    #[test]
    fn last_words_are_heard_though_the_peer_did_not_listen() {
        let (left, right) = pair();
        send(right.as_fd(), b"never read", None).expect("send");
        send(left.as_fd(), b"last words", None).expect("send");
        drop(left);
        let (words, _) = receive(right.as_fd()).expect("receive").expect("a message");
        assert_eq!(words, b"last words");
        assert!(receive(right.as_fd()).expect("receive").is_none());
    }

    #[test]
    fn an_empty_socket_says_that_it_would_block() {
        let (_left, right) = pair();
        let error = receive(right.as_fd()).expect_err("nothing was sent");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
