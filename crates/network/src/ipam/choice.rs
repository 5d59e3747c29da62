//! Which subnet a new network gets when nobody names one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Error;
use crate::subnet::Subnet;

/// Blocks of IPv4 and the size of the networks cut from them, in the order in which they are used: Docker's own pools
/// first, then what is left of the private and other local blocks (RFC 1918, RFC 6598, RFC 2544).
const BLOCKS: [(Ipv4Addr, u8, u8); 9] = [
    (Ipv4Addr::new(172, 18, 0, 0), 15, 16),
    (Ipv4Addr::new(172, 20, 0, 0), 14, 16),
    (Ipv4Addr::new(172, 24, 0, 0), 13, 16),
    (Ipv4Addr::new(192, 168, 0, 0), 16, 20),
    (Ipv4Addr::new(10, 0, 0, 0), 8, 24),
    (Ipv4Addr::new(100, 64, 0, 0), 10, 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15, 24),
    // Last, since the default network comes here first.
    (Ipv4Addr::new(172, 17, 0, 0), 16, 16),
    (Ipv4Addr::new(172, 16, 0, 0), 16, 16),
];
/// Where Docker puts its default network.
const DEFAULT: Subnet = Subnet {
    address: IpAddr::V4(Ipv4Addr::new(172, 17, 0, 0)),
    prefix: 16,
};
/// A route that is wider than this is a way to the world (a VPN may cut its default route into several), not a place that
/// somebody is at.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 16;

/// A prefix of 48 bits for unique local addresses of IPv6. See RFC 4193.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ula([u8; 6]);

impl Ula {
    /// A prefix that nobody else has, in all likelihood; to be made once per daemon and kept.
    ///
    /// # Errors
    /// The errno of getrandom(2).
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 6];
        rustix::rand::getrandom(&mut bytes[1..], rustix::rand::GetRandomFlags::empty())?;
        bytes[0] = 0xfd;
        Ok(Self(bytes))
    }

    /// The prefix of an address, if it is one for unique local addresses that are assigned locally (fd00::/8).
    #[must_use]
    pub fn of(address: Ipv6Addr) -> Option<Self> {
        let octets = address.octets();
        let bytes = octets.first_chunk::<6>()?;
        (bytes[0] == 0xfd).then_some(Self(*bytes))
    }

    /// The prefix as a subnet of 48 bits.
    #[must_use]
    pub fn subnet(self) -> Subnet {
        let mut octets = [0; 16];
        octets[..6].copy_from_slice(&self.0);
        Subnet {
            address: Ipv6Addr::from(octets).into(),
            prefix: 48,
        }
    }
}

/// A free subnet: of IPv4, or 64 bits wide below a prefix of IPv6. `taken` is what the host routes or has addresses in and
/// what other networks have; routes to the whole world in it do not count.
///
/// # Errors
/// [`Error::NoSubnet`].
pub fn choose(taken: &[Subnet], v6: Option<Ula>) -> Result<Subnet, Error> {
    let mut taken: Vec<Subnet> = taken.iter().filter(|s| is_a_place(s)).copied().collect();
    taken.sort_by_key(Subnet::network);
    if let Some(ula) = v6 {
        return first_free(ula.subnet(), 64, &taken).ok_or(Error::NoSubnet);
    }
    let mut blocks = BLOCKS.iter().map(|&(address, prefix, size)| {
        let address = address.into();
        (Subnet { address, prefix }, size)
    });
    blocks
        .find_map(|(block, size)| first_free(block, size, &taken))
        .ok_or(Error::NoSubnet)
}

/// The subnet of the default network: Docker's, if it is free, else as [`choose`].
///
/// # Errors
/// [`Error::NoSubnet`].
pub fn choose_default(taken: &[Subnet]) -> Result<Subnet, Error> {
    let meets = |other: &Subnet| is_a_place(other) && DEFAULT.overlaps(other);
    if taken.iter().any(meets) {
        choose(taken, None)
    } else {
        Ok(DEFAULT)
    }
}

/// The first subnet of a list that a wanted one overlaps.
#[must_use]
pub fn conflicts(wanted: &Subnet, taken: &[Subnet]) -> Option<Subnet> {
    taken.iter().find(|other| wanted.overlaps(other)).copied()
}

