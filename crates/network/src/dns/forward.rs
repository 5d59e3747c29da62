//! Asking the servers: the query goes out as it came, under an id and from a port of ours, and the answer comes back as it is.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use super::message::{self, Query};
use crate::namespace::within;

/// How long all servers together may take: a client asks again, or gives up, after five seconds.
const PATIENCE: Duration = Duration::from_millis(4500);
/// How often somebody is asked at least: packets get lost.
const MIN_ATTEMPTS: usize = 3;

/// By which way a query came, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Udp,
    Tcp,
}

/// From where the servers are asked.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    pub(super) servers: Vec<SocketAddr>,
    /// The container's namespace, for servers on its own loopback.
    pub(super) inside: Option<Arc<OwnedFd>>,
}

/// The answer of the first server that has one. A server that says it failed is believed only when no other knows better.
pub(super) async fn ask(
    upstream: &Upstream,
    packet: &[u8],
    query: &Query,
    way: Way,
) -> Option<Vec<u8>> {
    let servers = &upstream.servers;
    if servers.is_empty() {
        return None;
    }
    let attempts = servers.len().max(MIN_ATTEMPTS);
    let each = PATIENCE / u32::try_from(attempts).unwrap_or(u32::MAX);
    let mut failed: Option<Vec<u8>> = None;
    let mut have_answered = BTreeSet::new();
    for attempt in 0..attempts {
        let server = servers[attempt % servers.len()];
        if have_answered.contains(&server) {
            continue;
        }
        let sent = message::with_id(packet, random_id());
        let asked = async {
            match way {
                Way::Udp => ask_by_udp(upstream, server, &sent, query).await,
                Way::Tcp => ask_by_tcp(upstream, server, &sent, query).await,
            }
        };
        // Refused, unreachable, silent: the next one.
        let Ok(Ok(reply)) = timeout(each, asked).await else {
            continue;
        };
        let reply = message::with_id(&reply, message::id(packet));
        if !message::is_failure(&reply) {
            return Some(reply);
        }
        have_answered.insert(server);
        failed.get_or_insert(reply);
    }
    failed
}

async fn ask_by_udp(
    upstream: &Upstream,
    server: SocketAddr,
    sent: &[u8],
    query: &Query,
) -> io::Result<Vec<u8>> {
    let socket = open(upstream, server, SocketType::DGRAM).await?;
    let socket = UdpSocket::from_std(socket.into())?;
    socket.connect(server).await?; // from here on the kernel drops what others send
    socket.send(sent).await?;
    let mut buffer = vec![0; usize::from(query.udp_size)];
    loop {
        let got = socket.recv(&mut buffer).await?;
        if message::is_answer_to(sent, query, &buffer[..got]) {
            buffer.truncate(got);
            return Ok(buffer);
        }
    }
}

async fn ask_by_tcp(
    upstream: &Upstream,
    server: SocketAddr,
    sent: &[u8],
    query: &Query,
) -> io::Result<Vec<u8>> {
    let socket = open(upstream, server, SocketType::STREAM).await?;
    let socket = TcpSocket::from_std_stream(socket.into());
    let mut stream = socket.connect(server).await?;
    stream.write_all(&framed(sent)).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    if message::is_answer_to(sent, query, &reply) {
        Ok(reply)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// A message as it travels by TCP: behind its length. RFC 1035, section 4.2.2.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a message was read with such a length");
    let mut frame = Vec::with_capacity(2 + message.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// A nonblocking socket on a port that the kernel picks at random; in the container's namespace for a loopback address that
/// is the container's.
async fn open(upstream: &Upstream, server: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let (family, any): (_, SocketAddr) = match server {
        SocketAddr::V4(_) => (AddressFamily::INET, (Ipv4Addr::UNSPECIFIED, 0).into()),
        SocketAddr::V6(_) => (AddressFamily::INET6, (Ipv6Addr::UNSPECIFIED, 0).into()),
    };
    let make = move || -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, kind, flags, None)?;
        if kind == SocketType::DGRAM {
            bind(&socket, &any)?;
        }
        Ok(socket)
    };
    match &upstream.inside {
        Some(namespace) if server.ip().is_loopback() => {
            let namespace = namespace.clone();
            let inside = move || within(namespace.as_fd(), make).map_err(io::Error::other)?;
            tokio::task::spawn_blocking(inside).await?
        }
        _ => make(),
    }
}

fn random_id() -> u16 {
    let mut bytes = [0; 2];
    // Without random bytes the port still is one.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK);
    u16::from_ne_bytes(bytes)
}
