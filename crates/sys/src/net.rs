//! The few things about network devices that need no netlink.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::check;

/// Brings `lo` up in the network namespace we are in. See netdevice(7).
///
/// # Errors
/// EPERM: no `CAP_NET_ADMIN` over the namespace.
pub fn bring_loopback_up() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: ifreq is plain bytes, for which zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags =
        (libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which lives through the call; the socket is live.
    check(libc::c_long::from(unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    }))?;
    Ok(())
}

/// Has a socket take only what comes in by one network device. See socket(7), `SO_BINDTODEVICE`.
///
/// # Errors
/// ENODEV: there is no such device; EPERM: no `CAP_NET_RAW` over the socket's network namespace.
pub fn bind_to_device(socket: impl AsFd, name: &CStr) -> io::Result<()> {
    let bytes = name.to_bytes_with_nul();
    // SAFETY: the kernel reads as many bytes of the name as it is told, which live through the call; the socket is live.
    check(libc::c_long::from(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            bytes.as_ptr().cast(),
            bytes.len() as libc::socklen_t,
        )
    }))?;
    Ok(())
}
