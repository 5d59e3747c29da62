//! What ties a container to a network: a link in its namespace, with addresses and default routes.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink::message::Writer;
use netlink::route::link::{self, Change, IpvlanFlag, IpvlanMode, MacvlanMode, New};
use netlink::route::{address, table};
use netlink::socket::Socket;

use super::bridge::has_room_for_ipv6;
use super::{Error, Plan, Step, find_with, is_name, open, remove_with};
use crate::namespace::{Namespace, within};

/// One link of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// What is at its other end.
    pub kind: WireKind,
    /// Its name in the container: "eth0".
    pub name: String,
    /// Its hardware address; see [`mac_of`].
    pub mac: [u8; 6],
    /// Its addresses with their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Bytes; the kernel's default when `None`.
    pub mtu: Option<u32>,
}

/// The host's side of a [`Wire`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireKind {
    /// A port of a bridge.
    Bridge {
        /// The bridge's name.
        master: String,
        /// The name of the veth end that becomes its port.
        host_name: String,
    },
    /// A macvlan link of one of the host's links.
    Macvlan {
        /// That link's name.
        parent: String,
        /// How it sees its siblings.
        mode: MacvlanMode,
    },
    /// An ipvlan link of one of the host's links; [`Wire::mac`] is the parent's whatever is asked for.
    Ipvlan {
        /// That link's name.
        parent: String,
        /// At which layer it stands beside it.
        mode: IpvlanMode,
        /// How it sees its siblings.
        flag: IpvlanFlag,
    },
}

/// A hardware address made from an IP address, so that whoever takes over the address is not looked for at the last
/// one's hardware address: neighbours' caches stay right. As Docker made them for years: 02:42 and the four bytes.
#[must_use]
pub fn mac_of(address: IpAddr) -> [u8; 6] {
    let [a, b, c, d] = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            // Of the part that tells the containers of a network apart.
            let bits = v6.to_bits() as u64;
            ((bits >> 32) as u32 ^ bits as u32).to_be_bytes()
        }
    };
    [0x02, 0x42, a, b, c, d]
}

/// Ties a namespace to networks: makes the wires, gives them their addresses, sets them up, and routes everything else
/// through the gateways. Works while a container runs.
///
/// # Errors
/// [`Error`]; what was made of it is removed again.
pub fn plug(namespace: BorrowedFd<'_>, wires: &[Wire], gateways: &[IpAddr]) -> Result<(), Error> {
    connect(namespace, &socket_in(namespace)?, wires, gateways)
}

/// As [`plug`], for a namespace that nobody runs in yet: it brings its own socket, which spares a thread.
///
/// # Errors
/// As [`plug`].
pub fn plug_fresh(namespace: &Namespace, wires: &[Wire], gateways: &[IpAddr]) -> Result<(), Error> {
    connect(namespace.as_fd(), namespace.route(), wires, gateways)
}

/// Removes a link from a namespace, and a veth's other end with it; `false` when it was not there.
///
/// # Errors
/// [`Error::Remove`], [`Error::Namespace`].
pub fn unplug(namespace: BorrowedFd<'_>, name: &str) -> Result<bool, Error> {
    remove_with(&socket_in(namespace)?, name)
}

/// Makes these the default routes of a namespace, in place of those that it has. Nothing changes when they are right.
///
/// # Errors
/// [`Error::Step`]: ENETUNREACH when no link of the namespace leads to a gateway.
pub fn set_gateways(namespace: BorrowedFd<'_>, gateways: &[IpAddr]) -> Result<(), Error> {
    let socket = socket_in(namespace)?;
    let routes = table::list_of_kind(&socket, table::UNICAST).map_err(|source| Error::Read {
        what: "routes",
        source,
    })?;
    let present: Vec<_> = routes
        .iter()
        .filter(|route| route.table == table::MAIN && route.is_default())
        .collect();
    let is_wanted = |gateway: Option<IpAddr>| gateway.is_some_and(|one| gateways.contains(&one));
    let mut plan = Plan::default();
    for route in present.iter().filter(|route| !is_wanted(route.gateway)) {
        plan.add(Step::NoGateway, table::remove(route));
    }
    for gateway in gateways {
        if !present.iter().any(|route| route.gateway == Some(*gateway)) {
            plan.add(Step::Gateway(*gateway), table::add_default(*gateway, None));
        }
    }
    plan.carry_out(&socket)
}

