//! The tables of iptables' older kind, which nf_tables does not show: read only.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with};

use crate::check;

/// `IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO`.
const GET_INFO: libc::c_int = 64;
/// `IPT_SO_GET_ENTRIES` and `IP6T_SO_GET_ENTRIES`.
const GET_ENTRIES: libc::c_int = 65;
/// `struct ipt_getinfo`: the name, the valid hooks, two lists of five offsets, how many entries and their bytes.
const INFO: usize = 84;
/// Where the entries begin in `struct ipt_get_entries`: behind the name and the size, aligned to eight bytes.
const ENTRIES: usize = 40;
const NAME: &[u8] = b"filter";
/// No table that is worth reading is larger; the kernel says how large it is.
const LARGEST: usize = 64 << 20;

/// The table `filter` of one family, in the kernel's own layout.
#[derive(Debug, Clone)]
pub struct LegacyFilter {
    /// Where the chain of a hook begins in `entries`, in the order of `NF_INET_*`: 1 input, 2 forward, 3 output.
    pub hook_entry: [usize; 5],
    /// Where its last entry, the policy, is.
    pub underflow: [usize; 5],
    /// One `struct ipt_entry` or `struct ip6t_entry` after the other.
    pub entries: Vec<u8>,
}

/// Reads the table `filter` of IPv4 or IPv6 in the network namespace we are in. A table that is not there comes into being
/// by this: look into /proc/net/ip_tables_names before. See linux/netfilter_ipv4/ip_tables.h.
///
/// # Errors
/// ENOPROTOOPT or ENOENT: the kernel has none; EPERM; EAGAIN: it changed meanwhile.
pub fn legacy_filter(v6: bool) -> io::Result<LegacyFilter> {
    let (family, level) = match v6 {
        true => (AddressFamily::INET6, libc::IPPROTO_IPV6),
        false => (AddressFamily::INET, libc::IPPROTO_IP),
    };
    let raw = Protocol::from_raw(rustix::net::RawProtocol::new(255).expect("not zero"));
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(raw))?;
    let mut info = named(INFO);
    read(&socket, level, GET_INFO, &mut info)?;
    let number = |at: usize| {
        let bytes = info[at..at + 4].try_into().expect("four bytes");
        u32::from_ne_bytes(bytes) as usize
    };
    let size = number(80);
    if size > LARGEST {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    let mut table = named(ENTRIES + size);
    table[32..36].copy_from_slice(&(size as u32).to_ne_bytes());
    read(&socket, level, GET_ENTRIES, &mut table)?;
    Ok(LegacyFilter {
        hook_entry: std::array::from_fn(|hook| number(36 + 4 * hook)),
        underflow: std::array::from_fn(|hook| number(56 + 4 * hook)),
        entries: table.split_off(ENTRIES),
    })
}

fn named(len_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; len_bytes];
    bytes[..NAME.len()].copy_from_slice(NAME);
    bytes
}

fn read(socket: &OwnedFd, level: i32, option: i32, bytes: &mut [u8]) -> io::Result<()> {
    let mut len = bytes.len() as libc::socklen_t;
    // SAFETY: the kernel reads and writes at most `len` bytes at the pointer, which are all in `bytes`.
    check(libc::c_long::from(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            bytes.as_mut_ptr().cast(),
            &raw mut len,
        )
    }))?;
    Ok(())
}
