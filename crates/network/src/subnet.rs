//! A range of addresses in CIDR notation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `address/prefix`. The address may have bits behind the prefix, as a gateway's `172.17.0.1/16` has;
/// [`Subnet::masked`] takes them away. Equality looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subnet {
    /// An address in the range, often its first.
    pub address: IpAddr,
    /// How many leading bits are the network's: at most 32 or 128, more counts as these.
    pub prefix: u8,
}

/// Not `address/prefix`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {text}")]
pub struct ParseError {
    /// What was given.
    pub text: String,
}

impl Subnet {
    /// The range; `None` when the prefix is longer than the address.
    #[must_use]
    pub fn new(address: impl Into<IpAddr>, prefix: u8) -> Option<Self> {
        let address = address.into();
        (u32::from(prefix) <= width(address)).then_some(Self { address, prefix })
    }

    /// Only this address.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }

    /// Whether it is of IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Its first address, which names the network.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        from_bits(self.address, bits(self.address) & !self.host_mask())
    }

    /// Its last address: IPv4's broadcast address where the prefix is at most 30, an ordinary one for IPv6.
    #[must_use]
    pub fn broadcast(&self) -> IpAddr {
        from_bits(self.address, bits(self.address) | self.host_mask())
    }

    /// The same range, named by its first address.
    #[must_use]
    pub fn masked(&self) -> Self {
        Self {
            address: self.network(),
            prefix: self.prefix,
        }
    }

    /// How many addresses it has, first and last included; `u128::MAX` stands for 2^128.
    #[must_use]
    pub fn size(&self) -> u128 {
        self.host_mask().saturating_add(1)
    }

    /// The address so many places behind the first; `None` outside the range.
    #[must_use]
    pub fn nth(&self, place: u128) -> Option<IpAddr> {
        (place <= self.host_mask()).then(|| from_bits(self.address, bits(self.network()) + place))
    }

    /// How many places behind the first an address stands; `None` outside the range.
    #[must_use]
    pub fn place(&self, address: IpAddr) -> Option<u128> {
        self.contains(address)
            .then(|| bits(address) - bits(self.network()))
    }

    /// Whether the address is in the range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.is_ipv4() == address.is_ipv4()
            && (bits(address) ^ bits(self.address)) & !self.host_mask() == 0
    }

    /// Whether all of the other is in the range.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.contains(other.network()) && self.contains(other.broadcast())
    }

    /// Whether some address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        // Ranges of this kind lie apart or one in the other.
        self.contains(other.network()) || other.contains(self.network())
    }

    /// The bits behind the prefix, set.
    fn host_mask(&self) -> u128 {
        let host = width(self.address).saturating_sub(u32::from(self.prefix));
        match 1u128.checked_shl(host) {
            Some(size) => size - 1,
            None => u128::MAX,
        }
    }
}

/// How many bits the address has.
fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// An address of the family of `like`.
fn from_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(
            u32::try_from(bits).expect("32 bits came in, and a mask of 32 bits changed them"),
        )
        .into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            // Digits alone: the number parser would take "+8" too, and nobody writes "08".
            let is_plain = prefix.bytes().all(|byte| byte.is_ascii_digit())
                && (prefix == "0" || !prefix.starts_with('0'));
            let prefix = is_plain.then(|| prefix.parse().ok())??;
            Self::new(address.parse::<IpAddr>().ok()?, prefix)
        };
        parse().ok_or_else(|| ParseError {
            text: text.to_owned(),
        })
    }
}

impl Serialize for Subnet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a subnet")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn text_is_read_and_written_the_same() {
        for text in [
            "172.17.0.1/16",
            "0.0.0.0/0",
            "10.0.0.0/32",
            "fd00::/8",
            "::/0",
            "::1/128",
        ] {
            assert_eq!(subnet(text).to_string(), text);
        }
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
            "10.0.0.0/999",
        ] {
            let error = text.parse::<Subnet>().expect_err(text);
            assert_eq!(error.to_string(), format!("invalid CIDR address: {text}"));
        }
    }

    #[test]
    fn first_last_and_nth() {
        let check = |text: &str, first: &str, last: &str, size: u128| {
            let range = subnet(text);
            assert_eq!(range.network(), address(first));
            assert_eq!(range.broadcast(), address(last));
            assert_eq!(range.size(), size);
            assert_eq!(range.nth(0), Some(address(first)));
            assert_eq!(range.nth(size - 1), Some(address(last)));
            assert_eq!(range.nth(size), None);
            assert_eq!(range.place(address(last)), Some(size - 1));
            assert_eq!(range.masked().address, address(first));
        };
        check("172.17.5.1/16", "172.17.0.0", "172.17.255.255", 65_536);
        check("10.1.2.3/32", "10.1.2.3", "10.1.2.3", 1);
        check("10.1.2.3/31", "10.1.2.2", "10.1.2.3", 2);
        check("0.0.0.0/0", "0.0.0.0", "255.255.255.255", 1 << 32);
        check("fd00::5/64", "fd00::", "fd00::ffff:ffff:ffff:ffff", 1 << 64);
        let all = subnet("::/0");
        assert_eq!(all.size(), u128::MAX, "as near as it gets");
        assert_eq!(all.nth(u128::MAX), Some(all.broadcast()));
        assert_eq!(
            Subnet {
                address: address("10.0.0.1"),
                prefix: 200
            }
            .size(),
            1
        );
    }

    #[test]
    fn overlap_is_mutual_and_needs_the_same_family() {
        let check = |one: &str, other: &str, expect: bool| {
            assert_eq!(subnet(one).overlaps(&subnet(other)), expect);
            assert_eq!(subnet(other).overlaps(&subnet(one)), expect);
        };
        check("10.0.0.0/8", "10.200.0.0/24", true);
        check("10.0.0.0/24", "10.0.1.0/24", false);
        check("10.0.0.9/24", "10.0.0.200/25", true);
        check("10.0.0.9/25", "10.0.0.200/25", false);
        check("0.0.0.0/0", "192.168.1.1/32", true);
        check("0.0.0.0/0", "::/0", false);
        check("fd00::/64", "fd00:0:0:0:1::/80", true);
        assert!(subnet("10.0.0.0/8").covers(&subnet("10.9.0.0/16")));
        assert!(!subnet("10.9.0.0/16").covers(&subnet("10.0.0.0/8")));
        assert!(!subnet("::/0").contains(address("10.0.0.1")));
    }
}
