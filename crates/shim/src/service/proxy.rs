//! Published ports: connections and datagrams that reach the host's sockets are passed on to the container.
//!
//! ```text
//! client ──► port (a socket that the daemon bound) ──► near │ far ──► the container's address
//!            TCP: accept, splice through a pipe             │
//!            UDP: one flow for each client's address        │
//! ```
//! The kernel's packet filter carries what comes from elsewhere; this serves the host's own loopback, and everything while
//! the filter is gone. It shares the shim's one thread with the log, so that nothing here waits, each event does a bounded
//! piece of work, and what a slow reader has not taken waits in a pipe of the kernel and then in the sender.

mod datagram;
mod pipe;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use oci::runtime::{Process, Rlimit as RlimitSpec};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, connect, getsockname, socket_with, sockopt,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Shim;
use super::poller::{Poller, Ready, Watched, What};
use super::process::set_nonblocking;
use crate::protocol::Transport;

use datagram::{Client, Talk};
use pipe::Pipes;
use stream::Stream;

/// To what the limit of descriptors is raised, where the hard limit allows it.
const FILES: u64 = 65_536;
/// Descriptors that the shim itself may need: streams, clients, execs.
const OWN_FILES: u64 = 256;
/// What a connection needs at most: two sockets, two pipes.
const FILES_PER_STREAM: u64 = 6;
/// Connections at most, whatever the limit of descriptors.
const MAX_STREAMS: u64 = 8192;
/// UDP flows at most; beyond, the one that was silent longest ends.
const MAX_TALKS: u64 = 1024;
/// Connections accepted, or datagrams read, at one event.
const BATCH: usize = 64;
/// For how long nothing is accepted when the kernel has no room for more.
const PAUSE: Duration = Duration::from_millis(100);
/// The largest datagram.
const DATAGRAM: usize = 64 * 1024;

/// An end of something that is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client's.
    Near,
    /// The container's.
    Far,
}

/// All ports of the container, and what goes through them.
#[derive(Debug, Default)]
pub(crate) struct Proxy {
    ports: BTreeMap<u32, Port>,
    streams: BTreeMap<u32, Stream>,
    talks: BTreeMap<u32, Talk>,
    next: u32,
    pipes: Pipes,
    /// The limit of descriptors before we raised it.
    own_limit: Option<Rlimit>,
    /// The limit now; 0 before the first port.
    files: u64,
    /// Until when nothing is accepted, since the kernel had no room.
    paused: Option<Instant>,
    /// Whether listeners are to be asked for connections now.
    accepts: bool,
    /// When flows are to be looked through for silent ones.
    sweep: Option<Instant>,
    /// Where datagrams are read to; none in quiet times.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Port {
    socket: Watched,
    host: SocketAddr,
    transport: Transport,
    target: SocketAddr,
    /// Of UDP: each client's flow.
    clients: BTreeMap<Client, u32>,
}

impl Shim {
    /// `Request::Publish`.
    pub(super) fn publish(
        &mut self,
        transport: Transport,
        target: SocketAddr,
        socket: Option<OwnedFd>,
    ) {
        if let Some(socket) = socket.filter(|_| !self.finished) {
            self.proxy
                .publish(transport, target, socket, &mut self.poller);
        }
    }
}

impl Proxy {
    // --- ports ------------------------------------------------------------------------------

    fn publish(
        &mut self,
        transport: Transport,
        target: SocketAddr,
        socket: OwnedFd,
        poller: &mut Poller,
    ) {
        let Some(host) = bound_address(&socket, transport) else {
            return;
        };
        self.raise_limit();
        set_nonblocking(&socket);
        if transport == Transport::Udp {
            // Without it, replies go out from whichever address the kernel picks.
            let _ = sys::datagram::tell_destinations(&socket, host.is_ipv4());
        }
        let number = self.number();
        let mut socket = Watched::new(socket);
        let interest = if transport == Transport::Udp || self.accepts_now() {
            Ready::IN
        } else {
            Ready::empty()
        };
        poller.ask(&mut socket, What::Port(number), interest);
        let port = Port {
            socket,
            host,
            transport,
            target,
            clients: BTreeMap::new(),
        };
        self.ports.insert(number, port);
    }

    /// `Request::Redirect`.
    pub(super) fn redirect(
        &mut self,
        transport: Transport,
        host: SocketAddr,
        target: SocketAddr,
        poller: &mut Poller,
    ) {
        if let Some(number) = self.find(transport, host) {
            self.end_flows_of(number, poller);
            if let Some(port) = self.ports.get_mut(&number) {
                port.target = target;
            }
        }
    }

    /// `Request::Unpublish`.
    pub(super) fn unpublish(
        &mut self,
        transport: Transport,
        host: SocketAddr,
        poller: &mut Poller,
    ) {
        if let Some(number) = self.find(transport, host) {
            self.end_flows_of(number, poller);
            if let Some(mut port) = self.ports.remove(&number) {
                poller.forget(&mut port.socket);
            }
        }
    }

