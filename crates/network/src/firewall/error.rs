//! What can go wrong with the firewall.

use std::io;
use std::net::SocketAddr;

use crate::namespace;
use crate::ports::Protocol;

/// A failure to put a rule, a set or a table in its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No socket to nf_tables.
    #[error("reach the kernel's nf_tables")]
    Open {
        /// Why.
        source: netlink::Error,
    },
    /// Ports that obey the host need a pair to come back through.
    #[error("published ports cannot obey the host's policy without the admission pair")]
    NoAdmission,
    /// Whoever has the tables has taken them away, and adds nothing any more.
    #[error("the firewall's tables have been taken away")]
    Over,
    /// The admission pair is gone.
    #[error("find interface {name}")]
    NoInterface {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Another endpoint has that port of the host.
    #[error("host port {address}/{protocol} leads to another container already")]
    PortTaken {
        /// The host's side; the unspecified address stands for all.
        address: SocketAddr,
        /// The protocol.
        protocol: Protocol,
    },
    /// Elements were not taken.
    #[error("change firewall table {table}")]
    Change {
        /// The tables' name.
        table: String,
        /// Why.
        source: netlink::Error,
    },
    /// The tables were not taken.
    #[error("build firewall table {table}")]
    Rebuild {
        /// The tables' name.
        table: String,
        /// Why.
        source: netlink::Error,
    },
    /// Another program's chains drop what passes, and did not take our rules.
    #[error("make way for containers in other programs' firewall chains")]
    Foreign {
        /// Why.
        source: netlink::Error,
    },
    /// Changes by others go unnoticed.
    #[error("watch the firewall for changes by others")]
    Watch {
        /// Why.
        source: netlink::Error,
    },
    /// No thread to watch with.
    #[error("start a thread to watch the firewall")]
    Thread {
        /// Why.
        source: io::Error,
    },
    /// A container's namespace could not be entered.
    #[error("enter a container's network namespace")]
    Enter {
        /// Why.
        source: namespace::Error,
    },
    /// A container's resolver cannot be reached at its port 53.
    #[error("lead port 53 in a container's network to its resolver")]
    Resolver {
        /// Why.
        source: netlink::Error,
    },
}

impl Error {
    /// What it means.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::PortTaken { .. } => fault::Kind::Conflict,
            Self::NoAdmission | Self::NoInterface { .. } | Self::Over => fault::Kind::Unavailable,
            Self::Open { source }
            | Self::Change { source, .. }
            | Self::Rebuild { source, .. }
            | Self::Foreign { source }
            | Self::Watch { source }
            | Self::Resolver { source } => match source.kind() {
                // What the kernel did not find or found twice is our own doing, not the caller's.
                fault::Kind::NotFound | fault::Kind::Conflict => fault::Kind::Internal,
                other => other,
            },
            Self::Enter { source } => source.kind(),
            Self::Thread { .. } => fault::Kind::Internal,
        }
    }
}
