//! DNS by hand: a client that shows every bit of an answer, and a server that answers what a story tells it to.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::echo::PATIENCE;
use crate::engine::Engine;
use crate::place::Place;

/// The embedded resolver of user-defined networks.
pub const RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);

/// Types of records, as numbered in RFC 1035 and 3596.
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// The name of an address.
    pub const PTR: u16 = 12;
    /// Text.
    pub const TXT: u16 = 16;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// Where a service is: priority, weight, port and name. RFC 2782.
    pub const SRV: u16 = 33;
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// Of A and AAAA.
    Address(IpAddr),
    /// Of PTR and CNAME, without the last dot.
    Name(String),
    /// Of any other.
    Raw(u16, Vec<u8>),
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// 0: no error, 2: server failure, 3: no such name, 5: refused.
    pub code: u8,
    /// Whether it says that it has been cut (ask again over TCP).
    pub is_cut: bool,
    /// Whether it offers recursion, as resolvers do.
    pub recurses: bool,
    /// What it tells.
    pub answers: Vec<Data>,
    /// Seconds that the first answer may be kept.
    pub ttl: u32,
}

impl Reply {
    /// The addresses in it, sorted.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut found = self.in_order();
        found.sort();
        found
    }

    /// The addresses in it as they stand.
    #[must_use]
    pub fn in_order(&self) -> Vec<IpAddr> {
        let address = |data: &Data| match data {
            Data::Address(address) => Some(*address),
            Data::Name(_) | Data::Raw(..) => None,
        };
        self.answers.iter().filter_map(address).collect()
    }

    /// The names in it.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |data: &Data| match data {
            Data::Name(name) => Some(name.clone()),
            Data::Address(_) | Data::Raw(..) => None,
        };
        self.answers.iter().filter_map(name).collect()
    }
}

// --- asking ---

impl Place {
    /// Asks the embedded resolver over UDP.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    #[must_use]
    pub fn lookup(&self, name: &str, kind: u16) -> Reply {
        match self.dns(RESOLVER, name, kind) {
            Ok(reply) => reply,
            // dockerd says nothing when its own servers fail.
            Err(_) if Engine::is_peer() => Reply {
                code: 2,
                is_cut: false,
                recurses: false,
                answers: Vec::new(),
                ttl: 0,
            },
            Err(error) => panic!("{name} ({kind}) asked of {RESOLVER}: {error}"),
        }
    }

    /// The IPv4 addresses of a name, asked of the embedded resolver.
    #[track_caller]
    #[must_use]
    pub fn a(&self, name: &str) -> Vec<IpAddr> {
        self.lookup(name, kind::A).addresses()
    }

    /// The IPv6 addresses of a name, asked of the embedded resolver.
    #[track_caller]
    #[must_use]
    pub fn aaaa(&self, name: &str) -> Vec<IpAddr> {
        self.lookup(name, kind::AAAA).addresses()
    }

    /// The names of an address, asked of the embedded resolver.
    #[track_caller]
    #[must_use]
    pub fn ptr(&self, address: IpAddr) -> Vec<String> {
        self.lookup(&reverse(address), kind::PTR).names()
    }

    /// The services that SRV tells, as port and name, asked of the embedded resolver.
    ///
    /// # Panics
    /// When a record is none of RFC 2782.
    #[track_caller]
    #[must_use]
    pub fn srv(&self, name: &str) -> Vec<(u16, String)> {
        let reply = self.lookup(name, kind::SRV);
        let mut found: Vec<_> = reply.answers.iter().map(service).collect();
        found.sort();
        found
    }

