//! The wire format, as much of it as a forwarder with a few names of its own needs. See RFC 1035, section 4; RFC 6891.
//!
//! A query is read strictly (one question, no compression, nothing beyond the packet), an answer is written with one kind
//! of pointer only (to the question's name). What others answer is compared with the question and not read further.

use std::net::IpAddr;

/// Length of a header.
const HEADER: usize = 12;
/// The longest name, its length bytes counted. RFC 1035, section 2.3.4.
const MAX_NAME: usize = 255;
const MAX_LABEL: usize = 63;
/// What a client takes by UDP when it does not say. RFC 1035, section 4.2.1.
const PLAIN_UDP: u16 = 512;
/// The size we tell that we take by UDP, in answers to those who told theirs.
const OUR_UDP: u16 = 1232;
/// How long an answer of ours holds, in seconds; as Docker's.
const TTL: u32 = 600;
/// A pointer to the question's name, which always begins behind the header.
const TO_QUESTION: [u8; 2] = [0xc0, HEADER as u8];

const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
const CD: u16 = 0x0010;
const RCODE: u16 = 0x000f;

/// Record types. RFC 1035, 3596, 2782, 6891.
pub(super) mod kind {
    pub(in crate::dns) const A: u16 = 1;
    pub(in crate::dns) const PTR: u16 = 12;
    pub(in crate::dns) const AAAA: u16 = 28;
    pub(in crate::dns) const SRV: u16 = 33;
    pub(in crate::dns) const OPT: u16 = 41;
    pub(in crate::dns) const ANY: u16 = 255;
}

/// The Internet's class, and any.
const CLASSES: [u16; 2] = [1, 255];

/// Why a query has no answer. RFC 1035, section 4.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rcode {
    FormatError = 1,
    ServerFailure = 2,
    NotImplemented = 4,
    Refused = 5,
}

/// A query that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// In lower case, without the last dot; none when it cannot be a name of ours (bytes that are no text, dots in a label,
    /// another class).
    pub(super) name: Option<String>,
    pub(super) kind: u16,
    /// What the client takes by UDP.
    pub(super) udp_size: u16,
    has_edns: bool,
    /// Where the question ends.
    end: usize,
}

/// What is to be done with a packet that is no query to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nothing: it is no query at all.
    Drop,
    /// It is told so.
    Reply(Vec<u8>),
}

impl Query {
    /// Reads a query.
    pub(super) fn parse(packet: &[u8]) -> Result<Self, Refused> {
        if packet.len() < HEADER || flags(packet) & QR != 0 {
            return Err(Refused::Drop);
        }
        if flags(packet) & OPCODE != 0 {
            return Err(Refused::Reply(bare(packet, Rcode::NotImplemented)));
        }
        Self::parse_rest(packet).ok_or_else(|| Refused::Reply(bare(packet, Rcode::FormatError)))
    }

    fn parse_rest(packet: &[u8]) -> Option<Self> {
        if count(packet, 0) != 1 || count(packet, 1) != 0 {
            return None;
        }
        let (labels, at) = read_labels(packet, HEADER)?;
        let (kind, class) = (u16_at(packet, at)?, u16_at(packet, at + 2)?);
        let end = at + 4;
        let edns = read_edns(packet, end)?;
        let name = labels
            .iter()
            .map(|label| std::str::from_utf8(label).ok().filter(|l| !l.contains('.')))
            .collect::<Option<Vec<&str>>>()
            .filter(|_| CLASSES.contains(&class))
            .map(|labels| labels.join(".").to_lowercase());
        Some(Self {
            name,
            kind,
            udp_size: edns.unwrap_or(PLAIN_UDP).max(PLAIN_UDP),
            has_edns: edns.is_some(),
            end,
        })
    }
}

// --- Reading ---