    fn find(&self, transport: Transport, host: SocketAddr) -> Option<u32> {
        let mut ports = self.ports.iter();
        let found = ports.find(|(_, port)| port.transport == transport && port.host == host);
        found.map(|(number, _)| *number)
    }

    fn end_flows_of(&mut self, number: u32, poller: &mut Poller) {
        let streams = self.streams.iter().filter(|(_, s)| s.port == number);
        for flow in streams.map(|(flow, _)| *flow).collect::<Vec<_>>() {
            self.end_stream(flow, true, poller);
        }
        let talks = self.talks.iter().filter(|(_, t)| t.port == number);
        for flow in talks.map(|(flow, _)| *flow).collect::<Vec<_>>() {
            self.end_talk(flow, poller);
        }
    }

    /// Ends everything: the container has ended.
    pub(super) fn close(&mut self, poller: &mut Poller) {
        for (_, mut stream) in std::mem::take(&mut self.streams) {
            stream.release(poller);
        }
        for (_, mut talk) in std::mem::take(&mut self.talks) {
            poller.forget(&mut talk.far);
        }
        for (_, mut port) in std::mem::take(&mut self.ports) {
            poller.forget(&mut port.socket);
        }
        self.pipes = Pipes::default();
        self.buffer = Vec::new();
        self.sweep = None;
        self.paused = None;
    }

    /// A port has connections or datagrams.
    pub(super) fn serve_port(&mut self, number: u32, poller: &mut Poller) {
        match self.ports.get(&number).map(|port| port.transport) {
            Some(Transport::Tcp) => self.accept(number, poller),
            Some(Transport::Udp) => self.receive(number, poller),
            None => {} // closed by an event before this one
        }
    }

