//! What goes wrong with links.

use std::fmt;
use std::io;
use std::net::IpAddr;

use rustix::io::Errno;

/// One thing of several that were asked of the kernel together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A link was to be made.
    Make(String),
    /// Settings of a link.
    Configure(String),
    /// A link was to be set up.
    SetUp(String),
    /// An address for a link.
    Address(String, IpAddr, u8),
    /// An address to be taken from a link.
    NoAddress(String, IpAddr, u8),
    /// A default route.
    Gateway(IpAddr),
    /// A default route to be removed.
    NoGateway,
    /// A neighbour to be known for good.
    Neighbour(IpAddr),
    /// All of them, when none in particular failed.
    Together,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Make(name) => write!(f, "make link {name}"),
            Self::Configure(name) => write!(f, "configure link {name}"),
            Self::SetUp(name) => write!(f, "set link {name} up"),
            Self::Address(name, address, prefix) => {
                write!(f, "give link {name} the address {address}/{prefix}")
            }
            Self::NoAddress(name, address, prefix) => {
                write!(f, "take the address {address}/{prefix} from link {name}")
            }
            Self::Gateway(gateway) => write!(f, "route by default through {gateway}"),
            Self::NoGateway => write!(f, "remove the default route"),
            Self::Neighbour(address) => write!(f, "set the hardware address of {address}"),
            Self::Together => write!(f, "configure links"),
        }
    }
}

/// A failure to read or change links.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No netlink socket.
    #[error("speak to the kernel about links")]
    Open {
        /// Why.
        source: netlink::Error,
    },
    /// A table could not be read.
    #[error("read {what}")]
    Read {
        /// Which: "links", "routes", …
        what: &'static str,
        /// Why.
        source: netlink::Error,
    },
    /// The kernel takes no such name.
    #[error("invalid interface name {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// A bridge was wanted and something else has its name.
    #[error("existing interface {name} is not a bridge")]
    NotABridge {
        /// The name.
        name: String,
    },
    /// The pair's name is taken by something that is not ours.
    #[error("existing interface {name} is in the way")]
    InTheWay {
        /// The name.
        name: String,
    },
    /// A wire's bridge or parent is not there.
    #[error("no interface {name}")]
    NoLink {
        /// The bridge or the parent.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A change was refused.
    #[error("{step}")]
    Step {
        /// What was to be done.
        step: Step,
        /// Why it was not.
        source: netlink::Error,
    },
    /// A link could not be removed.
    #[error("remove link {name}")]
    Remove {
        /// Which.
        name: String,
        /// Why.
        source: netlink::Error,
    },
    /// A switch under /proc/sys could not be set.
    #[error("write {value} to {path}")]
    Switch {
        /// Its file.
        path: String,
        /// The value.
        value: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The container's namespace could not be worked in.
    #[error("work in the container's network namespace")]
    Namespace {
        /// Why.
        source: crate::namespace::Error,
    },
    /// All of 169.254.0.0/16 is routed in small pieces.
    #[error("no free link-local range for published ports")]
    NoLinkLocalRange,
    /// The kernel gave no random bytes.
    #[error("choose a hardware address")]
    Random {
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What it means.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::Open { source }
            | Self::Read { source, .. }
            | Self::Step { source, .. }
            | Self::Remove { source, .. } => source.kind(),
            Self::Namespace { source } => source.kind(),
            Self::Name { .. } => fault::Kind::Invalid,
            Self::NotABridge { .. } | Self::InTheWay { .. } => fault::Kind::Conflict,
            Self::NoLink { .. } => fault::Kind::NotFound,
            Self::NoLinkLocalRange => fault::Kind::Unavailable,
            Self::Switch { .. } | Self::Random { .. } => fault::Kind::Internal,
        }
    }

    /// The errno, where the kernel gave one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Open { source }
            | Self::Read { source, .. }
            | Self::Step { source, .. }
            | Self::Remove { source, .. } => source.errno(),
            Self::NoLink { source, .. } | Self::Switch { source, .. } | Self::Random { source } => {
                Errno::from_io_error(source)
            }
            _ => None,
        }
    }
}