fn u16_at(packet: &[u8], at: usize) -> Option<u16> {
    let bytes = packet.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn flags(packet: &[u8]) -> u16 {
    u16_at(packet, 2).unwrap_or(0)
}

/// How many entries a section has: 0 questions, 1 answers, 2 authorities, 3 additional.
fn count(packet: &[u8], section: usize) -> u16 {
    u16_at(packet, 4 + 2 * section).unwrap_or(0)
}

/// The labels of a name without pointers, and where it ends.
fn read_labels(packet: &[u8], start: usize) -> Option<(Vec<&[u8]>, usize)> {
    let mut labels = Vec::new();
    let mut at = start;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels, at));
        }
        if length > MAX_LABEL || at + length + 1 - start > MAX_NAME {
            return None;
        }
        labels.push(packet.get(at..at + length)?);
        at += length;
    }
}

/// Behind a name that may end in a pointer; where the pointer leads is nobody's business here.
fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *packet.get(at)?;
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + usize::from(length),
            192..=255 => return packet.get(at + 1).map(|_| at + 2),
            64..=191 => return None,
        }
    }
}

/// The size in the OPT record, if there is one; outer `None` when a record does not fit the packet.
fn read_edns(packet: &[u8], mut at: usize) -> Option<Option<u16>> {
    let (authorities, additional) = (count(packet, 2), count(packet, 3));
    let mut found = None;
    for index in 0..u32::from(authorities) + u32::from(additional) {
        at = skip_name(packet, at)?;
        let (kind, size) = (u16_at(packet, at)?, u16_at(packet, at + 2)?);
        let length = usize::from(u16_at(packet, at + 8)?);
        at += 10 + length;
        if at > packet.len() {
            return None;
        }
        if kind == kind::OPT && index >= u32::from(authorities) {
            found = Some(size);
        }
    }
    Some(found)
}

// --- Writing ---

/// What an answer of ours says about the name that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Address(IpAddr),
    Pointer(String),
    /// A target with its port, and its addresses for the additional section.
    Service {
        port: u16,
        target: String,
        addresses: Vec<IpAddr>,
    },
}

/// An answer of ours: the records that fit, and a mark when some do not. No records: there is such a name, but nothing of
/// that type.
pub(super) fn answer(packet: &[u8], query: &Query, records: &[Record], limit: usize) -> Vec<u8> {
    let edns_bytes = if query.has_edns { 11 } else { 0 };
    let limit = limit.saturating_sub(edns_bytes);
    let mut reply = head(packet, query, 0);
    let (mut answers, mut truncated) = (0u16, false);
    for record in records {
        let before = reply.len();
        let written = write_record(&mut reply, record);
        if reply.len() > limit {
            reply.truncate(before);
            truncated = true;
            break;
        }
        answers += u16::from(written);
    }
    let mut additional = 0u16;
    if !truncated {
        // Left out rather than marked when they do not fit: the client can ask for them.
        for (target, address) in additional_addresses(records) {
            let before = reply.len();
            let named = write_name(&mut reply, target);
            if named {
                write_address(&mut reply, address);
            }
            if !named || reply.len() > limit {
                reply.truncate(before);
                break;
            }
            additional += 1;
        }
    }
    if query.has_edns {
        write_edns(&mut reply);
        additional += 1;
    }
    set(&mut reply, 6, answers);
    set(&mut reply, 10, additional);
    if truncated {
        let marked = flags(&reply) | TC;
        set(&mut reply, 2, marked);
    }
    reply
}

/// A refusal of a query that was understood.
pub(super) fn refusal(packet: &[u8], query: &Query, rcode: Rcode) -> Vec<u8> {
    let mut reply = head(packet, query, rcode as u16);
    if query.has_edns {
        write_edns(&mut reply);
        set(&mut reply, 10, 1);
    }
    reply
}

/// The same answer for a client that takes less: the question alone, marked as truncated.
pub(super) fn shortened(query_packet: &[u8], query: &Query, reply: &[u8]) -> Vec<u8> {
    let mut short = head(query_packet, query, flags(reply) & RCODE);
    let marked = flags(&short) | TC;
    set(&mut short, 2, marked);
    short
}

