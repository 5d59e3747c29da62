//! Our nf_tables tables: what may pass between containers, the host and the world.
//!
//! ```text
//! table ip, ip6 estiva             one of each for the whole daemon; what it knows of networks is in its sets
//!   prerouting   nat               what came through the admission pair: to the container
//!   source       input             from a container under an address that is not its: dropped
//!   input        last of all       a new connection to a published port that the host accepts: into the admission pair
//!   output       nat               the host to itself by an address of its own: to the container
//!   forward                        within a bridge, out of it, answers, published ports; nothing else
//!   outside                        the part of `forward` for what comes from none of our bridges
//!   postrouting  nat               out of a bridge: masqueraded
//! table bridge estiva
//!   prerouting                     who uses an address that is another's is not heard
//!   forward                        bridges whose containers shall not talk; there when there is such a bridge
//! ```
//! **What a packet costs.** Every rule that a packet is asked costs it some 10 ns and every look into a set some 50, which is
//! felt at 70,000 packets a second. So the first packet of a connection is asked everything, and the others as little as
//! keeps the promises: a frame on a bridge one look at who sent it, a packet through the host one more on its way from a
//! bridge and none on its way into one. Rules for kinds of networks that are not there are left out; the first network of
//! such a kind makes the tables anew.
//!
//! **Published ports obey the host.** Under [`Policy::HostInput`] a connection's first packet is not translated when it
//! arrives. It travels the host's input chains (any table's, iptables' too), and only what all of them accept comes to our
//! chain, the last. That one sends a copy into one end of a veth pair and drops the original; the copy comes out of the
//! other end, is translated there and forwarded. Connection tracking remembers, so every later packet is translated at
//! once. The client's address stays. Under [`Policy::Open`] packets are translated as they arrive, as Docker does, and no
//! input chain sees them.
//!
//! **Others' tables.** An accept of ours cannot undo another table's drop, so a chain at the forward hook that ends with a
//! drop of everything (by its policy, as Docker sets one, or by a last rule, its own or that of a chain it jumps to) gets
//! rules for our bridges there, where all of its own rules have been asked. Where that cannot be (`obstacles`, `legacy`) it is told.
//!
//! **Others' packets.** Containers need a host that forwards. One that did not before shall not become a road for others:
//! where [`Firewall::guard`] says so, what is neither from nor to a bridge is dropped on its way through.
//!
//! `plan` says what the tables look like, `elements` what a network or an endpoint puts into their sets; both are pure.
//! Adding an endpoint is one transaction of some set elements, whatever is there already.

mod desired;
mod elements;
mod error;
mod flows;
mod foreign;
mod heal;
mod holes;
mod legacy;
mod obstacles;
mod plan;
mod resolver;
mod tables;
mod walls;
mod words;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::firewall::tables::Tables;
use crate::subnet::Subnet;

pub use error::Error;
pub use heal::Healer;
pub use holes::Hole;
pub use resolver::redirect as resolver_redirect;

pub use crate::link::Admission;
pub use crate::ports::Protocol;

/// Names of one daemon, so that several live beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Name of its tables: `estiva`, or `estiva-` and a tag.
    pub table: String,
}

/// Of which families the host is no road between links that are not ours: where forwarding is on for containers alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Guarded {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

/// Who may reach published ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Whom the host's input chains let through.
    #[default]
    HostInput,
    /// Everyone, as with Docker.
    Open,
}

/// A network of containers on a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
    /// Its id.
    pub id: String,
    /// The bridge's interface.
    pub bridge: String,
    /// Of either family.
    pub subnets: Vec<Subnet>,
    /// No way in or out.
    pub internal: bool,
    /// Whether containers go out under the host's address.
    pub masquerade: bool,
    /// Those of its subnets that others have a road to: nothing of them is translated, and a port of the host's that leads
    /// there ([`Port::host_port`] 0) is the container's own.
    pub routed: Vec<Subnet>,
    /// Those of its subnets whose containers answer on every port to others that have a road there.
    pub unprotected: Vec<Subnet>,
    /// Whether its containers may talk to each other.
    pub icc: bool,
    /// The bridge's own addresses.
    pub gateways: Vec<IpAddr>,
}

/// A port of the host that leads to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The host's address; `None` or the unspecified address for all addresses of the target's family. Nothing is done
    /// here for loopback addresses, nor where the target's family is another.
    pub host: Option<IpAddr>,
    /// The protocol.
    pub proto: Protocol,
    /// The host's port; 0 for none: the container's own port is open to all who have a road there.
    pub host_port: u16,
    /// The container's address and port.
    pub target: SocketAddr,
}