    /// Asks a server over UDP.
    ///
    /// # Errors
    /// When it does not answer, or not in DNS.
    pub fn dns(&self, server: SocketAddr, name: &str, kind: u16) -> io::Result<Reply> {
        let answer = self.datagram(server, &question(name, kind))?;
        parse(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Asks a server over TCP.
    ///
    /// # Errors
    /// When it does not answer, or not in DNS.
    pub fn dns_tcp(&self, server: SocketAddr, name: &str, kind: u16) -> io::Result<Reply> {
        let mut stream = self.within(|| TcpStream::connect_timeout(&server, PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE * 2))?;
        write_framed(&mut stream, &question(name, kind))?;
        parse(&read_framed(&mut stream)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Sends any bytes to a server and gives what comes back.
    ///
    /// # Errors
    /// When nothing comes.
    pub fn datagram(&self, server: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let socket = self.within(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
        socket.connect(server)?;
        // As long as the resolvers of C libraries wait.
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.send(bytes)?;
        let mut buffer = vec![0; 65_536];
        let len = socket.recv(&mut buffer)?;
        buffer.truncate(len);
        Ok(buffer)
    }
}

/// The name under which an address is looked up.
#[must_use]
pub fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let digits = address.octets().into_iter().rev();
            let digits = digits.flat_map(|byte| [byte & 15, byte >> 4]);
            digits
                .map(|digit| format!("{digit:x}."))
                .collect::<String>()
                + "ip6.arpa"
        }
    }
}

/// A question's packet.
#[must_use]
pub fn question(name: &str, kind: u16) -> Vec<u8> {
    // Recursion is desired.
    let mut packet = vec![0x5e, 0x57, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(encode(name));
    packet.extend(kind.to_be_bytes());
    packet.extend([0, 1]);
    packet
}

fn service(data: &Data) -> (u16, String) {
    let Data::Raw(kind::SRV, bytes) = data else {
        panic!("{data:?} is no service");
    };
    let (name, end) = decode(bytes, 6).expect("a name that is whole: it may not be compressed");
    assert_eq!(end, bytes.len(), "nothing behind the name");
    (u16::from_be_bytes([bytes[4], bytes[5]]), name)
}

fn encode(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).expect("a label of the story's"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn parse(packet: &[u8]) -> Option<Reply> {
    let word = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    if packet.len() < 12 || packet[..2] != [0x5e, 0x57] || packet[2] & 0x80 == 0 {
        return None;
    }
    let mut at = 12;
    for _ in 0..word(4)? {
        at = decode(packet, at)?.1 + 4;
    }
    let mut answers = Vec::new();
    let mut ttl = 0;
    for number in 0..word(6)? {
        at = decode(packet, at)?.1;
        let (kind, len) = (word(at)?, usize::from(word(at + 8)?));
        if number == 0 {
            ttl = u32::from(word(at + 4)?) << 16 | u32::from(word(at + 6)?);
        }
        let from = at + 10;
        let data = packet.get(from..from + len)?;
        at = from + len;
        answers.push(match kind {
            kind::A => Data::Address(<[u8; 4]>::try_from(data).ok()?.into()),
            kind::AAAA => Data::Address(<[u8; 16]>::try_from(data).ok()?.into()),
            kind::PTR | 5 => Data::Name(decode(packet, from)?.0),
            other => Data::Raw(other, data.to_vec()),
        });
    }
    Some(Reply {
        code: packet[3] & 15,
        is_cut: packet[2] & 2 != 0,
        recurses: packet[3] & 0x80 != 0,
        answers,
        ttl,
    })
}

/// A name and where it ends; pointers are followed a few times only.
fn decode(packet: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut at, mut end, mut jumps) = (start, None, 0);
    let mut labels: Vec<String> = Vec::new();
    loop {
        let len = usize::from(*packet.get(at)?);
        match len {
            0 => return Some((labels.join("."), end.unwrap_or(at + 1))),
            1..=63 => {
                let label = packet.get(at + 1..at + 1 + len)?;
                labels.push(String::from_utf8_lossy(label).into_owned());
                at += 1 + len;
            }
            _ => {
                end = end.or(Some(at + 2));
                at = (len & 0x3f) << 8 | usize::from(*packet.get(at + 1)?);
                jumps += 1;
                if jumps > 20 {
                    return None;
                }
            }
        }
    }
}

// --- answering ---

/// One question that a [`Server`] was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The name, as it was written.
    pub name: String,
    /// The type.
    pub kind: u16,
    /// Who asked.
    pub by: IpAddr,
    /// Whether it came over TCP.
    pub over_tcp: bool,
}

/// A DNS server of a story's, on UDP and TCP; it ends when dropped.
#[derive(Debug)]
pub struct Server {
    asked: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What a server says to a name and a type; nothing: no such name.
type Table = dyn Fn(&str, u16) -> Option<Vec<Data>> + Send + Sync;

impl Server {
    /// Starts a server at a place. Names come to `table` in lower case.
    ///
    /// # Panics
    /// When the address cannot be bound.
    #[track_caller]
    #[must_use]
    pub fn start(
        place: &Place,
        at: SocketAddr,
        table: impl Fn(&str, u16) -> Option<Vec<Data>> + Send + Sync + 'static,
    ) -> Self {
        let (socket, listener) = place.within(|| {
            (
                UdpSocket::bind(at).unwrap_or_else(|error| panic!("bind {at}: {error}")),
                TcpListener::bind(at).unwrap_or_else(|error| panic!("bind {at}: {error}")),
            )
        });
        let asked = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let table: Arc<Table> = Arc::new(table);
        let tick = Duration::from_millis(20);
        let datagrams = {
            let (asked, over, table) = (asked.clone(), over.clone(), table.clone());
            move || {
                drop(socket.set_read_timeout(Some(tick)));
                let mut buffer = [0; 4096];
                while !over.load(Ordering::Relaxed) {
                    if let Ok((len, by)) = socket.recv_from(&mut buffer)
                        && let Some(answer) = respond(&buffer[..len], by, false, &*table, &asked)
                    {
                        drop(socket.send_to(&answer, by));
                    }
                }
            }
        };
        let streams = {
            let (asked, over) = (asked.clone(), over.clone());
            move || {
                drop(listener.set_nonblocking(true));
                while !over.load(Ordering::Relaxed) {
                    let Ok((mut stream, by)) = listener.accept() else {
                        std::thread::sleep(Duration::from_millis(2));
                        continue;
                    };
                    drop(stream.set_nonblocking(false));
                    drop(stream.set_read_timeout(Some(PATIENCE)));
                    if let Ok(packet) = read_framed(&mut stream)
                        && let Some(answer) = respond(&packet, by, true, &*table, &asked)
                    {
                        drop(write_framed(&mut stream, &answer));
                    }
                }
            }
        };
        Self {
            asked,
            over,
            threads: vec![std::thread::spawn(datagrams), std::thread::spawn(streams)],
        }
    }

    /// What it has been asked so far.
    ///
    /// # Panics
    /// Never: nobody panics while writing it down.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    /// Whether it has been asked for a name.
    #[must_use]
    pub fn was_asked(&self, name: &str) -> bool {
        let is_it = |asked: &Asked| asked.name.eq_ignore_ascii_case(name);
        self.asked().iter().any(is_it)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn respond(
    packet: &[u8],
    by: SocketAddr,
    over_tcp: bool,
    table: &Table,
    asked: &Mutex<Vec<Asked>>,
) -> Option<Vec<u8>> {
    let (name, end) = decode(packet, 12)?;
    let kind = u16::from_be_bytes([*packet.get(end)?, *packet.get(end + 1)?]);
    asked.lock().expect("nobody panics with it").push(Asked {
        name: name.clone(),
        kind,
        by: by.ip().to_canonical(),
        over_tcp,
    });
    let found = table(&name.to_ascii_lowercase(), kind);
    let code = if found.is_some() { 0 } else { 3 };
    let answers = found.unwrap_or_default();
    let count = u16::try_from(answers.len()).ok()?;
    let mut answer = packet.get(..2)?.to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1]);
    answer.extend(count.to_be_bytes());
    answer.extend([0, 0, 0, 0]);
    answer.extend(packet.get(12..end + 4)?);
    for data in answers {
        let (kind, bytes) = match data {
            Data::Address(IpAddr::V4(address)) => (kind::A, address.octets().to_vec()),
            Data::Address(IpAddr::V6(address)) => (kind::AAAA, address.octets().to_vec()),
            Data::Name(name) => (kind::PTR, encode(&name)),
            Data::Raw(kind, bytes) => (kind, bytes),
        };
        // The name is the question's.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60]);
        answer.extend(u16::try_from(bytes.len()).ok()?.to_be_bytes());
        answer.extend(bytes);
    }
    if !over_tcp && answer.len() > 512 {
        // Cut, as RFC 1035 4.2.1 has it: the client comes again over TCP.
        answer.truncate(end + 4);
        answer[2] |= 2;
        answer[6..8].fill(0);
    }
    Some(answer)
}

fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut packet = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut packet)?;
    Ok(packet)
}

fn write_framed(stream: &mut TcpStream, packet: &[u8]) -> io::Result<()> {
    let len = u16::try_from(packet.len()).expect("a packet of the story's");
    stream.write_all(&[&len.to_be_bytes(), packet].concat())
}

/// An IPv4 address as a record.
#[must_use]
pub fn v4(text: &str) -> Data {
    Data::Address(text.parse::<Ipv4Addr>().expect("an IPv4 address").into())
}

/// An IPv6 address as a record.
#[must_use]
pub fn v6(text: &str) -> Data {
    Data::Address(text.parse::<Ipv6Addr>().expect("an IPv6 address").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_its_own_client_and_cuts_what_is_long() {
        let here = Place::of(std::process::id().cast_signed());
        let at: SocketAddr = ([127, 0, 0, 1], 5999).into();
        let server = Server::start(&here, at, |name, kind| match (name, kind) {
            ("one.test", kind::A) => Some(vec![v4("192.0.2.1")]),
            ("one.test", _) => Some(Vec::new()),
            ("long.test", _) => Some(vec![v6("2001:db8::1"); 40]),
            _ => None,
        });
        let reply = here.dns(at, "ONE.test", kind::A).expect("an answer");
        assert_eq!(
            reply.in_order(),
            ["192.0.2.1".parse::<IpAddr>().expect("one")]
        );
        assert_eq!(here.dns(at, "no.test", kind::A).expect("an answer").code, 3);
        let cut = here.dns(at, "long.test", kind::AAAA).expect("an answer");
        assert!(cut.is_cut && cut.answers.is_empty());
        let whole = here
            .dns_tcp(at, "long.test", kind::AAAA)
            .expect("an answer");
        assert_eq!(whole.answers.len(), 40);
        assert!(server.was_asked("one.test"));
    }

    #[test]
    fn addresses_are_looked_up_backwards() {
        let check = |address: &str, expect: &str| {
            assert_eq!(reverse(address.parse().expect("an address")), expect);
        };
        check("192.0.2.9", "9.2.0.192.in-addr.arpa");
        check(
            "2001:db8::1",
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        );
    }
}
