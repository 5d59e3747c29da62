//! One container's resolver: its sockets, the loops that read them, and the bounds on what it may keep us busy with.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::forward::{self, Upstream, Way, framed};
use super::message::{self, Query, Rcode, Refused};
use super::{ADDRESS, Error, ResolverPorts, Servers, View, answer};
use crate::namespace::within;

/// Queries of one container that may be under way at the servers.
const MAX_FORWARDS: usize = 256;
/// Queries of all containers that may be under way: each has a descriptor.
const MAX_FORWARDS_OF_ALL: usize = 768;
/// Open TCP connections of one container.
const MAX_CONNECTIONS: usize = 32;
/// After how long a silent TCP connection is closed. RFC 7766 asks for seconds.
const IDLE: Duration = Duration::from_secs(10);
/// Packets that one container may send in a window; the rest waits in its socket, and is dropped there. 50,000 a second.
const WINDOW: Duration = Duration::from_millis(20);
const WINDOW_PACKETS: u32 = 1000;
/// Room for a burst of some thousand queries while the machine is busy with other things.
const RECEIVE_BYTES: usize = 1 << 20;
/// No query that anybody sends by UDP is longer.
const MAX_QUERY: usize = 4096;

static FORWARDS_OF_ALL: Semaphore = Semaphore::const_new(MAX_FORWARDS_OF_ALL);

/// How resolvers come to be.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Opens a resolver's sockets on 127.0.0.11 in a network namespace whose loopback is up, and answers there from now on,
    /// on the event loop of `handle`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn start(handle: &Handle, namespace: BorrowedFd<'_>, view: View) -> Result<Running, Error> {
        let open = || -> io::Result<(UdpSocket, TcpListener)> {
            let udp = UdpSocket::bind((ADDRESS, 0))?;
            let tcp = TcpListener::bind((ADDRESS, 0))?;
            udp.set_nonblocking(true)?;
            // A query that is dropped here is asked again after five seconds only. A smaller buffer will do.
            let _ = sockopt::set_socket_recv_buffer_size_force(&udp, RECEIVE_BYTES);
            tcp.set_nonblocking(true)?;
            Ok((udp, tcp))
        };
        let (udp, tcp) = within(namespace, open)
            .map_err(|source| Error::Enter { source })?
            .map_err(|source| Error::Open { source })?;
        let ports = udp
            .local_addr()
            .and_then(|udp| Ok((udp, tcp.local_addr()?)))
            .map(|(udp, tcp)| ResolverPorts {
                udp: udp.port(),
                tcp: tcp.port(),
            })
            .map_err(|source| Error::Open { source })?;
        // The sockets keep the namespace as long as it is needed; its descriptor is kept only for servers inside.
        let own_loopback = match &view.servers {
            Servers::Given(servers) => servers.iter().any(|server| server.ip().is_loopback()),
            Servers::None | Servers::Host(_) => false,
        };
        let kept = own_loopback
            .then(|| namespace.try_clone_to_owned())
            .transpose()
            .map_err(|source| Error::Open { source })?;
        let resolver = Arc::new(Resolver {
            view: RwLock::new(Arc::new(view)),
            namespace: kept.map(Arc::new),
            forwards: Arc::new(Semaphore::new(MAX_FORWARDS)),
        });
        let (udp, tcp) = {
            let _context = handle.enter();
            let udp = tokio::net::UdpSocket::from_std(udp);
            let tcp = tokio::net::TcpListener::from_std(tcp);
            udp.and_then(|udp| Ok((udp, tcp?)))
                .map_err(|source| Error::Watch { source })?
        };
        let tasks = [
            handle
                .spawn(serve_udp(Arc::new(udp), resolver.clone()))
                .abort_handle(),
            handle
                .spawn(serve_tcp(tcp, resolver.clone()))
                .abort_handle(),
        ];
        Ok(Running {
            ports,
            resolver,
            tasks,
        })
    }
}

/// A resolver at work; it ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    ports: ResolverPorts,
    resolver: Arc<Resolver>,
    tasks: [AbortHandle; 2],
}

impl Running {
    /// Where its sockets are.
    #[must_use]
    pub fn ports(&self) -> ResolverPorts {
        self.ports
    }

