//! The resolver that containers find at 127.0.0.11.
//!
//! ```text
//! container ──query──► 127.0.0.11:53 ──nft in its namespace──► 127.0.0.11:random   our sockets, opened in its namespace
//!                                                                │
//!                          View: its networks' Zones ◄──local?───┤
//!                                                                └──else, raw──► the host's servers, from the host
//! ```
//! What a container asks is hostile: one question, bounded names, no pointers; a bounded number of queries is under way
//! for each container, and beyond a rate its packets are left in the kernel. What is not a local name goes to the servers as
//! it came, with an id and a source port of ours.

mod answer;
pub mod conf;
mod forward;
mod message;
mod server;
mod zone;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

pub use conf::{Conf, Followed};
pub use server::{Running, Server};
pub use zone::{Entry, Zone};

/// Where a container finds its resolver.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// What one container sees: the names of its networks, and where everything else is asked.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Its networks, the one to be asked first in front.
    pub zones: Vec<Arc<Zone>>,
    /// Names that only this container knows (`--link`, by alias), with the names they stand for.
    pub links: BTreeMap<String, String>,
    /// Where other names are asked.
    pub servers: Servers,
}

/// Where names that are not local are asked.
#[derive(Debug, Clone, Default)]
pub enum Servers {
    /// Nowhere: they fail. For a container whose networks are all internal.
    #[default]
    None,
    /// At the host's servers, as its resolv.conf names them at the time.
    Host(Arc<Followed>),
    /// At these (`--dns`). A loopback address among them is the container's own.
    Given(Vec<SocketAddr>),
}

/// The ports behind 127.0.0.11, for the redirection of port 53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolverPorts {
    /// UDP.
    pub udp: u16,
    /// TCP.
    pub tcp: u16,
}

/// A resolver that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace could not be entered.
    #[error("enter a container's network namespace")]
    Enter {
        /// Why.
        source: crate::namespace::Error,
    },
    /// The namespace has no loopback.
    #[error("open the resolver's sockets in a container's network namespace")]
    Open {
        /// Why.
        source: io::Error,
    },
    /// The event loop is out of descriptors.
    #[error("watch the resolver's sockets")]
    Watch {
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        fault::Kind::Internal
    }
}