fn socket_in(namespace: BorrowedFd<'_>) -> Result<Socket, Error> {
    within(namespace, Socket::route)
        .map_err(|source| Error::Namespace { source })?
        .map_err(|source| Error::Open { source })
}

fn connect(
    namespace: BorrowedFd<'_>,
    inside: &Socket,
    wires: &[Wire],
    gateways: &[IpAddr],
) -> Result<(), Error> {
    let host = open()?;
    let mut made = 0;
    let run = |made: &mut usize| {
        for wire in wires {
            make(&host, inside, namespace, wire)?;
            *made += 1;
        }
        configure(inside, wires, gateways)?;
        wires
            .iter()
            .try_for_each(|wire| await_carrier(&host, inside, wire))
    };
    run(&mut made).inspect_err(|_| {
        for wire in &wires[..made] {
            let _ = match &wire.kind {
                WireKind::Bridge { host_name, .. } => remove_with(&host, host_name),
                WireKind::Macvlan { .. } | WireKind::Ipvlan { .. } => {
                    remove_with(inside, &wire.name)
                }
            };
        }
    })
}

/// `IF_OPER_UP`, and `BR_STATE_FORWARDING` of linux/if_bridge.h.
const OPERATIONAL: u8 = 6;
const FORWARDING: u8 = 3;

/// How long a link may take until it carries packets. It is there in any case; only its first packets could be lost.
const CARRIER_PATIENCE: Duration = Duration::from_millis(50);

