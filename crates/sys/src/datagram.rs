//! Datagrams with the address of ours that they were sent to: a socket bound to every address must answer from the same.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use crate::check;

/// Room for one control message with an address, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Asks the kernel to tell the destination of each datagram of a UDP socket. See ip(7), `IP_PKTINFO`; ipv6(7).
///
/// # Errors
/// ENOPROTOOPT: not a socket of IPv4 or IPv6.
pub fn tell_destinations(socket: impl AsFd, is_ipv4: bool) -> io::Result<()> {
    let (level, name) = if is_ipv4 {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    };
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an int, which lives through the call; the socket is live.
    check(libc::c_long::from(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    }))?;
    Ok(())
}

/// Receives a datagram, without waiting: its length (cut to the buffer's), its sender, and to which address it was sent, if
/// the socket [tells](tell_destinations). See recvmsg(2).
///
/// # Errors
/// EAGAIN: none is there; any error that an earlier datagram met with.
pub fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    // SAFETY: sockaddr_storage is plain bytes, for which zero is valid.
    let mut sender: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: msghdr is plain data, for which zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut sender).cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: every pointer in the message is to something that lives through the call, with its true length.
    let got = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_DONTWAIT) };
    let got = check(got as libc::c_long)?;
    let sender = read_address(&sender).ok_or(io::ErrorKind::InvalidData)?;
    Ok((got as usize, sender, destination(&message)))
}

/// Sends a datagram, without waiting, from one of our addresses if one is given. See sendmsg(2).
///
/// # Errors
/// EAGAIN: no room; EINVAL: the address is not ours; those of earlier datagrams.
pub fn send(
    socket: impl AsFd,
    bytes: &[u8],
    to: SocketAddr,
    from: Option<IpAddr>,
) -> io::Result<()> {
    let (mut name, name_length) = write_address(to);
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: msghdr is plain data, for which zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut name).cast();
    message.msg_namelen = name_length;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    match from {
        Some(IpAddr::V4(from)) if to.is_ipv4() => {
            // SAFETY: in_pktinfo is plain data, for which zero is valid.
            let mut info: libc::in_pktinfo = unsafe { std::mem::zeroed() };
            info.ipi_spec_dst.s_addr = u32::from_ne_bytes(from.octets());
            put_control(
                &mut message,
                &mut control,
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                info,
            );
        }
        Some(IpAddr::V6(from)) if to.is_ipv6() => {
            // SAFETY: in6_pktinfo is plain data, for which zero is valid.
            let mut info: libc::in6_pktinfo = unsafe { std::mem::zeroed() };
            info.ipi6_addr.s6_addr = from.octets();
            put_control(
                &mut message,
                &mut control,
                libc::IPPROTO_IPV6,
                libc::IPV6_PKTINFO,
                info,
            );
        }
        _ => {}
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: every pointer in the message is to something that lives through the call, with its true length; sendmsg writes
    // to none of them.
    let sent = unsafe { libc::sendmsg(socket, &raw const message, flags) };
    check(sent as libc::c_long)?;
    Ok(())
}

/// Makes one control message of `info`, which is plain data of at most 48 bytes.
fn put_control<T: Copy>(
    message: &mut libc::msghdr,
    control: &mut Control,
    level: libc::c_int,
    kind: libc::c_int,
    info: T,
) {
    let size = size_of::<T>() as libc::c_uint;
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
    let (space, length) = unsafe { (libc::CMSG_SPACE(size), libc::CMSG_LEN(size)) };
    assert!(
        space as usize <= size_of::<Control>(),
        "the room is for such a message"
    );
    message.msg_control = (&raw mut *control).cast();
    message.msg_controllen = space as _;
    // SAFETY: the message's control room is live, zeroed, aligned, and holds one message of this size: the first header is
    // within it, and so is its data.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = length as _;
        std::ptr::write_unaligned(libc::CMSG_DATA(header).cast::<T>(), info);
    }
}

