//! Links: made, changed, removed, listed.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::{INET, INET6};
use crate::error::Error;
use crate::message::{Message, Writer, flags};
use crate::socket::Socket;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;

/// `struct ifinfomsg`.
const HEADER: usize = 16;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;

const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_DATA: u16 = 5;

const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BRPORT_STATE: u16 = 1;
const VETH_INFO_PEER: u16 = 1;
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_FLAGS: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;

const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_EUI64: u8 = 0;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;

/// `RTEXT_FILTER_SKIP_STATS`: the counters are most of a link's message, and nobody here reads them.
const SKIP_STATS: u32 = 8;

const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;

/// A link as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its driver ("bridge", "veth", …); empty for hardware and `lo`.
    pub kind: String,
    /// The `IFF_*` flags.
    pub flags: u32,
    /// In bytes.
    pub mtu: u32,
    /// Its hardware address, when it has one of 6 bytes.
    pub mac: Option<[u8; 6]>,
    /// The bridge (or other link) whose port it is.
    pub master: Option<u32>,
    /// The other end of a veth, the parent of a macvlan; a number in that link's namespace.
    pub peer: Option<u32>,
    /// The description that somebody gave it.
    pub alias: String,
    /// `IF_OPER_*`: 6 is up, 2 is down, 0 is unknown.
    pub operational: u8,
    /// `BR_STATE_*` of a bridge's port: 3 forwards, 0 is disabled.
    pub port_state: Option<u8>,
}

impl Link {
    /// Whether it has been set up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// Whether it is a loopback link.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.flags & IFF_LOOPBACK != 0
    }

    fn read(message: &Message) -> Option<Self> {
        let header: &[u8; HEADER] = message.header()?;
        let attributes = message.attributes(HEADER);
        let number = |kind| attributes.get(kind).and_then(|a| a.u32());
        let info = attributes.get(IFLA_LINKINFO);
        let text = |kind| attributes.get(kind).and_then(|a| a.text());
        Some(Self {
            index: u32::from_ne_bytes([header[4], header[5], header[6], header[7]]),
            flags: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            name: text(IFLA_IFNAME)?.to_owned(),
            kind: info
                .and_then(|info| info.nested().get(IFLA_INFO_KIND)?.text())
                .unwrap_or_default()
                .to_owned(),
            mtu: number(IFLA_MTU).unwrap_or_default(),
            mac: attributes
                .get(IFLA_ADDRESS)
                .and_then(|address| address.value.try_into().ok()),
            master: number(IFLA_MASTER),
            peer: number(IFLA_LINK),
            alias: text(IFLA_IFALIAS).unwrap_or_default().to_owned(),
            operational: attributes
                .get(IFLA_OPERSTATE)
                .and_then(|state| state.u8())
                .unwrap_or_default(),
            port_state: info.and_then(|info| {
                let port = info.nested().get(IFLA_INFO_SLAVE_DATA)?;
                port.nested().get(IFLA_BRPORT_STATE)?.u8()
            }),
        })
    }
}

/// A link to be made.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// Its hardware address; random when `None`, but for an ipvlan, which has its parent's.
    pub mac: Option<[u8; 6]>,
    /// Bytes; the kind's own default when `None`.
    pub mtu: Option<u32>,
    /// The namespace to make it in; ours when `None`.
    pub namespace: Option<BorrowedFd<'a>>,
}

impl New<'_> {
    fn write(&self, message: &mut Writer) {
        message.text(IFLA_IFNAME, self.name);
        if let Some(mac) = self.mac {
            message.bytes_of(IFLA_ADDRESS, &mac);
        }
        if let Some(mtu) = self.mtu {
            message.u32(IFLA_MTU, mtu);
        }
        if let Some(namespace) = self.namespace {
            // The kernel looks the number up in the sender's table while it handles the message.
            message.u32(
                IFLA_NET_NS_FD,
                namespace.as_fd().as_raw_fd().cast_unsigned(),
            );
        }
    }
}

/// A bridge: without spanning tree, forwarding at once; VLANs are off by default, and some kernels refuse to hear of
/// them. It is made down.
#[must_use]
pub fn bridge(new: &New<'_>) -> Writer {
    let mut message = creation(0);
    new.write(&mut message);
    message.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "bridge")
            .nest(IFLA_INFO_DATA, |data| {
                data.u32(IFLA_BR_FORWARD_DELAY, 0).u32(IFLA_BR_STP_STATE, 0);
            });
    });
    message
}

