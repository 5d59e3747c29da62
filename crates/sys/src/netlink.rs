//! The options of netlink sockets, which rustix does not set. See netlink(7).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::check;

/// A switch of a netlink socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Acknowledgements do not repeat the request: `NETLINK_CAP_ACK`, Linux 4.3.
    ShortAcks,
    /// Errors carry a text: `NETLINK_EXT_ACK`, Linux 4.12.
    ExtendedAcks,
    /// Dumps obey the filters in their request and refuse what they do not know: `NETLINK_GET_STRICT_CHK`, Linux 4.20.
    StrictDumps,
}

/// Turns a switch on.
///
/// # Errors
/// ENOPROTOOPT: the kernel is older than the switch.
pub fn turn_on(socket: impl AsFd, switch: Switch) -> io::Result<()> {
    let option = match switch {
        Switch::ShortAcks => libc::NETLINK_CAP_ACK,
        Switch::ExtendedAcks => libc::NETLINK_EXT_ACK,
        Switch::StrictDumps => libc::NETLINK_GET_STRICT_CHK,
    };
    set(socket, option, 1)
}

/// Joins a multicast group by its number (`NETLINK_ADD_MEMBERSHIP`).
///
/// # Errors
/// EINVAL: the family has no such group; EPERM: it is not for this caller.
pub fn join_group(socket: impl AsFd, group: u32) -> io::Result<()> {
    set(socket, libc::NETLINK_ADD_MEMBERSHIP, group)
}

fn set(socket: impl AsFd, option: libc::c_int, value: u32) -> io::Result<()> {
    let value = value as libc::c_int;
    // SAFETY: the option reads one int, which lives through the call; the socket is live.
    check(libc::c_long::from(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    }))?;
    Ok(())
}
