//! A netlink socket: batches of requests out, acknowledgements and dumps in.
//!
//! The kernel handles a request inside the sender's own sendmsg(2) and queues its answers before that call returns, so
//! no read here ever waits, and a batch costs two system calls: one send, and one read of the last request's answer.
//! Answers are matched by sequence number; only what the kernel itself sent (port 0) is read at all, because in a
//! container's namespace others can write to our socket too.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, getsockname,
    netlink, recvfrom, send, socket_with, sockopt,
};
use sys::netlink::Switch;

use crate::batch::Batch;
use crate::message::{Attributes, Message, Messages, View, Writer, flags};

pub use crate::error::Error;

/// The kernel writes dumps in pieces of at most this, unless a single message is longer.
const DUMP_BUFFER: usize = 32 * 1024;
/// Room for an acknowledgement or one link.
const BUFFER: usize = 4 * 1024;
/// How often a dump is begun again because the table changed under it.
const DUMP_ATTEMPTS: u32 = 24;
/// What the kernel takes in one send without being asked for more (`net.core.wmem_default` may be less).
const SMALL_SEND: usize = 64 * 1024;

const KIND_ERROR: u16 = 2;
const KIND_DONE: u16 = 3;
/// First kind that belongs to a family; what is below belongs to netlink itself.
const KIND_FAMILY: u16 = 16;
/// `NLM_F_CAPPED`: the error does not repeat the request's body.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow the error.
const ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A socket of one netlink family, in the network namespace where it was opened.
///
/// It holds that namespace alive. One socket may be shared by threads; they take turns.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Links, addresses, routes, neighbours: `NETLINK_ROUTE`. See rtnetlink(7).
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn route() -> Result<Self, Error> {
        Self::open(None)
    }

    /// nf_tables and its relatives: `NETLINK_NETFILTER`.
    ///
    /// # Errors
    /// [`Error::Open`]; EPROTONOSUPPORT when the kernel has no netfilter.
    pub fn netfilter() -> Result<Self, Error> {
        Self::open(Some(netlink::NETFILTER))
    }

    fn open(protocol: Option<Protocol>) -> Result<Self, Error> {
        let fail = |source: Errno| Error::Open {
            source: source.into(),
        };
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )
        .map_err(fail)?;
        bind(&fd, &SocketAddrNetlink::new(0, 0)).map_err(fail)?;
        for switch in [Switch::ShortAcks, Switch::ExtendedAcks, Switch::StrictDumps] {
            // Each is a comfort: without it answers are longer, or poorer in words.
            let _ = sys::netlink::turn_on(&fd, switch);
        }
        Ok(Self {
            fd,
            state: Mutex::new(State {
                sequence: 1,
                buffer: Vec::new(),
            }),
        })
    }

    /// Sends all messages of a batch in one go and waits for their answers.
    ///
    /// nf_tables does all of a [`Batch::transaction`] or nothing. rtnetlink takes one message after the other and goes
    /// on after a refusal, so what stands before and after the refused message has happened.
    ///
    /// # Errors
    /// [`Error::Refused`] for the first message that the kernel refused, with its index.
    pub fn batch(&self, batch: Batch) -> Result<(), Error> {
        let Some(mut outgoing) = batch.finish()? else {
            return Ok(());
        };
        let mut state = self.lock();
        let first = state.reserve(outgoing.count());
        outgoing.number(first);
        self.send(outgoing.bytes())?;
        let last = outgoing.last_sequence();
        let mut refusal = None;
        loop {
            let length = match self.read(&mut state) {
                Ok(Some(length)) => length,
                // Nothing more will come: the whole batch was refused at its head, or answers were dropped.
                Ok(None) => return Err(refusal.unwrap_or(Error::Lost)),
                // Read on all the same: a full queue would go on dropping answers. Too long is no acknowledgement.
                Err(Error::Lost | Error::Truncated) => continue,
                Err(error) => return Err(error),
            };
            for view in Messages::new(&state.buffer[..length]) {
                let Some(position) = outgoing.position(view.sequence) else {
                    continue; // an answer to something older
                };
                if view.kind != KIND_ERROR {
                    continue; // an echo
                }
                if let Some(source) = errno(view.body)? {
                    refusal.get_or_insert_with(|| Error::Refused {
                        index: position,
                        text: text_of(&view),
                        source,
                    });
                }
                if view.sequence == last {
                    return refusal.map_or(Ok(()), Err);
                }
            }
        }
    }

    /// Sends one request and waits for the one message that answers it.
    ///
    /// # Errors
    /// [`Error::Refused`], for instance with ENOENT or ENODEV when the thing is not there.
    pub fn ask(&self, request: Writer) -> Result<Message, Error> {
        let mut state = self.lock();
        loop {
            match self.ask_once(&mut state, request.clone()) {
                // The buffer has grown.
                Err(Error::Truncated) => {}
                answer => return answer,
            }
        }
    }

    fn ask_once(&self, state: &mut State, request: Writer) -> Result<Message, Error> {
        let sequence = state.reserve(1);
        self.send_one(request, 0, sequence)?;
        while let Some(length) = self.read(state)? {
            for view in Messages::new(&state.buffer[..length]) {
                if view.sequence != sequence {
                    continue;
                }
                if view.kind == KIND_ERROR {
                    check_errno(&view)?;
                } else if view.kind >= KIND_FAMILY {
                    return Ok(view.to_message());
                }
            }
        }
        Err(Error::Lost)
    }

    /// Reads a whole table. A table that changes while it is read is read again, so the answer was true at one moment.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::Unstable`] when it never held still.
    pub fn dump(&self, request: Writer) -> Result<Vec<Message>, Error> {
        let mut state = self.lock();
        state.make_room(DUMP_BUFFER);
        for attempt in 0..DUMP_ATTEMPTS {
            if attempt > 3 {
                std::thread::sleep(Duration::from_micros(200) * attempt);
            }
            if let Some(messages) = self.dump_once(&mut state, request.clone())? {
                return Ok(messages);
            }
        }
        Err(Error::Unstable)
    }

    /// Reads a table once, to the end in any case: a socket with a dump in progress refuses the next one.
    fn dump_once(&self, state: &mut State, request: Writer) -> Result<Option<Vec<Message>>, Error> {
        let sequence = state.reserve(1);
        self.send_one(request, flags::DUMP, sequence)?;
        let mut found = Vec::new();
        let mut is_whole = true;
        loop {
            let length = match self.read(state) {
                Ok(Some(length)) => length,
                Ok(None) => return Err(Error::Lost),
                // The buffer has grown, or what was dropped is past: read to the end, then anew.
                Err(Error::Truncated | Error::Lost) => {
                    is_whole = false;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for view in Messages::new(&state.buffer[..length]) {
                if view.sequence != sequence {
                    continue;
                }
                is_whole &= view.flags & flags::DUMP_INTERRUPTED == 0;
                match view.kind {
                    KIND_ERROR => check_errno(&view)?,
                    KIND_DONE => {
                        check_errno(&view)?;
                        return Ok(is_whole.then_some(found));
                    }
                    KIND_FAMILY.. => found.push(view.to_message()),
                    _ => {}
                }
            }
        }
    }

    /// The socket's own address. Notices to a group name the port whose request they tell of, so changes of one's own can
    /// be told from others'.
    ///
    /// # Errors
    /// [`Error::Receive`] when the kernel does not tell.
    pub fn port(&self) -> Result<u32, Error> {
        getsockname(&self.fd)
            .and_then(SocketAddrNetlink::try_from)
            .map(|address| address.pid())
            .map_err(|source| Error::Receive {
                source: source.into(),
            })
    }

    /// Asks for what the kernel tells everyone of this group. Give the socket no other work.
    ///
    /// # Errors
    /// [`Error::Join`].
    pub fn join(&self, group: u32) -> Result<(), Error> {
        self.lock().make_room(DUMP_BUFFER);
        sys::netlink::join_group(&self.fd, group).map_err(|source| Error::Join { group, source })
    }

    /// Waits for the next messages of the joined groups; none when the time is over. `None` waits for ever.
    ///
    /// # Errors
    /// [`Error::Lost`]: more came than the socket could hold. What is lost must be read anew from the kernel's tables;
    /// the socket goes on working.
    pub fn receive(&self, within: Option<Duration>) -> Result<Vec<Message>, Error> {
        let deadline = within.map(|within| Instant::now() + within);
        loop {
            {
                let mut state = self.lock();
                match self.read(&mut state) {
                    Ok(Some(length)) => {
                        return Ok(Messages::new(&state.buffer[..length])
                            .map(View::to_message)
                            .collect());
                    }
                    Ok(None) => {}
                    Err(Error::Truncated) => return Err(Error::Lost),
                    Err(error) => return Err(error),
                }
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Vec::new());
            }
            self.wait(left)?;
        }
    }

    fn wait(&self, within: Option<Duration>) -> Result<(), Error> {
        let timeout = within.and_then(|within| Timespec::try_from(within).ok());
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(source) => Err(Error::Receive {
                source: source.into(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in the state can be half changed: a number and a scratch buffer.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_one(&self, request: Writer, more_flags: u16, sequence: u32) -> Result<(), Error> {
        let mut batch = Batch::new();
        batch.push(request);
        let mut outgoing = batch.finish()?.expect("it holds one message");
        outgoing.set_flags(more_flags);
        outgoing.number(sequence);
        self.send(outgoing.bytes())
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > SMALL_SEND {
            // The kernel refuses a send that is longer than the send buffer less 32 bytes; it doubles what is asked for.
            let _ = sockopt::set_socket_send_buffer_size_force(&self.fd, bytes.len());
        }
        let sent = rustix::io::retry_on_intr(|| send(&self.fd, bytes, SendFlags::empty()))
            .map_err(io::Error::from)
            .map_err(|source| Error::Send {
                len_bytes: bytes.len(),
                source,
            })?;
        debug_assert_eq!(sent, bytes.len(), "a datagram goes whole or not at all");
        Ok(())
    }

    /// The next datagram of the kernel, if one is there: its length in the buffer.
    fn read(&self, state: &mut State) -> Result<Option<usize>, Error> {
        state.make_room(BUFFER);
        loop {
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            match recvfrom(&self.fd, &mut state.buffer[..], flags) {
                Ok((_, length, from)) => {
                    let is_kernel = from
                        .and_then(|from| SocketAddrNetlink::try_from(from).ok())
                        .is_some_and(|from| from.pid() == 0);
                    if !is_kernel {
                        continue;
                    }
                    if length > state.buffer.len() {
                        state.make_room(length.next_power_of_two());
                        return Err(Error::Truncated);
                    }
                    return Ok(Some(length));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::NOBUFS) => return Err(Error::Lost),
                Err(source) => {
                    return Err(Error::Receive {
                        source: source.into(),
                    });
                }
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl State {
    /// A buffer of at least so many bytes.
    fn make_room(&mut self, bytes: usize) {
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
    }

    /// So many sequence numbers, of which this is the first. Never 0, which is what unasked messages carry.
    fn reserve(&mut self, count: usize) -> u32 {
        let count = u32::try_from(count).expect("a batch is built in memory");
        if self.sequence.checked_add(count).is_none() {
            self.sequence = 1;
        }
        let first = self.sequence;
        self.sequence += count;
        first
    }
}

/// The error in an answer; `None` when it says that all is well.
fn errno(body: &[u8]) -> Result<Option<io::Error>, Error> {
    let code = body.first_chunk().ok_or(Error::Malformed)?;
    match i32::from_ne_bytes(*code) {
        0.. => Ok(None),
        code => Ok(Some(io::Error::from_raw_os_error(code.saturating_neg()))),
    }
}

fn check_errno(view: &View<'_>) -> Result<(), Error> {
    // An empty "done" ends a dump as well as a zero does.
    if view.kind == KIND_DONE && view.body.is_empty() {
        return Ok(());
    }
    match errno(view.body)? {
        None => Ok(()),
        Some(source) => Err(Error::Refused {
            index: 0,
            text: text_of(view),
            source,
        }),
    }
}

/// The kernel's own words on an error, empty when it has none. Layout: `nlmsgerr` in linux/netlink.h.
fn text_of(view: &View<'_>) -> String {
    if view.flags & ACK_TLVS == 0 {
        return String::new();
    }
    let start = match view.kind {
        KIND_DONE => 4,
        _ if view.flags & CAPPED != 0 => 4 + crate::message::HEADER,
        _ => {
            let repeated = view.body.get(4..).and_then(|rest| rest.first_chunk());
            4 + repeated.map_or(0, |length| u32::from_ne_bytes(*length) as usize)
        }
    };
    let start = start.next_multiple_of(4);
    Attributes::new(view.body.get(start..).unwrap_or_default())
        .get(NLMSGERR_ATTR_MSG)
        .and_then(|attribute| attribute.text())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests;