/// The destination in the control messages that the kernel wrote.
fn destination(message: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel has set the length of what it wrote into the control room, which is live; CMSG_FIRSTHDR looks no
    // further, and answers null when not even a header fits.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    if header.is_null() {
        return None;
    }
    // SAFETY: a header that is not null lies within the room.
    let (level, kind, length) = unsafe {
        (
            (*header).cmsg_level,
            (*header).cmsg_type,
            (*header).cmsg_len as usize,
        )
    };
    match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let info: libc::in_pktinfo = read_control(header, length)?;
            let of = |address: libc::in_addr| Ipv4Addr::from(address.s_addr.to_ne_bytes());
            // The address to answer from. A datagram that came before the option was set has only its own destination,
            // which may be a broadcast's.
            let (local, sent_to) = (of(info.ipi_spec_dst), of(info.ipi_addr));
            let address = if local.is_unspecified() {
                sent_to
            } else {
                local
            };
            (!address.is_broadcast() && !address.is_multicast()).then(|| address.into())
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let info: libc::in6_pktinfo = read_control(header, length)?;
            Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
        }
        _ => None,
    }
}

fn read_control<T: Copy>(header: *const libc::cmsghdr, length: usize) -> Option<T> {
    // SAFETY: CMSG_LEN only computes.
    let needed = unsafe { libc::CMSG_LEN(size_of::<T>() as libc::c_uint) };
    if length < needed as usize {
        return None;
    }
    // SAFETY: the header says that its data is at least as long as a T, and the kernel wrote it whole; T is plain data.
    Some(unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(header).cast::<T>()) })
}

fn read_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in, which is smaller than the storage and as aligned.
            let name = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6, which is smaller than the storage and as aligned.
            let name = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            let flow = u32::from_be(name.sin6_flowinfo);
            Some(SocketAddrV6::new(ip, port, flow, name.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn write_address(address: SocketAddr) -> (MaybeUninit<libc::sockaddr_storage>, libc::socklen_t) {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let length = match address {
        SocketAddr::V4(address) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is larger than any address and as aligned.
            unsafe { storage.as_mut_ptr().cast::<libc::sockaddr_in>().write(name) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(address) => {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo().to_be(),
                sin6_addr: libc::in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: the storage is larger than any address and as aligned.
            unsafe {
                storage
                    .as_mut_ptr()
                    .cast::<libc::sockaddr_in6>()
                    .write(name)
            };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn an_answer_goes_out_from_where_the_question_came_to() {
        for (any, to) in [("0.0.0.0:0", "127.0.0.9"), ("[::]:0", "::1")] {
            let server = UdpSocket::bind(any).expect("a port");
            tell_destinations(&server, to.contains('.')).expect("an option");
            let port = server.local_addr().expect("an address").port();
            let to: IpAddr = to.parse().expect("an address");
            let client = UdpSocket::bind((if to.is_ipv4() { "127.0.0.1" } else { "::1" }, 0));
            let client = client.expect("a port");
            client.connect((to, port)).expect("connect");
            let empty = receive(&server, &mut [0; 8]).expect_err("nothing was sent");
            assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
            client.send(b"question").expect("send");
            let mut buffer = [0; 8];
            let (got, from, destination) = receive(&server, &mut buffer).expect("a datagram");
            assert_eq!(&buffer[..got], b"question");
            assert_eq!(from, client.local_addr().expect("an address"));
            assert_eq!(destination, Some(to));
            send(&server, b"answer", from, destination).expect("send");
            // The client is connected: it hears nobody else.
            let got = client.recv(&mut buffer).expect("an answer");
            assert_eq!(&buffer[..got], b"answer");
        }
    }

    #[test]
    fn without_the_option_the_destination_is_not_known() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let to = server.local_addr().expect("an address");
        send(&server, b"self", to, None).expect("send");
        let (got, from, destination) = receive(&server, &mut [0; 2]).expect("a datagram");
        assert_eq!((got, from, destination), (2, to, None));
    }
}
