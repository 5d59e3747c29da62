//! Descriptors: those that are passed on, and all the others.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

use runtime::Stdio;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use sys::fds::{CloseRange, close_from};

use crate::error::Error;
use crate::options::Given;

/// How many descriptors from 3 on the container gets: those asked for, and those of socket activation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preserved {
    pub(crate) count: u32,
    listen_fds: u32,
}

impl Preserved {
    /// What the container's environment says of the sockets it gets. See sd_listen_fds(3).
    pub(crate) fn environment(self) -> Vec<String> {
        match self.listen_fds {
            0 => Vec::new(),
            count => vec![format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()],
        }
    }
}

/// Makes this process fit to become a container: it runs from a program that nobody can write, its standard streams are
/// open, and it holds no descriptor but those and the preserved ones. Must come before anything is opened.
pub(crate) fn prepare(given: &Given) -> Result<Preserved, Error> {
    let listen_fds = std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0u32)
        .min(1 << 16);
    let asked: u32 = given.number("preserve-fds")?.unwrap_or(0);
    let count = asked.saturating_add(listen_fds);
    open_standard_streams()?;
    seal()?;
    for number in 3..count.saturating_add(3) {
        accessat(
            CWD,
            format!("/proc/self/fd/{number}"),
            Access::EXISTS,
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(|_| Error::NoPreserved { number })?;
    }
    close_from(count.saturating_add(3), CloseRange::Now).map_err(|source| Error::Streams {
        what: "close descriptors",
        source,
    })?;
    Ok(Preserved { count, listen_fds })
}

/// Nothing that we open may become a standard stream by chance.
fn open_standard_streams() -> Result<(), Error> {
    let failed = |errno: Errno| Error::Streams {
        what: "open the standard streams",
        source: errno.into(),
    };
    loop {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed)?;
        if std::os::fd::AsRawFd::as_raw_fd(&null) > 2 {
            return Ok(());
        }
        rustix::io::fcntl_setfd(&null, rustix::io::FdFlags::empty()).map_err(failed)?;
        let _stays_open = std::os::fd::IntoRawFd::into_raw_fd(null);
    }
}

fn seal() -> Result<(), Error> {
    runtime::sealed::ensure(|| {
        let args = std::env::args_os().map(OsStringExt::into_vec);
        let env = std::env::vars_os().map(|(name, value)| {
            let mut pair = name.into_vec();
            pair.push(b'=');
            pair.extend(value.into_vec());
            pair
        });
        (strings(args), strings(env))
    })
    .map_err(|source| Error::Seal { source })
}

fn strings(list: impl Iterator<Item = Vec<u8>>) -> Vec<CString> {
    list.map(|each| CString::new(each).expect("the kernel's strings hold no zero byte"))
        .collect()
}

/// Our own standard streams, for the container.
pub(crate) fn inherited() -> Result<Stdio, Error> {
    let copy = |fd: Result<OwnedFd, Errno>| {
        fd.map_err(|errno| Error::Streams {
            what: "duplicate the standard streams",
            source: errno.into(),
        })
    };
    Ok(Stdio::Pipes {
        stdin: copy(fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3))?,
        stdout: copy(fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3))?,
        stderr: copy(fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3))?,
    })
}
