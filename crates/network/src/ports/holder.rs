//! Which program has a port: read from /proc.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Protocol;

/// Open files looked at before giving up: a refusal must not take seconds on a crowded host.
const MAX_FILES: usize = 200_000;
/// A listening TCP socket's state in /proc/net/tcp.
const LISTENING: &str = "0A";

/// A process that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name, as in `/proc/PID/comm`.
    pub command: String,
    /// Its pid in our pid namespace.
    pub pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, pid {}", self.command, self.pid)
    }
}

/// The process whose socket keeps us from binding an address, if it can be seen.
pub(super) fn find(protocol: Protocol, address: SocketAddr) -> Option<Holder> {
    let files: &[&str] = match protocol {
        Protocol::Tcp => &["/proc/net/tcp", "/proc/net/tcp6"],
        Protocol::Udp => &["/proc/net/udp", "/proc/net/udp6"],
        Protocol::Sctp => &[],
    };
    let inode = files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        socket_inode(&text, protocol, address)
    })?;
    process_with(&format!("socket:[{inode}]"))
}

/// The inode of the socket in a table of the kernel that excludes ours.
fn socket_inode(table: &str, protocol: Protocol, wanted: SocketAddr) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
        if protocol == Protocol::Tcp && *state != LISTENING {
            return None;
        }
        let held = parse_address(local)?;
        let same = held.port() == wanted.port() && excludes(held.ip(), wanted.ip());
        same.then(|| inode.parse().ok()).flatten()
    })
}

/// A wildcard of IPv6 may have IPv4's ports too: what cannot be told apart here counts.
fn excludes(held: IpAddr, wanted: IpAddr) -> bool {
    let held = held.to_canonical();
    match (held.is_ipv4(), wanted.is_ipv4()) {
        (true, true) | (false, false) => {
            held == wanted || held.is_unspecified() || wanted.is_unspecified()
        }
        (false, true) => held.is_unspecified(),
        (true, false) => false,
    }
}

/// `0100007F:1F90`: words of four bytes in the machine's order, then the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn process_with(link: &str) -> Option<Holder> {
    let mut left = MAX_FILES;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(entry.path().join("fd")) else {
            continue; // it has ended, or is not ours to see
        };
        for file in files.flatten() {
            left = left.checked_sub(1)?;
            if std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == link) {
                let command = std::fs::read_to_string(entry.path().join("comm")).ok()?;
                let command = command.trim_end().to_owned();
                return Some(Holder { command, pid });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0\n   \
        1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0\n   \
        2: 0100007F:0051 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0\n";

    #[test]
    fn a_table_names_the_socket_that_excludes_an_address() {
        let check = |address: &str, expect: Option<u64>| {
            let address = address.parse().expect("an address");
            assert_eq!(
                socket_inode(TCP, Protocol::Tcp, address),
                expect,
                "{address}"
            );
        };
        check("127.0.0.1:8080", Some(111));
        check("0.0.0.0:8080", Some(111));
        check("10.0.0.1:8080", None);
        check("10.0.0.1:80", Some(222));
        check("127.0.0.1:81", None); // a connection, not a listener
        check("[::]:80", None);
    }

    #[test]
    fn words_of_ipv6_are_in_the_machines_order() {
        let loopback = parse_address("00000000000000000000000001000000:0035");
        assert_eq!(loopback, Some("[::1]:53".parse().expect("an address")));
        for bad in ["", ":", "1:1", "zz:1", "0100007F01:1", "0100007F:12345"] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
    }
}