    /// Changes what the container sees; queries under way go on with what they began with.
    pub fn set_view(&self, view: View) {
        let view = Arc::new(view);
        *self
            .resolver
            .view
            .write()
            .unwrap_or_else(PoisonError::into_inner) = view;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[derive(Debug)]
struct Resolver {
    view: RwLock<Arc<View>>,
    namespace: Option<Arc<OwnedFd>>,
    forwards: Arc<Semaphore>,
}

/// What is to be done with a packet.
enum Step {
    Nothing,
    Reply(Vec<u8>),
    Ask(Query, Upstream),
}

impl Resolver {
    fn decide(&self, packet: &[u8], way: Way) -> Step {
        let query = match Query::parse(packet) {
            Ok(query) => query,
            Err(Refused::Drop) => return Step::Nothing,
            Err(Refused::Reply(reply)) => return Step::Reply(reply),
        };
        let view = self
            .view
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(records) = answer::records(&view, &query) {
            let limit = match way {
                Way::Udp => usize::from(query.udp_size),
                Way::Tcp => usize::from(u16::MAX),
            };
            return Step::Reply(message::answer(packet, &query, &records, limit));
        }
        let servers = match &view.servers {
            Servers::None => Vec::new(),
            Servers::Given(servers) => servers.clone(),
            Servers::Host(followed) => {
                let conf = followed.current();
                if conf.servers.is_empty() {
                    // As resolv.conf(5) has it.
                    vec![SocketAddr::from(([127, 0, 0, 1], 53))]
                } else {
                    conf.servers.clone()
                }
            }
        };
        if servers.is_empty() {
            return Step::Reply(message::refusal(packet, &query, Rcode::ServerFailure));
        }
        let inside = self.namespace.clone();
        Step::Ask(query, Upstream { servers, inside })
    }

    /// Asks the servers, if there are not too many queries under way.
    async fn forward(
        &self,
        packet: &[u8],
        query: &Query,
        upstream: &Upstream,
        way: Way,
    ) -> Vec<u8> {
        let reply = match (self.forwards.try_acquire(), FORWARDS_OF_ALL.try_acquire()) {
            (Ok(_mine), Ok(_everybodys)) => forward::ask(upstream, packet, query, way).await,
            _ => None,
        };
        let reply = reply.unwrap_or_else(|| message::refusal(packet, query, Rcode::ServerFailure));
        if way == Way::Udp && reply.len() > usize::from(query.udp_size) {
            return message::shortened(packet, query, &reply);
        }
        reply
    }
}

async fn serve_udp(socket: Arc<tokio::net::UdpSocket>, resolver: Arc<Resolver>) {
    let mut forwards = JoinSet::new();
    let mut pace = Pace::new();
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        pace.keep().await;
        while forwards.try_join_next().is_some() {}
        let mut buffer = [0; MAX_QUERY];
        // An error is one that an earlier reply met with; it says nothing about the next packet.
        let Ok((got, client)) = socket.try_recv_from(&mut buffer) else {
            continue;
        };
        match resolver.decide(&buffer[..got], Way::Udp) {
            Step::Nothing => {}
            Step::Reply(reply) => {
                let _ = socket.try_send_to(&reply, client);
            }
            Step::Ask(query, upstream) => {
                if forwards.len() >= MAX_FORWARDS {
                    let reply = message::refusal(&buffer[..got], &query, Rcode::ServerFailure);
                    let _ = socket.try_send_to(&reply, client);
                    continue;
                }
                let (socket, resolver) = (socket.clone(), resolver.clone());
                let packet = buffer[..got].to_vec();
                forwards.spawn(async move {
                    let reply = resolver.forward(&packet, &query, &upstream, Way::Udp).await;
                    let _ = socket.try_send_to(&reply, client);
                });
            }
        }
    }
}

/// Counts packets, and pauses when there are too many.
struct Pace {
    began: Instant,
    packets: u32,
}

impl Pace {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            packets: 0,
        }
    }

    async fn keep(&mut self) {
        self.packets += 1;
        if self.packets < WINDOW_PACKETS {
            return;
        }
        if let Some(left) = WINDOW.checked_sub(self.began.elapsed()) {
            tokio::time::sleep(left).await;
        }
        *self = Self::new();
    }
}

async fn serve_tcp(listener: tokio::net::TcpListener, resolver: Arc<Resolver>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(stream, resolver.clone()));
            }
            // Out of descriptors, or the client has gone already.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Answers one query after the other, as long as they come.
async fn serve_connection(mut stream: TcpStream, resolver: Arc<Resolver>) {
    let _ = stream.set_nodelay(true);
    while let Ok(Ok(packet)) = timeout(IDLE, read_framed(&mut stream)).await {
        let reply = match resolver.decide(&packet, Way::Tcp) {
            Step::Nothing => return,
            Step::Reply(reply) => reply,
            Step::Ask(query, upstream) => {
                resolver.forward(&packet, &query, &upstream, Way::Tcp).await
            }
        };
        match timeout(IDLE, stream.write_all(&framed(&reply))).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut packet = vec![0; usize::from(length)];
    stream.read_exact(&mut packet).await?;
    Ok(packet)
}

#[cfg(test)]
mod tests;