    fn accept(&mut self, number: u32, poller: &mut Poller) {
        for _ in 0..BATCH {
            let Some(port) = self.ports.get(&number).filter(|_| self.accepts_now()) else {
                return;
            };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let near = match accept_with(&port.socket, flags) {
                Ok(near) => near,
                Err(Errno::AGAIN) => return,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    self.paused = Some(Instant::now() + PAUSE);
                    return;
                }
                Err(_) => continue, // that one has gone already
            };
            match connect_to(port.target, SocketType::STREAM) {
                Ok(far) => {
                    let flow = self.number();
                    let mut stream = Stream::new(number, near, far);
                    stream.ask(flow, poller);
                    self.streams.insert(flow, stream);
                }
                Err(_) => stream::reset(&near),
            }
        }
    }

    /// Passes datagrams of clients on, each from a socket of its client's own.
    fn receive(&mut self, number: u32, poller: &mut Poller) {
        for _ in 0..BATCH {
            self.buffer.resize(DATAGRAM, 0);
            let Some(port) = self.ports.get(&number) else {
                return;
            };
            let (got, client) = match sys::datagram::receive(&port.socket, &mut self.buffer) {
                Ok((got, address, to)) => (got, Client { address, to }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => continue, // one that an earlier reply met with
            };
            let flow = match port.clients.get(&client) {
                Some(flow) => *flow,
                None => match self.begin_talk(number, client, poller) {
                    Some(flow) => flow,
                    None => continue,
                },
            };
            if let Some(talk) = self.talks.get_mut(&flow) {
                talk.send(&self.buffer[..got]);
            }
        }
    }

    // --- what is passed on ------------------------------------------------------------------

    /// An end of a flow is ready.
    pub(super) fn serve_flow(&mut self, flow: u32, side: Side, ready: Ready, poller: &mut Poller) {
        if let Some(stream) = self.streams.get_mut(&flow) {
            match stream.serve(side, ready, &mut self.pipes) {
                stream::State::Goes => stream.ask(flow, poller),
                stream::State::Over => self.end_stream(flow, false, poller),
                stream::State::Broken => self.end_stream(flow, true, poller),
            }
        } else if let Some(talk) = self.talks.get_mut(&flow) {
            self.buffer.resize(DATAGRAM, 0);
            if let Some(port) = self.ports.get(&talk.port) {
                talk.pass_back(&port.socket, &mut self.buffer, BATCH);
            }
        }
    }

    fn end_stream(&mut self, flow: u32, with_reset: bool, poller: &mut Poller) {
        if let Some(mut stream) = self.streams.remove(&flow) {
            if with_reset {
                stream.reset();
            }
            stream.release(poller);
        }
    }

    fn begin_talk(&mut self, number: u32, client: Client, poller: &mut Poller) -> Option<u32> {
        if self.talks.len() as u64 >= MAX_TALKS.min(self.spare_files() / 2) {
            let silent = self.talks.iter().min_by_key(|(_, talk)| talk.last);
            let silent = silent.map(|(flow, _)| *flow);
            self.end_talk(silent?, poller);
        }
        let flow = self.number();
        let port = self.ports.get_mut(&number)?;
        let mut far = Watched::new(connect_to(port.target, SocketType::DGRAM).ok()?);
        poller.ask(&mut far, What::Flow(flow, Side::Far), Ready::IN);
        port.clients.insert(client, flow);
        self.talks.insert(flow, Talk::new(number, client, far));
        self.sweep
            .get_or_insert_with(|| Instant::now() + datagram::SILENCE);
        Some(flow)
    }

    fn end_talk(&mut self, flow: u32, poller: &mut Poller) {
        if let Some(mut talk) = self.talks.remove(&flow) {
            poller.forget(&mut talk.far);
            if let Some(port) = self.ports.get_mut(&talk.port) {
                port.clients.remove(&talk.client);
            }
        }
    }

    // --- time and bounds --------------------------------------------------------------------

    /// When there is something to do without an event.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.sweep, self.paused].into_iter().flatten().min()
    }

    /// After every round: ends silent flows, lets those go on that got no pipe, accepts or not.
    pub(super) fn settle(&mut self, poller: &mut Poller) {
        if self.ports.is_empty() {
            return;
        }
        let now = Instant::now();
        if self.sweep.is_some_and(|at| at <= now) {
            self.sweep_talks(now, poller);
        }
        if self.paused.is_some_and(|at| at <= now) {
            self.paused = None;
            for (flow, stream) in &mut self.streams {
                if stream.end_starvation() {
                    stream.ask(*flow, poller);
                }
            }
        }
        if self.pipes.take_starving() {
            self.paused = Some(now + PAUSE);
        }
        if self.streams.is_empty() {
            self.pipes.drop_free();
        }
        let accepts = self.accepts_now();
        if accepts != self.accepts {
            self.accepts = accepts;
            let interest = if accepts { Ready::IN } else { Ready::empty() };
            for (number, port) in &mut self.ports {
                if port.transport == Transport::Tcp {
                    poller.ask(&mut port.socket, What::Port(*number), interest);
                }
            }
        }
    }

    fn sweep_talks(&mut self, now: Instant, poller: &mut Poller) {
        let silent: Vec<u32> = self
            .talks
            .iter()
            .filter(|(_, talk)| talk.last + datagram::SILENCE <= now)
            .map(|(flow, _)| *flow)
            .collect();
        for flow in silent {
            self.end_talk(flow, poller);
        }
        let oldest = self.talks.values().map(|talk| talk.last).min();
        self.sweep = oldest.map(|last| last + datagram::SILENCE);
        if oldest.is_none() {
            self.buffer = Vec::new();
        }
    }

    fn accepts_now(&self) -> bool {
        let room = MAX_STREAMS.min(self.spare_files() / FILES_PER_STREAM);
        self.paused.is_none() && (self.streams.len() as u64) < room.max(16)
    }

    /// How many descriptors flows may have in all.
    fn spare_files(&self) -> u64 {
        let own = OWN_FILES + self.ports.len() as u64;
        self.files.saturating_sub(own)
    }

    /// Each port and connection needs descriptors; only now, since the container's program would inherit the limit.
    fn raise_limit(&mut self) {
        if self.files > 0 {
            return;
        }
        let before = getrlimit(Resource::Nofile);
        self.files = before.current.unwrap_or(FILES);
        let wanted = before.maximum.unwrap_or(FILES).min(FILES);
        let raised = Rlimit {
            current: Some(wanted),
            maximum: before.maximum,
        };
        if self.files < wanted && setrlimit(Resource::Nofile, raised).is_ok() {
            self.files = wanted;
            self.own_limit = Some(before);
        }
    }

    /// Lets a process that is about to start have the limit of descriptors that it would have had without us.
    pub(super) fn keep_limit_from(&self, process: &mut Process) {
        const KIND: &str = "RLIMIT_NOFILE";
        let Some(limit) = &self.own_limit else { return };
        if process.rlimits.iter().any(|own| own.kind == KIND) {
            return;
        }
        process.rlimits.push(RlimitSpec {
            kind: KIND.to_owned(),
            hard: limit.maximum.unwrap_or(u64::MAX),
            soft: limit.current.unwrap_or(u64::MAX),
        });
    }

    fn number(&mut self) -> u32 {
        // Numbers come again after four thousand million flows; one that is in use by then is stepped over.
        loop {
            let number = self.next;
            self.next = self.next.wrapping_add(1);
            let in_use = self.ports.contains_key(&number)
                || self.streams.contains_key(&number)
                || self.talks.contains_key(&number);
            if !in_use {
                return number;
            }
        }
    }
}

/// Where a socket is bound, if it is what it is said to be.
fn bound_address(socket: &OwnedFd, transport: Transport) -> Option<SocketAddr> {
    let listens = sockopt::socket_acceptconn(socket).ok()?;
    let kind = sockopt::socket_type(socket).ok()?;
    let fits = match transport {
        Transport::Tcp => kind == SocketType::STREAM && listens,
        Transport::Udp => kind == SocketType::DGRAM,
    };
    let address = getsockname(socket).ok().filter(|_| fits)?;
    SocketAddr::try_from(address).ok()
}

/// A nonblocking socket that is connected to the container, or (TCP) on its way.
fn connect_to(target: SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let family = match target {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, None)?;
    match connect(socket.as_fd(), &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}