/// A header alone, for what could not be read.
fn bare(packet: &[u8], rcode: Rcode) -> Vec<u8> {
    let mut reply = vec![0; HEADER];
    reply[..2].copy_from_slice(&packet[..2]);
    let kept = flags(packet) & (OPCODE | RD);
    set(&mut reply, 2, QR | kept | RA | rcode as u16);
    reply
}

/// Header and question.
fn head(packet: &[u8], query: &Query, rcode: u16) -> Vec<u8> {
    let mut reply = packet[..query.end].to_vec();
    let kept = flags(packet) & (RD | CD);
    set(&mut reply, 2, QR | kept | RA | rcode);
    for section in 1..4 {
        set(&mut reply, 4 + 2 * section, 0);
    }
    reply
}

fn set(packet: &mut [u8], at: usize, value: u16) {
    packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Writes a record about the question's name; a target that is no valid name is left out.
fn write_record(reply: &mut Vec<u8>, record: &Record) -> bool {
    let before = reply.len();
    reply.extend_from_slice(&TO_QUESTION);
    let written = match record {
        Record::Address(address) => {
            write_address(reply, *address);
            true
        }
        Record::Pointer(name) => write_data(reply, kind::PTR, |data| write_name(data, name)),
        Record::Service { port, target, .. } => write_data(reply, kind::SRV, |data| {
            data.extend_from_slice(&[0, 0, 0, 0]); // priority, weight: all alike
            data.extend_from_slice(&port.to_be_bytes());
            write_name(data, target)
        }),
    };
    if !written {
        reply.truncate(before);
    }
    written
}

fn write_address(reply: &mut Vec<u8>, address: IpAddr) {
    let kind = if address.is_ipv4() {
        kind::A
    } else {
        kind::AAAA
    };
    write_data(reply, kind, |data| {
        match address {
            IpAddr::V4(address) => data.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => data.extend_from_slice(&address.octets()),
        }
        true
    });
}

/// Type, class, TTL, length and what `write` writes.
fn write_data(reply: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
    reply.extend_from_slice(&kind.to_be_bytes());
    reply.extend_from_slice(&CLASSES[0].to_be_bytes());
    reply.extend_from_slice(&TTL.to_be_bytes());
    let at = reply.len();
    reply.extend_from_slice(&[0, 0]);
    let written = write(reply);
    let length = u16::try_from(reply.len() - at - 2).expect("a name or an address is short");
    set(reply, at, length);
    written
}

/// Writes a name without pointers; answers whether it is one.
fn write_name(out: &mut Vec<u8>, name: &str) -> bool {
    let start = out.len();
    for label in name.split('.') {
        match u8::try_from(label.len()) {
            Ok(length @ 1..=63) => out.push(length),
            _ => return false,
        }
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.len() - start <= MAX_NAME
}

fn write_edns(reply: &mut Vec<u8>) {
    reply.push(0);
    reply.extend_from_slice(&kind::OPT.to_be_bytes());
    reply.extend_from_slice(&OUR_UDP.to_be_bytes());
    reply.extend_from_slice(&[0; 6]); // no extended code, version 0, no options
}

fn additional_addresses(records: &[Record]) -> impl Iterator<Item = (&str, IpAddr)> {
    records.iter().flat_map(|record| match record {
        Record::Service {
            target, addresses, ..
        } => addresses.iter().map(|a| (target.as_str(), *a)).collect(),
        _ => Vec::new(),
    })
}

// --- What others answer ---

/// The same packet with another id.
pub(super) fn with_id(packet: &[u8], id: u16) -> Vec<u8> {
    let mut packet = packet.to_vec();
    set(&mut packet, 0, id);
    packet
}

/// The id of a packet that has a header.
pub(super) fn id(packet: &[u8]) -> u16 {
    u16_at(packet, 0).unwrap_or(0)
}

/// Whether a packet answers the question that was sent: id, direction, and the question itself. (Some servers leave it out
/// of a refusal.)
pub(super) fn is_answer_to(sent: &[u8], query: &Query, reply: &[u8]) -> bool {
    if reply.len() < HEADER || id(reply) != id(sent) || flags(reply) & QR == 0 {
        return false;
    }
    if count(reply, 0) == 0 {
        return flags(reply) & RCODE != 0 && count(reply, 1) == 0;
    }
    let (Some(asked), Some(answered)) = (sent.get(HEADER..query.end), reply.get(HEADER..query.end))
    else {
        return false;
    };
    // Type and class are the last four bytes; a length byte is below all letters.
    let (name, tail) = asked.split_at(asked.len() - 4);
    count(reply, 0) == 1
        && answered[..name.len()].eq_ignore_ascii_case(name)
        && answered[name.len()..] == *tail
}

/// Whether another server may know better: this one failed, refused or does not know how.
pub(super) fn is_failure(reply: &[u8]) -> bool {
    let rcode = flags(reply) & RCODE;
    [Rcode::ServerFailure, Rcode::NotImplemented, Rcode::Refused]
        .iter()
        .any(|failure| rcode == *failure as u16)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A query for a name of text labels.
    pub(in crate::dns) fn query(name: &str, kind: u16, edns: Option<u16>) -> Vec<u8> {
        let mut packet = vec![
            0xab,
            0xcd,
            1,
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            u8::from(edns.is_some()),
        ];
        assert!(write_name(&mut packet, name), "{name} is a name");
        packet.extend_from_slice(&kind.to_be_bytes());
        packet.extend_from_slice(&[0, 1]);
        if let Some(size) = edns {
            packet.push(0);
            packet.extend_from_slice(&kind::OPT.to_be_bytes());
            packet.extend_from_slice(&size.to_be_bytes());
            packet.extend_from_slice(&[0; 6]);
        }
        packet
    }

    /// The addresses in an answer of ours, its flags and its counts.
    pub(in crate::dns) fn addresses(reply: &[u8]) -> Vec<IpAddr> {
        let (_, mut at) = read_labels(reply, HEADER).expect("a question");
        at += 4;
        let mut found = Vec::new();
        for _ in 0..count(reply, 1) {
            at = skip_name(reply, at).expect("a name");
            let length = usize::from(u16_at(reply, at + 8).expect("a record"));
            let data = reply.get(at + 10..at + 10 + length).expect("whole");
            match length {
                4 => found.push(IpAddr::from(<[u8; 4]>::try_from(data).expect("four"))),
                16 => found.push(IpAddr::from(<[u8; 16]>::try_from(data).expect("16"))),
                _ => {}
            }
            at += 10 + length;
        }
        found
    }

    pub(in crate::dns) fn rcode(reply: &[u8]) -> u16 {
        flags(reply) & RCODE
    }

    pub(in crate::dns) fn is_truncated(reply: &[u8]) -> bool {
        flags(reply) & TC != 0
    }

    fn ips(count: u8) -> Vec<Record> {
        (0..count)
            .map(|n| Record::Address(IpAddr::from([10, 0, 0, n])))
            .collect()
    }

    #[test]
    fn a_query_is_read() {
        let read = Query::parse(&query("Web.Front", kind::AAAA, Some(4096))).expect("a query");
        assert_eq!(read.name.as_deref(), Some("web.front"));
        assert_eq!(
            (read.kind, read.udp_size, read.has_edns),
            (kind::AAAA, 4096, true)
        );
        let read = Query::parse(&query("web", kind::A, None)).expect("a query");
        assert_eq!((read.udp_size, read.has_edns), (512, false));
        let small = Query::parse(&query("web", kind::A, Some(0))).expect("a query");
        assert_eq!(small.udp_size, 512);
    }

    #[test]
    fn no_prefix_of_a_query_and_no_flipped_byte_is_taken_for_more_than_it_is() {
        let whole = query("a.rather.long.name.example", kind::A, Some(1232));
        for end in 0..whole.len() {
            assert!(Query::parse(&whole[..end]).is_err(), "{end} bytes");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 63, 64, 0x7f, 0x80, 0xc0, 0xff] {
                let mut bad = whole.clone();
                bad[at] = value;
                // Whatever it says, what we would answer is within bounds.
                if let Ok(read) = Query::parse(&bad) {
                    let reply = answer(&bad, &read, &ips(3), 512);
                    assert!(reply.len() <= 512);
                }
            }
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let check = |name: &[u8], expect: bool| {
            let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            packet.extend_from_slice(name);
            packet.extend_from_slice(&[0, 1, 0, 1]);
            let got = Query::parse(&packet);
            assert_eq!(got.is_ok(), expect, "{name:?}");
            if let Err(Refused::Reply(reply)) = got {
                assert_eq!((reply.len(), rcode(&reply)), (12, 1));
            }
        };
        check(&[0xc0, 12], false); // a pointer to itself
        check(&[1, b'a', 0xc0, 12], false); // and a loop
        check(&[0x40, 1, 0], false); // an unknown kind of label
        let label = [&[63][..], &[b'x'; 63]].concat();
        check(
            &[label.repeat(3), vec![61], vec![b'x'; 61], vec![0]].concat(),
            true,
        ); // 255 bytes
        check(
            &[label.repeat(3), vec![62], vec![b'x'; 62], vec![0]].concat(),
            false,
        );
        check(&[1; 2000], false);
        check(&[0], true); // the root
    }

    #[test]
    fn what_cannot_be_a_name_of_ours_is_still_a_query() {
        for label in [&b"a.b"[..], b"\xff\xfe"] {
            let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            packet.push(label.len() as u8);
            packet.extend_from_slice(label);
            packet.extend_from_slice(&[0, 0, 1, 0, 1]);
            assert_eq!(Query::parse(&packet).expect("a query").name, None);
        }
        let mut chaos = query("version", 16, None);
        let end = chaos.len();
        chaos[end - 1] = 3;
        assert_eq!(Query::parse(&chaos).expect("a query").name, None);
    }

    #[test]
    fn other_packets_than_queries_get_no_answer_or_a_refusal() {
        let mut response = query("web", kind::A, None);
        response[2] |= 0x80;
        assert_eq!(Query::parse(&response), Err(Refused::Drop));
        assert_eq!(Query::parse(&[0; 11]), Err(Refused::Drop));
        let mut update = query("web", kind::A, None);
        update[2] |= 5 << 3;
        let Err(Refused::Reply(reply)) = Query::parse(&update) else {
            panic!("an update is refused");
        };
        assert_eq!((rcode(&reply), id(&reply)), (4, 0xabcd));
        let mut two = query("web", kind::A, None);
        two[5] = 2;
        assert!(matches!(Query::parse(&two), Err(Refused::Reply(_))));
    }

    #[test]
    fn an_answer_keeps_the_question_as_it_was_written() {
        let packet = query("WeB", kind::A, None);
        let read = Query::parse(&packet).expect("a query");
        let reply = answer(&packet, &read, &ips(2), 512);
        assert_eq!(reply[12..read.end], packet[12..]);
        assert_eq!(flags(&reply), QR | RD | RA);
        assert_eq!(
            addresses(&reply),
            [IpAddr::from([10, 0, 0, 0]), IpAddr::from([10, 0, 0, 1])]
        );
        let none = answer(&packet, &read, &[], 512);
        assert_eq!((rcode(&none), count(&none, 1)), (0, 0));
    }

    #[test]
    fn what_does_not_fit_is_marked() {
        for (edns, fits) in [(None, 30), (Some(1232), 75)] {
            let packet = query("web", kind::A, edns);
            let read = Query::parse(&packet).expect("a query");
            let limit = usize::from(read.udp_size);
            let all = answer(&packet, &read, &ips(fits), limit);
            assert!(!is_truncated(&all) && addresses(&all).len() == usize::from(fits));
            let cut = answer(&packet, &read, &ips(fits + 1), limit);
            assert!(is_truncated(&cut) && addresses(&cut).len() == usize::from(fits));
            assert!(cut.len() <= limit);
            assert_eq!(count(&cut, 3), u16::from(edns.is_some()));
        }
    }

    #[test]
    fn services_bring_their_addresses_along() {
        let packet = query("_http._tcp.web", kind::SRV, None);
        let read = Query::parse(&packet).expect("a query");
        let record = Record::Service {
            port: 8080,
            target: "web1.front".to_owned(),
            addresses: vec![IpAddr::from([10, 0, 0, 2])],
        };
        let reply = answer(&packet, &read, &[record], 512);
        assert_eq!((count(&reply, 1), count(&reply, 3)), (1, 1));
        let data = [
            &[0, 0, 0, 0, 0x1f, 0x90, 4][..],
            b"web1",
            &[5],
            b"front",
            &[0],
        ]
        .concat();
        assert!(reply.windows(data.len()).any(|window| window == data));
        // A target that no name can express is left out.
        let record = Record::Pointer("x".repeat(64));
        assert_eq!(count(&answer(&packet, &read, &[record], 512), 1), 0);
    }

    #[test]
    fn only_the_answer_to_a_question_counts_as_one() {
        let sent = query("web.example", kind::A, None);
        let read = Query::parse(&sent).expect("a query");
        let mut good = answer(&sent, &read, &ips(1), 512);
        assert!(is_answer_to(&sent, &read, &good));
        good[13] = b'W'; // some servers write it in their own case
        assert!(is_answer_to(&sent, &read, &good));
        let check = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(!is_answer_to(&sent, &read, &bad));
        };
        check(&|bad| bad[0] ^= 1); // another id
        check(&|bad| bad[2] &= 0x7f); // a query
        check(&|bad| bad[14] = b'x'); // another name
        check(&|bad| bad[read.end - 3] = 28); // another type
        check(&|bad| bad.truncate(20));
        check(&|bad| bad.truncate(11));
        check(&|bad| bad[5] = 0); // no question, no error
        let mut refused = bare(&sent, Rcode::Refused);
        assert!(is_answer_to(&sent, &read, &refused) && is_failure(&refused));
        refused[1] ^= 1;
        assert!(!is_answer_to(&sent, &read, &refused));
    }

    #[test]
    fn random_bytes_are_read_without_harm() {
        let seeds = [
            query("web.front", kind::A, Some(4096)),
            query("2.0.0.10.in-addr.arpa", kind::PTR, None),
            vec![0xc0; 64],
        ];
        let mut dice = 0x9e37_79b9_7f4a_7c15u64;
        let mut roll = move |end: usize| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice as usize % end
        };
        let sent = query("web", kind::A, None);
        let asked = Query::parse(&sent).expect("a query");
        for round in 0..50_000 {
            let mut packet = seeds[round % seeds.len()].clone();
            for _ in 0..=roll(6) {
                let at = roll(packet.len());
                packet[at] = roll(256) as u8;
            }
            packet.truncate(roll(packet.len() + 1));
            let _ = is_answer_to(&sent, &asked, &packet) && is_failure(&packet);
            if let Ok(read) = Query::parse(&packet) {
                assert!(read.end <= packet.len() && read.udp_size >= PLAIN_UDP);
                assert!(answer(&packet, &read, &ips(40), 512).len() <= 512);
                assert!(refusal(&packet, &read, Rcode::Refused).len() <= 512);
            }
        }
    }
}