/// A pair of veth ends. The near end is set up at once and becomes a port of `master`; the far end is made down, for the
/// kernel sets no end up while the other is not there.
///
/// One queue each way: more serve XDP programs alone, and the kernel would make one per possible CPU.
#[must_use]
pub fn veth(near: &New<'_>, far: &New<'_>, master: Option<u32>) -> Writer {
    let mut message = creation(IFF_UP);
    new_end(&mut message, near);
    if let Some(master) = master {
        message.u32(IFLA_MASTER, master);
    }
    message.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "veth")
            .nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    peer.header(&header(0, 0, 0, 0));
                    new_end(peer, far);
                });
            });
    });
    message
}

fn new_end(message: &mut Writer, end: &New<'_>) {
    end.write(message);
    message
        .u32(IFLA_NUM_TX_QUEUES, 1)
        .u32(IFLA_NUM_RX_QUEUES, 1);
}

/// How the macvlan links of one parent see each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Directly.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// Through the switch outside, if that sends frames back.
    Vepa,
    /// One link alone, with the parent's own frames.
    Passthru,
}

/// A macvlan link on a parent of our namespace. It is made down.
#[must_use]
pub fn macvlan(new: &New<'_>, parent: u32, mode: MacvlanMode) -> Writer {
    let mut message = creation(0);
    new.write(&mut message);
    message.u32(IFLA_LINK, parent).nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "macvlan")
            .nest(IFLA_INFO_DATA, |data| {
                data.u32(
                    IFLA_MACVLAN_MODE,
                    match mode {
                        MacvlanMode::Private => 1,
                        MacvlanMode::Vepa => 2,
                        MacvlanMode::Bridge => 4,
                        MacvlanMode::Passthru => 8,
                    },
                );
            });
    });
    message
}

/// At which layer the ipvlan links of one parent are told apart from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IpvlanMode {
    /// They are its neighbours on the link.
    #[default]
    L2,
    /// Packets are routed where the parent is; nothing is broadcast.
    L3,
    /// As L3, and the parent's firewall sees them.
    L3s,
}

/// How the ipvlan links of one parent see each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IpvlanFlag {
    /// Directly.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// Through the switch outside, if that sends packets back.
    Vepa,
}

/// An ipvlan link on a parent of our namespace: it has the parent's hardware address. It is made down.
#[must_use]
pub fn ipvlan(new: &New<'_>, parent: u32, mode: IpvlanMode, flag: IpvlanFlag) -> Writer {
    let mut message = creation(0);
    new.write(&mut message);
    message.u32(IFLA_LINK, parent).nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "ipvlan")
            .nest(IFLA_INFO_DATA, |data| {
                let mode = match mode {
                    IpvlanMode::L2 => 0,
                    IpvlanMode::L3 => 1,
                    IpvlanMode::L3s => 2,
                };
                let flag = match flag {
                    IpvlanFlag::Bridge => 0,
                    IpvlanFlag::Private => 1,
                    IpvlanFlag::Vepa => 2,
                };
                data.u16(IFLA_IPVLAN_MODE, mode)
                    .u16(IFLA_IPVLAN_FLAGS, flag);
            });
    });
    message
}

/// A link that carries one VLAN of its parent, both in our namespace. It is made down.
#[must_use]
pub fn vlan(new: &New<'_>, parent: u32, number: u16) -> Writer {
    let mut message = creation(0);
    new.write(&mut message);
    message.u32(IFLA_LINK, parent).nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "vlan")
            .nest(IFLA_INFO_DATA, |data| {
                data.u16(IFLA_VLAN_ID, number);
            });
    });
    message
}

/// A link that drops whatever is sent on it, and never receives. It is made down.
#[must_use]
pub fn dummy(new: &New<'_>) -> Writer {
    let mut message = creation(0);
    new.write(&mut message);
    message.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "dummy");
    });
    message
}

/// A switch of IPv4 on one link, numbered as in linux/ip.h: `/proc/sys/net/ipv4/conf/LINK/…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv4Switch {
    /// `forwarding`.
    Forwarding = 1,
    /// `send_redirects`.
    SendRedirects = 6,
    /// `rp_filter`.
    ReversePathFilter = 8,
}

/// What to change in a link; nothing by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// Set it up or down.
    pub up: Option<bool>,
    /// Bytes; a bridge told so keeps it whatever its ports have.
    pub mtu: Option<u32>,
    /// A description.
    pub alias: Option<&'a str>,
    /// The bridge to be a port of; 0 for none.
    pub master: Option<u32>,
    /// Switches of IPv4.
    pub ipv4: &'a [(Ipv4Switch, u32)],
    /// Whether the kernel gives it an address of fe80::/64 when it comes up, as it does unless told otherwise.
    pub link_local: Option<bool>,
}

