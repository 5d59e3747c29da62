//! What moving a network device needs of rtnetlink(7): one request, one answer or a list of them.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_EXCL: u16 = 0x200;

const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFF_UP: u32 = 1;

const IFA_LABEL: u16 = 3;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_F_PERMANENT: u32 = 0x80;
const RT_SCOPE_UNIVERSE: u8 = 0;

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct ifinfomsg`.
const LINK: usize = 16;
/// `struct ifaddrmsg`.
const ADDRESS: usize = 8;

/// An address as the kernel tells it: `struct ifaddrmsg` with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    fixed: [u8; ADDRESS],
    attributes: Vec<(u16, Vec<u8>)>,
}

/// A socket in one network namespace.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// In the namespace that we are in.
    pub(super) fn open() -> Result<Self, Errno> {
        // Without a protocol it is NETLINK_ROUTE, whose number is 0.
        let kind = (AddressFamily::NETLINK, SocketType::RAW);
        socket_with(kind.0, kind.1, SocketFlags::CLOEXEC, None).map(Self)
    }

    /// The index of a device. ENODEV: there is none of that name.
    pub(super) fn index(&self, name: &str) -> Result<i32, Errno> {
        let mut request = Request::new(RTM_GETLINK, 0, &[0; LINK]);
        request.attribute(IFLA_IFNAME, &zero_ended(name));
        let mut found = None;
        self.ask(request, |kind, body| {
            if kind == RTM_NEWLINK {
                found = link_index(body);
            }
        })?;
        found.ok_or(Errno::NODEV)
    }

    /// The indices of all devices.
    pub(super) fn indices(&self) -> Result<BTreeSet<i32>, Errno> {
        let mut all = BTreeSet::new();
        let request = Request::new(RTM_GETLINK, NLM_F_DUMP, &[0; LINK]);
        self.ask(request, |kind, body| {
            if kind == RTM_NEWLINK {
                all.extend(link_index(body));
            }
        })?;
        Ok(all)
    }

    /// The addresses of a device that do not time out and reach beyond it.
    pub(super) fn lasting_addresses(&self, index: i32) -> Result<Vec<Address>, Errno> {
        let mut all = Vec::new();
        let request = Request::new(RTM_GETADDR, NLM_F_DUMP, &[0; ADDRESS]);
        self.ask(request, |kind, body| {
            if kind == RTM_NEWADDR {
                all.extend(Address::parse(body).filter(|each| each.lasts_on(index)));
            }
        })?;
        Ok(all)
    }

    /// Brings a device up or down.
    pub(super) fn set_up(&self, index: i32, up: bool) -> Result<(), Errno> {
        let flags = if up { IFF_UP } else { 0 };
        self.order(Request::new(RTM_SETLINK, 0, &link(index, flags, IFF_UP)))
    }

    /// Moves a device to another namespace, under a name.
    pub(super) fn give_away(
        &self,
        index: i32,
        name: &str,
        namespace: &OwnedFd,
    ) -> Result<(), Errno> {
        let mut request = Request::new(RTM_SETLINK, 0, &link(index, 0, 0));
        request.attribute(IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
        request.attribute(IFLA_IFNAME, &zero_ended(name));
        self.order(request)
    }

    /// Gives a device an address.
    pub(super) fn add_address(&self, index: i32, address: &Address) -> Result<(), Errno> {
        let mut fixed = address.fixed;
        fixed[4..].copy_from_slice(&index.to_ne_bytes());
        let mut request = Request::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &fixed);
        for (kind, value) in &address.attributes {
            // The label has the old name in it, and what does not time out has no times.
            if !matches!(*kind, IFA_LABEL | IFA_CACHEINFO) {
                request.attribute(*kind, value);
            }
        }
        self.order(request)
    }

    fn order(&self, request: Request) -> Result<(), Errno> {
        self.ask(request, |_, _| {})
    }

    /// Sends a request and takes its answers, up to the kernel's word that it was the last.
    fn ask(&self, request: Request, mut answer: impl FnMut(u16, &[u8])) -> Result<(), Errno> {
        send(&self.0, &request.finish(), SendFlags::empty())?;
        let mut buffer = vec![0u8; 64 << 10];
        loop {
            let (_, len) =
                rustix::io::retry_on_intr(|| recv(&self.0, &mut buffer[..], RecvFlags::empty()))?;
            let mut rest = &buffer[..len];
            while let Some((kind, body, next)) = message(rest) {
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return acknowledged(body),
                    kind => answer(kind, body),
                }
                rest = next;
            }
        }
    }
}

impl Address {
    fn parse(body: &[u8]) -> Option<Self> {
        let (fixed, attributes) = body.split_first_chunk()?;
        Some(Self {
            fixed: *fixed,
            attributes: parse_attributes(attributes),
        })
    }

    fn lasts_on(&self, index: i32) -> bool {
        let [_, _, flags, scope, own_index @ ..] = self.fixed;
        // The attribute holds more flags than the byte.
        let flags = self
            .attributes
            .iter()
            .find(|(kind, _)| *kind == IFA_FLAGS)
            .and_then(|(_, value)| value.as_slice().try_into().ok())
            .map_or(u32::from(flags), u32::from_ne_bytes);
        i32::from_ne_bytes(own_index) == index
            && flags & IFA_F_PERMANENT != 0
            && scope == RT_SCOPE_UNIVERSE
    }
}

/// A message in the making.
#[derive(Debug)]
struct Request(Vec<u8>);

impl Request {
    fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        let flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        Self(bytes)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let len = u16::try_from(4 + value.len()).expect("names and addresses are short");
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).expect("a request is short");
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0
    }
}

/// The first message of several: its kind, its body, and what follows.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes([*bytes.get(4)?, *bytes.get(5)?]);
    let body = bytes.get(HEADER..len)?;
    Some((
        kind,
        body,
        bytes.get(len.next_multiple_of(4)..).unwrap_or_default(),
    ))
}

/// `struct nlmsgerr`: 0, or an errno with its sign turned.
fn acknowledged(body: &[u8]) -> Result<(), Errno> {
    match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw_os_error(-code)),
        None => Err(Errno::BADMSG),
    }
}

fn parse_attributes(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some([a, b, c, d]) = bytes.first_chunk() {
        let len = usize::from(u16::from_ne_bytes([*a, *b]));
        let kind = u16::from_ne_bytes([*c, *d]);
        let Some(value) = bytes.get(4..len) else {
            break;
        };
        all.push((kind, value.to_vec()));
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

fn link(index: i32, flags: u32, change: u32) -> [u8; LINK] {
    let mut bytes = [0; LINK];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..].copy_from_slice(&change.to_ne_bytes());
    bytes
}

fn link_index(body: &[u8]) -> Option<i32> {
    body.get(4..8)?.try_into().ok().map(i32::from_ne_bytes)
}

fn zero_ended(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_are_written() {
        let mut request = Request::new(RTM_NEWADDR, 0, &[2, 24, 0, 0, 7, 0, 0, 0]);
        request.attribute(1, &[10, 0, 0, 1]);
        request.attribute(IFA_FLAGS, &IFA_F_PERMANENT.to_ne_bytes());
        request.attribute(IFA_LABEL, b"x\0");
        let bytes = request.finish();
        let (kind, body, rest) = message(&bytes).expect("one message");
        assert_eq!((kind, rest.len()), (RTM_NEWADDR, 0));
        let address = Address::parse(body).expect("an address");
        assert_eq!(address.attributes[0], (1, vec![10, 0, 0, 1]));
        assert_eq!(address.attributes[2], (IFA_LABEL, b"x\0".to_vec()));
        assert!(address.lasts_on(7));
        assert!(!address.lasts_on(8));
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        assert!(message(&[20, 0, 0, 0, 2, 0, 0, 0]).is_none());
        assert!(parse_attributes(&[9, 0, 1, 0, 1]).is_empty());
        assert!(Address::parse(&[0; 7]).is_none());
        assert_eq!(acknowledged(&[]), Err(Errno::BADMSG));
    }

    #[test]
    fn the_loopback_is_found_by_its_name() {
        let socket = Socket::open().expect("a netlink socket");
        let index = socket.index("lo").expect("every namespace has one");
        assert!(socket.indices().expect("a list").contains(&index));
        assert_eq!(socket.index("nosuchdevice"), Err(Errno::NODEV));
        // 127.0.0.1 does not reach beyond it.
        assert_eq!(socket.lasting_addresses(index).expect("a list"), []);
    }
}
