//! Netlink messages: headers and attributes, written and read with bounds.
//!
//! ```text
//! message    = length u32, kind u16, flags u16, sequence u32, port u32, body
//! body       = a header of fixed size that depends on the kind, then attributes
//! attribute  = length u16, kind u16, value, padding to 4 bytes
//! ```
//! Numbers are in the machine's byte order unless an attribute says otherwise. What is read may be hostile (a process in
//! a container's namespace can send to a socket there): readers stop at the first length that does not fit.

/// Bytes of a message's own header.
pub const HEADER: usize = 16;

const ATTRIBUTE_HEADER: usize = 4;
/// `NLA_F_NESTED`: the value is itself a list of attributes.
const NESTED: u16 = 0x8000;
/// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` are no part of an attribute's kind.
const KIND_MASK: u16 = 0x3fff;

/// Flags of a message's header. See netlink(7).
pub mod flags {
    /// `NLM_F_REQUEST`: to the kernel. Every [`Writer`](super::Writer) sets it.
    pub const REQUEST: u16 = 0x1;
    /// `NLM_F_MULTI`: one of several, ended by a message of kind "done".
    pub const MULTI: u16 = 0x2;
    /// `NLM_F_ACK`: answer even when all is well. Set by [`Socket`](crate::socket::Socket) where it wants one.
    pub const ACK: u16 = 0x4;
    /// `NLM_F_ECHO`: tell what the change made.
    pub const ECHO: u16 = 0x8;
    /// `NLM_F_DUMP_INTR`: the table changed while it was read.
    pub const DUMP_INTERRUPTED: u16 = 0x10;
    /// `NLM_F_DUMP`: the whole table. Set by [`Socket::dump`](crate::socket::Socket::dump).
    pub const DUMP: u16 = 0x300;
    /// `NLM_F_REPLACE`: put it in the place of what is there.
    pub const REPLACE: u16 = 0x100;
    /// `NLM_F_EXCL`: fail when it is there.
    pub const EXCLUSIVE: u16 = 0x200;
    /// `NLM_F_CREATE`: make it when it is not there.
    pub const CREATE: u16 = 0x400;
    /// `NLM_F_APPEND`: put it at the end.
    pub const APPEND: u16 = 0x800;
    /// `NLM_F_NONREC`: delete only when nothing hangs on it.
    pub const NON_RECURSIVE: u16 = 0x100;
}

/// The next multiple of 4.
const fn align(length: usize) -> usize {
    (length + 3) & !3
}

// --- Writer ---

/// One message in the making: kind and flags first, then the fixed header of its family, then attributes.
///
/// ```
/// let mut message = netlink::message::Writer::new(16, 0);
/// message.header(&[0; 16]).text(3, "eth0").nest(18, |info| {
///     info.text(1, "veth");
/// });
/// assert_eq!(message.bytes().len(), 16 + 16 + 12 + 16);
/// ```
#[derive(Debug, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Writer {
    /// A request of this kind. Length, sequence number and `REQUEST` are filled in by us.
    #[must_use]
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | flags::REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        Self {
            bytes,
            is_too_long: false,
        }
    }

    /// The family's header of fixed size (`ifinfomsg`, `nfgenmsg`, …), padded to 4 bytes.
    pub fn header(&mut self, header: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(header);
        self.pad()
    }

    /// An attribute with these bytes.
    pub fn bytes_of(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start)
    }

    /// An attribute without a value, which says something by being there.
    pub fn flag(&mut self, kind: u16) -> &mut Self {
        self.bytes_of(kind, &[])
    }

    /// A byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes_of(kind, &[value])
    }

    /// Two bytes in the machine's order.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes_of(kind, &value.to_ne_bytes())
    }

    /// Four bytes in the machine's order.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes_of(kind, &value.to_ne_bytes())
    }

    /// Two bytes in network order.
    pub fn be16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes_of(kind, &value.to_be_bytes())
    }

    /// Four bytes in network order, as nf_tables has all its numbers.
    pub fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes_of(kind, &value.to_be_bytes())
    }

    /// Eight bytes in network order.
    pub fn be64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes_of(kind, &value.to_be_bytes())
    }

    /// A text with its NUL.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start)
    }

    /// An IPv4 or IPv6 address, 4 or 16 bytes.
    pub fn address(&mut self, kind: u16, value: std::net::IpAddr) -> &mut Self {
        match value {
            std::net::IpAddr::V4(v4) => self.bytes_of(kind, &v4.octets()),
            std::net::IpAddr::V6(v6) => self.bytes_of(kind, &v6.octets()),
        }
    }

    /// An attribute that holds attributes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.open(kind | NESTED);
        fill(self);
        self.close(start)
    }

    /// How long the message is so far, in bytes: the value of one attribute cannot pass 65,531.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The message with its length filled in.
    #[must_use]
    pub fn bytes(&mut self) -> &[u8] {
        let length = u32::try_from(self.bytes.len()).expect("a message is built in memory");
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        &self.bytes
    }

    /// Whether some attribute did not fit into its 16 bits of length; such a message is never sent.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        self.is_too_long
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) -> &mut Self {
        match u16::try_from(self.bytes.len() - start) {
            Ok(length) => self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes()),
            Err(_) => self.is_too_long = true,
        }
        self.pad()
    }

    fn pad(&mut self) -> &mut Self {
        self.bytes.resize(align(self.bytes.len()), 0);
        self
    }
}

