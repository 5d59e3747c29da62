//! Network namespaces, made ready ahead of time.
//!
//! Making a namespace is the longest part of giving a container a network, so a few stand ready. A namespace lives by
//! what refers to it: our descriptor until the container runs, its processes from then on. Nothing is pinned to a path,
//! so a crash at any point leaves nothing behind.
//!
//! Threads are what can be in a namespace: all work inside one is done by a thread that joins it and ends, or by a socket
//! that was opened there.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use sys::namespace::{Namespaces, join, unshare};

mod pool;

pub use pool::Pool;

/// Enough for what is done inside namespaces, and a small part of a thread's usual share.
const STACK_BYTES: usize = 256 * 1024;

/// Switches of a fresh namespace, written where the kernel has them, so that its links have them from the start.
///
/// Addresses come from us alone: no router's advertisement adds one, and none waits to be found a duplicate.
const SWITCHES: [(&str, &str); 4] = [
    ("/proc/sys/net/ipv6/conf/all/accept_ra", "0"),
    ("/proc/sys/net/ipv6/conf/default/accept_ra", "0"),
    ("/proc/sys/net/ipv6/conf/all/accept_dad", "0"),
    ("/proc/sys/net/ipv6/conf/default/accept_dad", "0"),
];

/// What goes wrong with namespaces.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No thread to work in the namespace.
    #[error("start a thread for a network namespace")]
    Thread {
        /// Why.
        source: io::Error,
    },
    /// The kernel made none.
    #[error("make a network namespace")]
    Make {
        /// Why.
        source: io::Error,
    },
    /// It was made and cannot be used.
    #[error("prepare a network namespace: {step}")]
    Prepare {
        /// What was tried.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// No netlink socket inside.
    #[error("prepare a network namespace")]
    Socket {
        /// Why.
        source: netlink::Error,
    },
    /// The namespace cannot be joined.
    #[error("enter a network namespace")]
    Enter {
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What it means.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::Make { source } | Self::Enter { source } | Self::Thread { source } => {
                match rustix::io::Errno::from_io_error(source) {
                    Some(rustix::io::Errno::PERM) => fault::Kind::Denied,
                    // ENOSPC: user.max_net_namespaces.
                    Some(
                        rustix::io::Errno::NOMEM
                        | rustix::io::Errno::NOSPC
                        | rustix::io::Errno::AGAIN,
                    ) => fault::Kind::Unavailable,
                    _ => fault::Kind::Internal,
                }
            }
            Self::Socket { source } => source.kind(),
            Self::Prepare { .. } => fault::Kind::Internal,
        }
    }
}

/// A network namespace with its `lo` up and nothing else, held open.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
    route: netlink::socket::Socket,
}

impl Namespace {
    /// Makes one now, which takes a thread and about a millisecond; see [`Pool`].
    ///
    /// # Errors
    /// [`Error`]; nothing is left.
    pub fn make() -> Result<Self, Error> {
        in_thread(make_here)?
    }

    /// Its rtnetlink socket: what is sent here happens inside, without a thread going there.
    #[must_use]
    pub fn route(&self) -> &netlink::socket::Socket {
        &self.route
    }

    /// The path under which other processes of the host may open it, while it and this process live.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.fd.as_raw_fd())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Does the work in a namespace, on a thread of its own that ends with it. Costs some 50 µs.
///
/// Files of /proc/sys/net and /proc/thread-self/net are the namespace's there; so is every socket that is opened.
///
/// # Errors
/// [`Error::Enter`]: not a network namespace, or not allowed; [`Error::Thread`].
pub fn within<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, Error> {
    in_thread(|| {
        join(namespace, Namespaces::NETWORK).map_err(|source| Error::Enter { source })?;
        Ok(work())
    })?
}

/// The network namespace of the calling thread.
///
/// # Errors
/// [`Error::Prepare`]: no /proc.
pub fn current() -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    open("/proc/thread-self/ns/net", flags, Mode::empty()).map_err(|source| Error::Prepare {
        step: "open /proc/thread-self/ns/net",
        source: source.into(),
    })
}

/// Whether both are the same namespace.
///
/// # Errors
/// [`Error::Enter`]: one cannot be looked at.
pub fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool, Error> {
    let look = |fd| {
        rustix::fs::fstat(fd).map_err(|source| Error::Enter {
            source: source.into(),
        })
    };
    let (one, other) = (look(one)?, look(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// A fresh thread, because joining and leaving namespaces must never touch one that others use.
fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("namespace".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|source| Error::Thread { source })?;
        Ok(thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Moves the calling thread into a new namespace and makes it ready.
fn make_here() -> Result<Namespace, Error> {
    unshare(Namespaces::NETWORK).map_err(|source| Error::Make { source })?;
    sys::net::bring_loopback_up().map_err(|source| Error::Prepare {
        step: "bring lo up",
        source,
    })?;
    for (path, value) in SWITCHES {
        match write(path, value) {
            // A host without IPv6, or one that shows /proc/sys read-only: links are told one by one what matters.
            Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::ROFS) => {}
            Err(source) => {
                return Err(Error::Prepare {
                    step: path,
                    source: source.into(),
                });
            }
        }
    }
    Ok(Namespace {
        fd: current()?,
        route: netlink::socket::Socket::route().map_err(|source| Error::Socket { source })?,
    })
}

fn write(path: &str, value: &str) -> rustix::io::Result<()> {
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, value.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_fresh_namespace_is_ready_and_apart() {
        let namespace = Namespace::make().expect("root");
        let here = current().expect("proc");
        assert!(!is_same(namespace.as_fd(), here.as_fd()).expect("both open"));
        within(namespace.as_fd(), || {
            let inside = current().expect("proc");
            assert!(is_same(namespace.as_fd(), inside.as_fd()).expect("both open"));
            for (path, value) in SWITCHES {
                let now = fs::read_to_string(path).expect(path);
                assert_eq!(now.trim(), value, "{path}");
            }
            let listener = std::net::TcpListener::bind("[::1]:0").expect("lo is up");
            std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("reached");
        })
        .expect("entered");
        assert!(
            is_same(current().expect("proc").as_fd(), here.as_fd()).expect("both open"),
            "the caller has not moved"
        );
        let by_path = fs::File::open(namespace.path()).expect("a path to it");
        assert!(is_same(by_path.as_fd(), namespace.as_fd()).expect("both open"));
        let links = netlink::route::link::list(namespace.route()).expect("listed");
        assert!(links.iter().any(|link| link.name == "lo" && link.is_up()));
    }

    #[test]
    fn what_is_no_namespace_is_not_entered() {
        let file = fs::File::open("/proc/self/status").expect("proc");
        let error = within(file.as_fd(), || ()).expect_err("a file");
        assert!(matches!(error, Error::Enter { .. }), "{error}");
    }
}