/// Waits until both ends carry packets. The kernel lets a worker of its own tell the bridge that the port has a carrier,
/// and until then drops what comes: a container that asks for a name at once would wait seconds for its second try.
///
/// Since Linux 6.8 asking for a link makes up for the worker, so the first question is the last.
fn await_carrier(host: &Socket, inside: &Socket, wire: &Wire) -> Result<(), Error> {
    let start = Instant::now();
    let is_ready = || -> Result<bool, Error> {
        if let WireKind::Bridge { master, host_name } = &wire.kind {
            let near = find_with(host, host_name)?;
            if near.is_some_and(|near| near.port_state.is_some_and(|state| state != FORWARDING)) {
                return Ok(false);
            }
            // A bridge gets its own carrier from its first port.
            let master = find_with(host, master)?;
            if master.is_some_and(|master| master.operational != OPERATIONAL) {
                return Ok(false);
            }
        }
        let far = find_with(inside, &wire.name)?;
        Ok(far.is_none_or(|far| far.operational == OPERATIONAL))
    };
    while !is_ready()? && start.elapsed() < CARRIER_PATIENCE {
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// Makes a wire in one message: both its ends where they belong.
fn make(
    host: &Socket,
    inside: &Socket,
    namespace: BorrowedFd<'_>,
    wire: &Wire,
) -> Result<(), Error> {
    let far = New {
        name: check(&wire.name)?,
        mac: Some(wire.mac),
        mtu: wire.mtu,
        namespace: Some(namespace),
    };
    match &wire.kind {
        WireKind::Bridge { master, host_name } => {
            let near = New {
                name: check(host_name)?,
                mac: None,
                mtu: wire.mtu,
                namespace: None,
            };
            let master = index(host, master)?;
            let mut plan = Plan::default();
            plan.add(
                Step::Make(wire.name.clone()),
                link::veth(&near, &far, Some(master)),
            );
            plan.carry_out(host)?;
            match has_room_for_ipv6(wire.mtu) {
                true => quieten(host, host_name),
                false => Ok(()),
            }
        }
        WireKind::Macvlan { parent, mode } => {
            let parent = index(host, parent)?;
            make_beside(host, inside, &far, |new| link::macvlan(new, parent, *mode))
        }
        WireKind::Ipvlan { parent, mode, flag } => {
            let parent = index(host, parent)?;
            let far = New { mac: None, ..far };
            make_beside(host, inside, &far, |new| {
                link::ipvlan(new, parent, *mode, *flag)
            })
        }
    }
}

/// Makes a link beside one of the host's, under a name that passes: until Linux 6.13 a link that shall be elsewhere must not
/// be called as one that is here.
fn make_beside(
    host: &Socket,
    inside: &Socket,
    new: &New<'_>,
    message: impl FnOnce(&New<'_>) -> Writer,
) -> Result<(), Error> {
    let passing = passing_name()?;
    let step = || Step::Make(new.name.to_owned());
    let mut plan = Plan::default();
    plan.add(
        step(),
        message(&New {
            name: &passing,
            ..*new
        }),
    );
    plan.carry_out(host)?;
    let mut plan = Plan::default();
    plan.add(step(), link::rename(index(inside, &passing)?, new.name));
    plan.carry_out(inside).inspect_err(|_| {
        let _ = remove_with(inside, &passing);
    })
}

/// A name that no link has, for a moment.
fn passing_name() -> Result<String, Error> {
    let mac = super::random_mac()?;
    let digits: String = mac.iter().skip(2).map(|b| format!("{b:02x}")).collect();
    Ok(format!("new{digits}"))
}

/// A bridge's port takes part in IP no more than a cable does: left alone it would choose an address of its own, and tell
/// the container about it. Not in one go with the making, for that may be refused because somebody else has the name.
fn quieten(host: &Socket, host_name: &str) -> Result<(), Error> {
    let quiet = Change {
        link_local: Some(false),
        ..Change::default()
    };
    let mut plan = Plan::default();
    plan.add(
        Step::Configure(host_name.to_owned()),
        link::change_named(host_name, &quiet),
    );
    plan.carry_out(host).inspect_err(|_| {
        let _ = remove_with(host, host_name);
    })
}

/// All that is done inside, in one batch: a link is set up before its addresses, they before the routes that need them.
fn configure(inside: &Socket, wires: &[Wire], gateways: &[IpAddr]) -> Result<(), Error> {
    let mut plan = Plan::default();
    for wire in wires {
        let index = index(inside, &wire.name)?;
        let has_ipv6 = wire.addresses.iter().any(|(ip, _)| ip.is_ipv6());
        if !has_ipv6 && has_room_for_ipv6(wire.mtu) {
            // A network without IPv6 has none: not even an address that the kernel makes up.
            let quiet = Change {
                link_local: Some(false),
                ..Change::default()
            };
            plan.add(
                Step::Configure(wire.name.clone()),
                link::change(index, &quiet),
            );
        }
        let up = Change {
            up: Some(true),
            ..Change::default()
        };
        plan.add(Step::SetUp(wire.name.clone()), link::change(index, &up));
        for (ip, prefix) in &wire.addresses {
            plan.add(
                Step::Address(wire.name.clone(), *ip, *prefix),
                address::add(index, *ip, *prefix),
            );
        }
    }
    for gateway in gateways {
        plan.add(Step::Gateway(*gateway), table::add_default(*gateway, None));
    }
    plan.carry_out(inside)
}

fn check(name: &str) -> Result<&str, Error> {
    if is_name(name) {
        Ok(name)
    } else {
        Err(Error::Name {
            name: name.to_owned(),
        })
    }
}

fn index(socket: &Socket, name: &str) -> Result<u32, Error> {
    link::index(socket, name).map_err(|source| Error::NoLink {
        name: name.to_owned(),
        source,
    })
}