/// A container's place in a network: the host's end of its wire, and what it may call itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host's end.
    pub host_name: String,
    /// The container's hardware address.
    pub mac: [u8; 6],
    /// The container's addresses.
    pub addresses: Vec<IpAddr>,
}

/// The tables of one daemon, kept as they should be. Clones share them.
#[derive(Debug, Clone)]
pub struct Firewall {
    tables: Arc<Tables>,
}

impl Firewall {
    /// Makes nothing yet: the tables come with the first network, all of them in one transaction that also takes away
    /// what an earlier daemon of this name left.
    ///
    /// # Errors
    /// [`Error::Open`]; [`Error::NoAdmission`] when the policy needs a pair and there is none.
    pub fn open(
        instance: Instance,
        policy: Policy,
        admission: impl Into<Option<Admission>>,
    ) -> Result<Self, Error> {
        let tables = Tables::open(instance, policy, admission.into())?;
        Ok(Self {
            tables: Arc::new(tables),
        })
    }

    /// Says whether the host may pass packets on that are no container's; counts from the next [`Firewall::rebuild`] on, or
    /// for tables that are not there yet.
    pub fn guard(&self, guarded: Guarded) {
        self.tables.guard(guarded);
    }

    /// Puts networks and endpoints in place together, in one transaction: for a daemon that finds containers running.
    ///
    /// # Errors
    /// [`Error::Rebuild`], or [`Error::PortTaken`]; nothing has changed then.
    pub fn restore(
        &self,
        networks: &[Net],
        endpoints: &[(Endpoint, Vec<Port>)],
    ) -> Result<(), Error> {
        self.tables.restore(networks, endpoints)
    }

    /// Adds a network, or changes the one of that id.
    ///
    /// # Errors
    /// [`Error::Change`], [`Error::Rebuild`]; nothing has changed then. [`Error::Foreign`]: the network stands, but
    /// another table's policy drops its packets.
    pub fn add_network(&self, network: &Net) -> Result<(), Error> {
        self.tables.add_network(network)
    }

    /// Takes a network away; nothing is done for one that is not there.
    ///
    /// # Errors
    /// As [`Firewall::add_network`].
    pub fn remove_network(&self, id: &str) -> Result<(), Error> {
        self.tables.remove_network(id)
    }

    /// Adds an endpoint with its published ports, or changes the one of that name. Its networks must be there.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::Change`], [`Error::Rebuild`]; nothing has changed then.
    pub fn add_endpoint(&self, endpoint: &Endpoint, ports: &[Port]) -> Result<(), Error> {
        self.tables.add_endpoint(endpoint, ports)
    }

    /// What the container behind a wire may reach of others where containers do not talk, in the place of what it might
    /// before. Ends with the endpoint.
    ///
    /// # Errors
    /// [`Error::Change`] or [`Error::Rebuild`]; nothing has changed then.
    pub fn open_holes(&self, host_name: &str, holes: Vec<Hole>) -> Result<(), Error> {
        self.tables.open_holes(host_name, holes)
    }

    /// Closes all holes that begin or end at these addresses.
    ///
    /// # Errors
    /// As [`Firewall::open_holes`].
    pub fn close_holes(&self, addresses: &[IpAddr]) -> Result<(), Error> {
        self.tables.close_holes(addresses)
    }

    /// Takes an endpoint and its ports away, by the host's end of its wire; nothing is done for one that is not there.
    ///
    /// # Errors
    /// [`Error::Change`] or [`Error::Rebuild`]; nothing has changed then.
    pub fn remove_endpoint(&self, host_name: &str) -> Result<(), Error> {
        self.tables.remove_endpoint(host_name)
    }

    /// Makes the tables anew from what they should be, in one transaction: connections do not notice.
    ///
    /// # Errors
    /// [`Error::Rebuild`]; what was there still is. [`Error::Foreign`].
    pub fn rebuild(&self) -> Result<(), Error> {
        self.tables.rebuild()
    }

    /// Takes everything away, also from others' tables, for good: what is added later is refused with
    /// [`Error::Over`].
    ///
    /// # Errors
    /// [`Error::Change`] or [`Error::Foreign`].
    pub fn remove_all(&self) -> Result<(), Error> {
        self.tables.remove_all()
    }

    /// Starts a thread that puts things right when others have changed them; it ends when the healer is dropped.
    ///
    /// # Errors
    /// [`Error::Watch`].
    pub fn watch(&self) -> Result<Healer, Error> {
        heal::start(Arc::clone(&self.tables))
    }
}