// --- Message ---

/// A message as it came from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is: a number of the family (`RTM_NEWLINK`, `NFNL_SUBSYS_NFTABLES << 8 | …`).
    pub kind: u16,
    /// See [`flags`].
    pub flags: u16,
    /// The number of the request that it answers; 0 when it answers none.
    pub sequence: u32,
    /// Whose request it tells of: the [`port`](crate::socket::Socket::port) of a socket, or 0 for the kernel itself.
    pub port: u32,
    /// The family's header and the attributes.
    pub body: Vec<u8>,
}

impl Message {
    /// The first `N` bytes of the family's header; `None` when the body is shorter.
    #[must_use]
    pub fn header<const N: usize>(&self) -> Option<&[u8; N]> {
        self.body.first_chunk()
    }

    /// The attributes after a family header of so many bytes.
    #[must_use]
    pub fn attributes(&self, header: usize) -> Attributes<'_> {
        Attributes::new(self.body.get(align(header)..).unwrap_or_default())
    }
}

/// The messages in one datagram. Ends at the first that does not fit into it.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Reads a datagram.
    #[must_use]
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

/// A message inside a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View<'a> {
    /// As [`Message::kind`].
    pub kind: u16,
    /// As [`Message::flags`].
    pub flags: u16,
    /// As [`Message::sequence`].
    pub sequence: u32,
    /// As [`Message::port`].
    pub port: u32,
    /// As [`Message::body`].
    pub body: &'a [u8],
}

impl<'a> View<'a> {
    /// As [`Message::attributes`].
    #[must_use]
    pub fn attributes(&self, header: usize) -> Attributes<'a> {
        Attributes::new(self.body.get(align(header)..).unwrap_or_default())
    }

    /// A copy that outlives the datagram.
    #[must_use]
    pub fn to_message(self) -> Message {
        Message {
            kind: self.kind,
            flags: self.flags,
            sequence: self.sequence,
            port: self.port,
            body: self.body.to_vec(),
        }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<View<'a>> {
        let header: &[u8; HEADER] = self.rest.first_chunk()?;
        let length = u32_at(header, 0) as usize;
        let body = self.rest.get(HEADER..length)?;
        let view = View {
            kind: u16_at(header, 4),
            flags: u16_at(header, 6),
            sequence: u32_at(header, 8),
            port: u32_at(header, 12),
            body,
        };
        self.rest = self.rest.get(align(length)..).unwrap_or_default();
        Some(view)
    }
}

fn u16_at(bytes: &[u8; HEADER], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8; HEADER], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

// --- Attributes ---

/// The attributes in a body or in another attribute. Ends at the first that does not fit.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads a list of attributes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The first of this kind.
    #[must_use]
    pub fn get(&self, kind: u16) -> Option<Attribute<'a>> {
        self.clone().find(|attribute| attribute.kind == kind)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let header: &[u8; ATTRIBUTE_HEADER] = self.rest.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = self.rest.get(ATTRIBUTE_HEADER..length)?;
        self.rest = self.rest.get(align(length)..).unwrap_or_default();
        Some(Attribute {
            kind: u16::from_ne_bytes([header[2], header[3]]) & KIND_MASK,
            value,
        })
    }
}