/// Changes the link with this index. Needs IPv6 in the kernel for `link_local`.
///
/// The kernel sets a link up before it reads the switches: those that matter for that go into a message before.
#[must_use]
pub fn change(index: u32, change: &Change<'_>) -> Writer {
    changing(index, None, change)
}

/// Changes the link of this name, which may be one that an earlier message of the same batch makes.
#[must_use]
pub fn change_named(name: &str, change: &Change<'_>) -> Writer {
    changing(0, Some(name), change)
}

/// Gives the link with this index another name; it must be down.
#[must_use]
pub fn rename(index: u32, name: &str) -> Writer {
    let mut message = Writer::new(RTM_NEWLINK, 0);
    message
        .header(&header(0, index, 0, 0))
        .text(IFLA_IFNAME, name);
    message
}

fn changing(index: u32, name: Option<&str>, change: &Change<'_>) -> Writer {
    let mut message = Writer::new(RTM_NEWLINK, 0);
    let (flags, mask) = match change.up {
        Some(true) => (IFF_UP, IFF_UP),
        Some(false) => (0, IFF_UP),
        None => (0, 0),
    };
    message.header(&header(0, index, flags, mask));
    if let Some(name) = name {
        message.text(IFLA_IFNAME, name);
    }
    if let Some(mtu) = change.mtu {
        message.u32(IFLA_MTU, mtu);
    }
    if let Some(alias) = change.alias {
        message.text(IFLA_IFALIAS, alias);
    }
    if let Some(master) = change.master {
        message.u32(IFLA_MASTER, master);
    }
    if !change.ipv4.is_empty() || change.link_local.is_some() {
        message.nest(IFLA_AF_SPEC, |families| {
            if !change.ipv4.is_empty() {
                families.nest(INET.into(), |inet| {
                    inet.nest(IFLA_INET_CONF, |conf| {
                        for (switch, value) in change.ipv4 {
                            conf.u32(*switch as u16, *value);
                        }
                    });
                });
            }
            if let Some(link_local) = change.link_local {
                let mode = if link_local {
                    IN6_ADDR_GEN_MODE_EUI64
                } else {
                    IN6_ADDR_GEN_MODE_NONE
                };
                families.nest(INET6.into(), |inet6| {
                    inet6.u8(IFLA_INET6_ADDR_GEN_MODE, mode);
                });
            }
        });
    }
    message
}

/// Removes the link of this name, and a veth's other end with it.
#[must_use]
pub fn remove(name: &str) -> Writer {
    let mut message = Writer::new(RTM_DELLINK, 0);
    message.header(&[0; HEADER]).text(IFLA_IFNAME, name);
    message
}

/// The link of this name in the socket's namespace.
///
/// # Errors
/// What [`Socket::ask`] says; a link that is not there is `None`.
pub fn find(socket: &Socket, name: &str) -> Result<Option<Link>, Error> {
    let mut request = Writer::new(RTM_GETLINK, 0);
    request
        .header(&[0; HEADER])
        .text(IFLA_IFNAME, name)
        .u32(IFLA_EXT_MASK, SKIP_STATS);
    match socket.ask(request) {
        Ok(message) => Link::read(&message).map(Some).ok_or(Error::Malformed),
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All links of the socket's namespace.
///
/// # Errors
/// What [`Socket::dump`] says.
pub fn list(socket: &Socket) -> Result<Vec<Link>, Error> {
    let mut request = Writer::new(RTM_GETLINK, 0);
    request.header(&[0; HEADER]).u32(IFLA_EXT_MASK, SKIP_STATS);
    let messages = socket.dump(request)?;
    Ok(messages.iter().filter_map(Link::read).collect())
}

/// The number of the link of this name in the socket's namespace: one system call, where [`find`] needs two and reads a
/// kilobyte. See netdevice(7), SIOCGIFINDEX.
///
/// # Errors
/// ENODEV: there is none.
pub fn index(socket: &Socket, name: &str) -> std::io::Result<u32> {
    Ok(rustix::net::netdevice::name_to_index(socket, name)?)
}

fn creation(flags: u32) -> Writer {
    let mut message = Writer::new(RTM_NEWLINK, flags::CREATE | flags::EXCLUSIVE);
    message.header(&header(0, 0, flags, flags));
    message
}

fn header(family: u8, index: u32, flags: u32, mask: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = family;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&mask.to_ne_bytes());
    header
}
