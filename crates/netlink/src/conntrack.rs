//! Connection tracking: what the kernel remembers of flows, and how to have it forget.
//!
//! A flow keeps its translation as long as packets come. One of UDP that began before a port was published, or led to a
//! container that is gone, would go on that way for ever. Numbers are from linux/netfilter/nfnetlink_conntrack.h.

use std::net::{IpAddr, SocketAddr};

use crate::batch::Batch;
use crate::error::Error;
use crate::message::{Attributes, Message, Writer};
use crate::socket::Socket;

/// `NFNL_SUBSYS_CTNETLINK`.
const SUBSYSTEM: u16 = 1;
const GET: u16 = 1;
const DELETE: u16 = 2;
/// `struct nfgenmsg`.
const HEADER: usize = 4;
/// `CTA_TUPLE_ORIG`.
const ORIGINAL: u16 = 1;
/// `CTA_TUPLE_REPLY`.
const REPLY: u16 = 2;
/// `CTA_ID`.
const ID: u16 = 12;
/// `AF_INET` and `AF_INET6`, which this subsystem takes as families.
const FAMILIES: [u8; 2] = [2, 10];

/// A flow as the kernel remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// The transport protocol's number.
    pub protocol: u8,
    /// Who began it.
    pub source: SocketAddr,
    /// Whom they called.
    pub destination: SocketAddr,
    /// Who answers: another than the destination where that was translated.
    pub answers: SocketAddr,
    /// To whom: another than the source where that was translated.
    pub answered: SocketAddr,
}

/// Forgets the flows that are to be forgotten, and says how many those were.
///
/// # Errors
/// As [`Socket::dump`] and [`Socket::batch`]; a flow that ended meanwhile is none.
pub fn forget(socket: &Socket, is_to_go: impl Fn(&Flow) -> bool) -> Result<usize, Error> {
    let mut count = 0;
    for family in FAMILIES {
        let mut batch = Batch::new();
        for message in socket.dump(request(GET, family))? {
            if read(&message).is_some_and(|flow| is_to_go(&flow)) {
                batch.push(deletion(&message, family));
            }
        }
        count += batch.len();
        match socket.batch(batch) {
            Err(error) if error.kind() == fault::Kind::NotFound => {}
            done => done?,
        }
    }
    Ok(count)
}

fn request(kind: u16, family: u8) -> Writer {
    let mut message = Writer::new(SUBSYSTEM << 8 | kind, 0);
    message.header(&[family, 0, 0, 0]);
    message
}

/// Names the flow by what the kernel told of it; the id keeps one that took its place meanwhile.
fn deletion(flow: &Message, family: u8) -> Writer {
    let mut message = request(DELETE, family);
    let attributes = flow.attributes(HEADER);
    for kind in [ORIGINAL, ID] {
        if let Some(attribute) = attributes.get(kind) {
            message.bytes_of(kind, attribute.value);
        }
    }
    message
}

fn read(message: &Message) -> Option<Flow> {
    let attributes = message.attributes(HEADER);
    let original = attributes.get(ORIGINAL)?.nested();
    let (source, destination) = ends(&original)?;
    let (answers, answered) = ends(&attributes.get(REPLY)?.nested())?;
    Some(Flow {
        protocol: original.get(2)?.nested().get(1)?.u8()?,
        source,
        destination,
        answers,
        answered,
    })
}

/// Source and destination of a tuple; `None` for protocols without ports.
fn ends(tuple: &Attributes<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let (ip, transport) = (tuple.get(1)?.nested(), tuple.get(2)?.nested());
    let address = |v4, v6| -> Option<IpAddr> { ip.get(v4).or_else(|| ip.get(v6))?.address() };
    Some((
        SocketAddr::new(address(1, 3)?, transport.get(2)?.be16()?),
        SocketAddr::new(address(2, 4)?, transport.get(3)?.be16()?),
    ))
}