/// One attribute. Its readers say `None` when the value is not of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its number, without the flag bits.
    pub kind: u16,
    /// Its bytes, without padding.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// A byte.
    #[must_use]
    pub fn u8(&self) -> Option<u8> {
        <[u8; 1]>::try_from(self.value).ok().map(|[byte]| byte)
    }

    /// Two bytes in the machine's order.
    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        self.value.try_into().ok().map(u16::from_ne_bytes)
    }

    /// Four bytes in the machine's order.
    #[must_use]
    pub fn u32(&self) -> Option<u32> {
        self.value.try_into().ok().map(u32::from_ne_bytes)
    }

    /// Two bytes in network order.
    #[must_use]
    pub fn be16(&self) -> Option<u16> {
        self.value.try_into().ok().map(u16::from_be_bytes)
    }

    /// Four bytes in network order.
    #[must_use]
    pub fn be32(&self) -> Option<u32> {
        self.value.try_into().ok().map(u32::from_be_bytes)
    }

    /// Eight bytes in network order.
    #[must_use]
    pub fn be64(&self) -> Option<u64> {
        self.value.try_into().ok().map(u64::from_be_bytes)
    }

    /// A text up to its NUL; `None` when it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        let end = self.value.iter().position(|byte| *byte == 0);
        std::str::from_utf8(&self.value[..end.unwrap_or(self.value.len())]).ok()
    }

    /// An IPv4 or IPv6 address, by the length.
    #[must_use]
    pub fn address(&self) -> Option<std::net::IpAddr> {
        if let Ok(v4) = <[u8; 4]>::try_from(self.value) {
            return Some(v4.into());
        }
        <[u8; 16]>::try_from(self.value).ok().map(Into::into)
    }

    /// The attributes inside.
    #[must_use]
    pub fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let mut writer = Writer::new(16, flags::CREATE);
        writer
            .header(&[7; 16])
            .text(3, "eth0")
            .u8(4, 9)
            .nest(18, |info| {
                info.be32(1, 0x0102_0304).address(2, [10, 0, 0, 1].into());
            });
        writer.bytes().to_vec()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let bytes = written();
        let views: Vec<View> = Messages::new(&bytes).collect();
        assert_eq!(views.len(), 1);
        let message = views[0].to_message();
        assert_eq!(message.kind, 16);
        assert_eq!(message.flags, flags::CREATE | flags::REQUEST);
        assert_eq!(message.header::<16>(), Some(&[7; 16]));
        let attributes = message.attributes(16);
        assert_eq!(attributes.get(3).and_then(|a| a.text()), Some("eth0"));
        assert_eq!(attributes.get(4).and_then(|a| a.u8()), Some(9));
        assert_eq!(
            attributes.get(4).and_then(|a| a.u32()),
            None,
            "another size"
        );
        let nested = attributes.get(18).expect("the nest").nested();
        assert_eq!(nested.get(1).expect("number").value, [1, 2, 3, 4]);
        assert_eq!(
            nested.get(2).and_then(|a| a.address()),
            Some([10, 0, 0, 1].into())
        );
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn two_messages_in_a_datagram_are_two() {
        let bytes = [written(), written()].concat();
        assert_eq!(Messages::new(&bytes).count(), 2);
    }

    #[test]
    fn lies_about_lengths_end_the_reading() {
        let good = written();
        for cut in 0..good.len() {
            assert_eq!(Messages::new(&good[..cut]).count(), 0, "cut at {cut}");
        }
        // Every length field, at every value that fits its first byte: no panic, no endless loop.
        for at in [0usize, 32, 44, 52, 56] {
            for lie in 0..=255 {
                let mut bytes = good.clone();
                bytes[at] = lie;
                for view in Messages::new(&bytes).take(100) {
                    for attribute in view.to_message().attributes(16).take(100) {
                        let _ = attribute.nested().take(100).count();
                    }
                }
            }
        }
        assert_eq!(
            Attributes::new(&[3, 0, 1, 0]).count(),
            0,
            "below its header"
        );
        assert_eq!(Attributes::new(&[0; 4]).count(), 0, "no length at all");
    }

    #[test]
    fn an_attribute_beyond_16_bits_is_noticed() {
        let mut writer = Writer::new(1, 0);
        writer.nest(1, |inner| {
            inner.bytes_of(2, &[0; 40_000]).bytes_of(2, &[0; 40_000]);
        });
        assert!(writer.is_too_long());
        assert!(!Writer::new(1, 0).bytes_of(2, &[0; 65_531]).is_too_long());
    }
}