fn is_a_place(subnet: &Subnet) -> bool {
    let widest = if subnet.is_ipv4() {
        WIDEST_V4
    } else {
        WIDEST_V6
    };
    subnet.prefix >= widest
}

/// The first part of a block, `size` bits of prefix, that overlaps nothing. `taken` is in the order of first addresses: one
/// walk along it finds the first gap.
fn first_free(block: Subnet, size: u8, taken: &[Subnet]) -> Option<Subnet> {
    let at = |place| {
        let address = block.nth(place)?;
        Some(Subnet {
            address,
            prefix: size,
        })
    };
    let mut place = 0;
    for other in taken.iter().filter(|other| other.overlaps(&block)) {
        let candidate = at(place)?;
        if candidate.overlaps(other) {
            // Behind whichever of the two is wider; one that ends beyond the block leaves nothing of it.
            let wider = if other.prefix < size {
                *other
            } else {
                candidate
            };
            place = block.place(wider.broadcast())?.checked_add(1)?;
        } else if candidate.network() < other.network() {
            break;
        }
    }
    at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a subnet")
    }

    fn subnets(texts: &[&str]) -> Vec<Subnet> {
        texts.iter().map(|text| subnet(text)).collect()
    }

    #[test]
    fn dockers_pools_come_first() {
        assert_eq!(choose_default(&[]), Ok(subnet("172.17.0.0/16")));
        let mut taken = subnets(&["172.17.0.0/16"]);
        let mut got = Vec::new();
        for _ in 0..31 {
            let next = choose(&taken, None).expect("a subnet");
            got.push(next.to_string());
            taken.push(next);
        }
        let mut expect: Vec<String> = (18..32).map(|n| format!("172.{n}.0.0/16")).collect();
        expect.extend((0..16).map(|n| format!("192.168.{}.0/20", n * 16)));
        expect.push("10.0.0.0/24".to_owned());
        assert_eq!(got, expect);
    }

    #[test]
    fn five_hundred_networks_do_not_overlap() {
        let mut taken = subnets(&["10.0.0.0/16", "172.20.0.0/14", "192.168.1.0/24"]);
        for _ in 0..500 {
            let next = choose(&taken, None).expect("a subnet");
            assert_eq!(conflicts(&next, &taken), None, "{next}");
            taken.push(next);
        }
    }

    #[test]
    fn a_vpn_that_routes_all_private_addresses_leaves_room() {
        let mut taken = subnets(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]);
        for _ in 0..500 {
            let next = choose(&taken, None).expect("a subnet");
            assert!(next.to_string().starts_with("100."), "{next}");
            taken.push(next);
        }
        assert!(
            choose_default(&taken)
                .expect("a subnet")
                .to_string()
                .starts_with("100.")
        );
    }

    #[test]
    fn a_default_route_in_pieces_is_no_conflict() {
        let taken = subnets(&["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0"]);
        assert_eq!(choose_default(&taken), Ok(subnet("172.17.0.0/16")));
        assert_eq!(choose(&taken, None), Ok(subnet("172.18.0.0/16")));
    }

    #[test]
    fn small_things_in_a_pool_are_gone_around() {
        let taken = subnets(&["172.17.5.1/32", "172.18.255.0/24", "172.19.0.0/30"]);
        assert_eq!(choose_default(&taken), Ok(subnet("172.20.0.0/16")));
    }

    #[test]
    fn when_nothing_is_left_it_is_said() {
        let taken = subnets(&[
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "198.18.0.0/15",
        ]);
        let error = choose(&taken, None).expect_err("nothing is left");
        assert_eq!(
            error.to_string(),
            "all predefined address pools have been fully subnetted"
        );
    }

    #[test]
    fn networks_of_ipv6_lie_below_the_daemons_prefix() {
        let ula = Ula::random().expect("random bytes");
        assert!(ula.subnet().to_string().starts_with("fd"));
        let IpAddr::V6(address) = ula.subnet().address else {
            panic!("IPv6");
        };
        assert_eq!(Ula::of(address), Some(ula));
        assert_eq!(Ula::of(Ipv6Addr::LOCALHOST), None);
        let mut taken = Vec::new();
        for _ in 0..500 {
            let next = choose(&taken, Some(ula)).expect("a subnet");
            assert_eq!(next.prefix, 64);
            assert!(next.overlaps(&ula.subnet()));
            assert_eq!(conflicts(&next, &taken), None);
            taken.push(next);
        }
    }
}
