//! Which subnets and addresses are free: pure, without the kernel.
//!
//! A [`Pool`] gives out the addresses of one subnet; [`choose`] finds a subnet for a new network among all that nobody on the
//! host routes. Nothing here is stored: the engine rebuilds the pools from what its containers have.

mod choice;

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::subnet::Subnet;

pub use choice::{Ula, choose, choose_default, conflicts};

/// A subnet or address that cannot be given. The texts are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another network of ours has it, or part of it.
    #[error(
        "invalid pool request: Pool overlaps with other one on this address space: {wanted} and {other}, which is in use"
    )]
    Overlap {
        /// What was asked for.
        wanted: Subnet,
        /// What is there.
        other: Subnet,
    },
    /// Every subnet that we choose from is in use.
    #[error("all predefined address pools have been fully subnetted")]
    NoSubnet,
    /// A network's description contradicts itself; one line for each reason.
    #[error("invalid network config:\n{}", reasons.join("\n"))]
    Description {
        /// Why, each as Docker says it.
        reasons: Vec<String>,
    },
    /// Another endpoint has the address, or it is the gateway's or an auxiliary one.
    #[error("Address already in use")]
    InUse {
        /// The address.
        address: IpAddr,
    },
    /// An auxiliary address is the gateway's, or another auxiliary one's.
    #[error("failed to allocate secondary ip address ({name}:{address}): Address already in use")]
    Auxiliary {
        /// What it is called.
        name: String,
        /// The address.
        address: IpAddr,
    },
    /// The address is not of this subnet, or is the subnet's own or its broadcast address.
    #[error("Requested address is out of range")]
    OutOfRange {
        /// The address.
        address: IpAddr,
    },
    /// Every address of the network is in use.
    #[error("no available {} addresses on this network's address pools: {network}", family(*version))]
    NoAddress {
        /// 4 or 6.
        version: u8,
        /// As [`Pool::named`] was told: `NAME (ID)`.
        network: String,
    },
}

impl Error {
    /// What it means to whoever asked; as Docker's status numbers.
    #[must_use]
    pub fn kind(&self) -> fault::Kind {
        match self {
            Self::Overlap { .. } | Self::InUse { .. } | Self::Auxiliary { .. } => {
                fault::Kind::Denied
            }
            Self::Description { .. } | Self::OutOfRange { .. } | Self::NoSubnet => {
                fault::Kind::Invalid
            }
            Self::NoAddress { .. } => fault::Kind::Unavailable,
        }
    }
}

fn family(version: u8) -> &'static str {
    if version == 4 { "IPv4" } else { "IPv6" }
}

/// The addresses of one subnet of a network.
///
/// The lowest free address is given first, as Docker does. Positions are counted from the subnet's first address.
#[derive(Debug, Clone)]
pub struct Pool {
    subnet: Subnet,
    network: String,
    gateway: Option<IpAddr>,
    /// From where addresses are picked: first and last position.
    range: (u128, u128),
    /// What can be asked for: first and last position.
    usable: (u128, u128),
    taken: BTreeSet<u128>,
    /// The gateway and the auxiliary addresses, which are never given back.
    reserved: BTreeSet<u128>,
    /// No free position of the range lies before it.
    hint: u128,
}

impl Pool {
    /// All addresses free but the gateway's and the auxiliary ones. Without a gateway, the first address of the range (or
    /// subnet) is taken for it.
    ///
    /// # Errors
    /// [`Error::Description`] as [`validate`]; [`Error::Auxiliary`] when gateway and auxiliary addresses coincide;
    /// [`Error::NoAddress`] when no address is left for the gateway.
    pub fn new(
        subnet: Subnet,
        range: Option<Subnet>,
        gateway: Option<IpAddr>,
        aux: &[(String, IpAddr)],
    ) -> Result<Self, Error> {
        validate(&subnet, range.as_ref(), gateway, aux)?;
        let mut pool = Self::untouched(subnet, range);
        if let Some(gateway) = gateway {
            pool.reserve(gateway)?;
        }
        pool.reserve_all(aux)?;
        let gateway = match gateway {
            Some(gateway) => gateway,
            None => {
                let lowest = pool.address(pool.lowest_free()?);
                pool.reserve(lowest)?;
                lowest
            }
        };
        pool.gateway = Some(gateway);
        Ok(pool)
    }

    /// As [`Pool::new`], for a network that has no address itself.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn without_gateway(
        subnet: Subnet,
        range: Option<Subnet>,
        aux: &[(String, IpAddr)],
    ) -> Result<Self, Error> {
        validate(&subnet, range.as_ref(), None, aux)?;
        let mut pool = Self::untouched(subnet, range);
        pool.reserve_all(aux)?;
        Ok(pool)
    }

    /// All addresses free; the range is one of the subnet.
    fn untouched(subnet: Subnet, range: Option<Subnet>) -> Self {
        let usable = usable(&subnet);
        let picked = match &range {
            None => usable,
            Some(range) => {
                let place = |address| subnet.place(address).expect("the range is in the subnet");
                let (first, last) = (place(range.network()), place(range.broadcast()));
                (first.max(usable.0), last.min(usable.1))
            }
        };
        Self {
            network: subnet.to_string(),
            subnet,
            gateway: None,
            range: picked,
            usable,
            taken: BTreeSet::new(),
            reserved: BTreeSet::new(),
            hint: picked.0,
        }
    }

    /// Under which name errors speak of the network: `NAME (ID)`.
    #[must_use]
    pub fn named(mut self, network: impl Into<String>) -> Self {
        self.network = network.into();
        self
    }

    /// The subnet.
    #[must_use]
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// The network's own address in it, if it has one.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        self.gateway
    }

    /// Gives the lowest free address, or the one that is asked for (which need not be in the range).
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::InUse`], [`Error::NoAddress`].
    pub fn take(&mut self, wanted: Option<IpAddr>) -> Result<IpAddr, Error> {
        let position = match wanted {
            Some(address) => self.position(address)?,
            None => self.lowest_free()?,
        };
        if !self.taken.insert(position) {
            let address = self.address(position);
            return Err(Error::InUse { address });
        }
        if wanted.is_none() {
            self.hint = position + 1;
        }
        Ok(self.address(position))
    }

    /// Takes an address back; one that was not given, or is reserved, stays as it is.
    pub fn give_back(&mut self, address: IpAddr) {
        let Ok(position) = self.position(address) else {
            return;
        };
        if self.reserved.contains(&position) || !self.taken.remove(&position) {
            return;
        }
        if (self.range.0..=self.range.1).contains(&position) {
            self.hint = self.hint.min(position);
        }
    }

    /// How many addresses are given, reserved ones among them.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.taken.len()
    }

    fn reserve_all(&mut self, aux: &[(String, IpAddr)]) -> Result<(), Error> {
        aux.iter().try_for_each(|(name, address)| {
            self.reserve(*address).map_err(|_| Error::Auxiliary {
                name: name.clone(),
                address: *address,
            })
        })
    }

    fn reserve(&mut self, address: IpAddr) -> Result<(), Error> {
        // A gateway may be any address of its subnet: in one of two addresses there is no other.
        let out = Error::OutOfRange { address };
        let position = self.subnet.place(address).ok_or(out)?;
        if !self.taken.insert(position) {
            return Err(Error::InUse { address });
        }
        self.reserved.insert(position);
        Ok(())
    }

    fn position(&self, address: IpAddr) -> Result<u128, Error> {
        let usable = self.usable.0..=self.usable.1;
        let place = self.subnet.place(address);
        place
            .filter(|position| usable.contains(position))
            .ok_or(Error::OutOfRange { address })
    }

    fn lowest_free(&self) -> Result<u128, Error> {
        let mut candidate = self.hint;
        for &taken in self.taken.range(self.hint..) {
            if taken != candidate {
                break;
            }
            candidate += 1;
        }
        if candidate > self.range.1 {
            return Err(Error::NoAddress {
                version: if self.subnet.is_ipv4() { 4 } else { 6 },
                network: self.network.clone(),
            });
        }
        Ok(candidate)
    }

    fn address(&self, position: u128) -> IpAddr {
        let address = self.subnet.nth(position);
        address.expect("positions are those of the subnet's addresses")
    }
}

/// Says in Docker's words what is wrong with a network's description.
///
/// # Errors
/// [`Error::Description`] with every reason.
pub fn validate(
    subnet: &Subnet,
    range: Option<&Subnet>,
    gateway: Option<IpAddr>,
    aux: &[(String, IpAddr)],
) -> Result<(), Error> {
    let mut reasons = Vec::new();
    if subnet.masked() != *subnet {
        reasons.push(format!(
            "invalid subnet {subnet}: it should be {}",
            subnet.masked()
        ));
    }
    let version = if subnet.is_ipv4() { "IPv4" } else { "IPv6" };
    if let Some(range) = range {
        if range.is_ipv4() != subnet.is_ipv4() {
            reasons.push(format!(
                "invalid ip-range {range}: parent subnet is an {version} block"
            ));
        } else {
            if range.prefix < subnet.prefix {
                reasons.push(format!(
                    "invalid ip-range {range}: CIDR block is bigger than its parent subnet {subnet}"
                ));
            }
            if range.masked() != *range {
                reasons.push(format!(
                    "invalid ip-range {range}: it should be {}",
                    range.masked()
                ));
            }
            if !subnet.overlaps(range) {
                reasons.push(format!(
                    "invalid ip-range {range}: parent subnet {subnet} doesn't contain ip-range"
                ));
            }
        }
    }
    let mut check = |what: String, address: IpAddr| {
        if address.is_ipv4() != subnet.is_ipv4() {
            reasons.push(format!(
                "invalid {what}: parent subnet is an {version} block"
            ));
        } else if !subnet.contains(address) {
            reasons.push(format!(
                "invalid {what}: parent subnet {subnet} doesn't contain this address"
            ));
        }
    };
    if let Some(gateway) = gateway {
        check(format!("gateway {gateway}"), gateway);
    }
    for (name, address) in aux {
        check(format!("auxiliary address {name}"), *address);
    }
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(Error::Description { reasons })
    }
}

/// First and last position that an endpoint may have: not the subnet's own address and, in IPv4, not the broadcast
/// address. A subnet of one or two addresses has neither (RFC 3021).
fn usable(subnet: &Subnet) -> (u128, u128) {
    let last = last_place(subnet);
    if last <= 1 {
        return (0, last);
    }
    let broadcast = u128::from(subnet.is_ipv4());
    (1, last - broadcast)
}

fn last_place(subnet: &Subnet) -> u128 {
    let last = subnet.place(subnet.broadcast());
    last.expect("a subnet's last address is in it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a subnet")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn pool(text: &str) -> Pool {
        Pool::new(subnet(text), None, None, &[]).expect("a pool")
    }

    /// A small generator of numbers that are the same in every run (xorshift64).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % end
        }
    }

    #[test]
    fn addresses_come_from_the_lowest_on() {
        let mut pool = pool("172.17.0.0/16");
        assert_eq!(pool.gateway(), Some(ip("172.17.0.1")));
        let got: Vec<_> = (0..3).map(|_| pool.take(None).expect("free")).collect();
        assert_eq!(got, ["172.17.0.2", "172.17.0.3", "172.17.0.4"].map(ip));
        pool.give_back(ip("172.17.0.3"));
        assert_eq!(pool.take(None), Ok(ip("172.17.0.3")));
        assert_eq!(pool.take(None), Ok(ip("172.17.0.5")));
    }

    #[test]
    fn nothing_is_given_twice_whatever_comes_and_goes() {
        for (text, seed) in [("10.1.2.0/27", 1), ("fd00:1::/64", 2), ("10.1.2.0/30", 3)] {
            let subnet = subnet(text);
            let mut pool = Pool::new(subnet, None, None, &[]).expect("a pool");
            let mut held: Vec<IpAddr> = Vec::new();
            let mut dice = Dice(seed);
            for _ in 0..5_000 {
                match dice.below(3) {
                    0 if !held.is_empty() => {
                        let index = dice.below(held.len() as u64) as usize;
                        pool.give_back(held.swap_remove(index));
                    }
                    1 => {
                        let Some(wanted) = subnet.nth(u128::from(dice.below(40))) else {
                            continue;
                        };
                        let free = !held.contains(&wanted) && Some(wanted) != pool.gateway();
                        match pool.take(Some(wanted)) {
                            Ok(got) => {
                                assert!(free && got == wanted, "{wanted} was held");
                                held.push(got);
                            }
                            Err(Error::InUse { .. }) => assert!(!free, "{wanted} was free"),
                            Err(Error::OutOfRange { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    _ => match pool.take(None) {
                        Ok(got) => {
                            assert!(!held.contains(&got) && Some(got) != pool.gateway(), "{got}");
                            assert!(subnet.contains(got), "{got}");
                            held.push(got);
                        }
                        Err(error) => assert!(matches!(error, Error::NoAddress { .. })),
                    },
                }
                assert_eq!(pool.in_use(), held.len() + 1);
            }
        }
    }

    #[test]
    fn a_full_pool_gave_every_address_but_its_own_and_the_broadcast() {
        let mut pool = pool("192.168.7.0/29").named("front (abc)");
        let got: Vec<_> = std::iter::from_fn(|| pool.take(None).ok()).collect();
        let expect: Vec<_> = (2..=6).map(|n| ip(&format!("192.168.7.{n}"))).collect();
        assert_eq!(got, expect);
        assert_eq!(
            pool.take(None).expect_err("full").to_string(),
            "no available IPv4 addresses on this network's address pools: front (abc)"
        );
        pool.give_back(ip("192.168.7.4"));
        assert_eq!(pool.take(None), Ok(ip("192.168.7.4")));
    }

    #[test]
    fn gateway_and_auxiliary_addresses_are_nobodys() {
        let aux = [("router".to_owned(), ip("10.0.0.2"))];
        let mut pool =
            Pool::new(subnet("10.0.0.0/24"), None, Some(ip("10.0.0.254")), &aux).expect("a pool");
        for taken in ["10.0.0.254", "10.0.0.2"] {
            pool.give_back(ip(taken));
            let error = pool.take(Some(ip(taken))).expect_err("reserved");
            assert_eq!(error.to_string(), "Address already in use");
        }
        for outside in ["10.0.0.0", "10.0.0.255", "10.0.1.1", "fd00::1"] {
            let error = pool.take(Some(ip(outside))).expect_err("not to be given");
            assert!(matches!(error, Error::OutOfRange { .. }), "{outside}");
        }
        let got: Vec<_> = (0..2).map(|_| pool.take(None).expect("free")).collect();
        assert_eq!(got, ["10.0.0.1", "10.0.0.3"].map(ip));
        let twice = Pool::new(subnet("10.0.0.0/24"), None, Some(ip("10.0.0.2")), &aux);
        assert_eq!(
            twice.expect_err("they coincide").to_string(),
            "failed to allocate secondary ip address (router:10.0.0.2): Address already in use"
        );
    }

    #[test]
    fn a_network_without_an_address_gives_the_first_away() {
        let aux = [("router".to_owned(), ip("10.0.0.2"))];
        let pool = Pool::without_gateway(subnet("10.0.0.0/24"), None, &aux);
        let mut pool = pool.expect("a pool");
        assert_eq!(pool.gateway(), None);
        let got: Vec<_> = (0..2).map(|_| pool.take(None).expect("free")).collect();
        assert_eq!(got, ["10.0.0.1", "10.0.0.3"].map(ip));
        let outside = Some(subnet("10.0.1.0/28"));
        assert!(Pool::without_gateway(subnet("10.0.0.0/24"), outside, &[]).is_err());
    }

    #[test]
    fn addresses_are_picked_from_the_range_and_may_be_asked_for_beside_it() {
        let range = Some(subnet("172.28.5.0/30"));
        let gateway = Some(ip("172.28.5.254"));
        let mut pool = Pool::new(subnet("172.28.0.0/16"), range, gateway, &[]).expect("a pool");
        let beside = ip("172.28.9.9");
        assert_eq!(pool.take(Some(beside)), Ok(beside));
        let got: Vec<_> = std::iter::from_fn(|| pool.take(None).ok()).collect();
        let expect: Vec<_> = (0..=3).map(|n| ip(&format!("172.28.5.{n}"))).collect();
        assert_eq!(got, expect);
        pool.give_back(beside);
        assert!(pool.take(None).is_err());
        // A range at the subnet's edge keeps clear of its own address and the broadcast's.
        for (range, expect) in [("10.9.0.0/30", "10.9.0.1"), ("10.9.0.252/30", "10.9.0.252")] {
            let pool = Pool::new(subnet("10.9.0.0/24"), Some(subnet(range)), None, &[]);
            let mut pool = pool.expect("a pool");
            assert_eq!(pool.gateway(), Some(ip(expect)));
            let given = std::iter::from_fn(|| pool.take(None).ok()).count();
            assert_eq!(given, 2, "{range}");
        }
    }

    #[test]
    fn the_smallest_and_the_largest_subnets_work() {
        let mut two = pool("10.0.0.0/31");
        assert_eq!(two.gateway(), Some(ip("10.0.0.0")));
        assert_eq!(two.take(None), Ok(ip("10.0.0.1")));
        assert!(two.take(None).is_err());
        assert!(pool("10.0.0.9/32").take(None).is_err());
        let mut all = pool("::/0");
        assert_eq!(all.take(None), Ok(ip("::2")));
        let last = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(all.take(Some(last)), Ok(last));
        let mut all = pool("0.0.0.0/0");
        assert_eq!(all.take(None), Ok(ip("0.0.0.2")));
    }

    #[test]
    fn what_is_wrong_with_a_description_is_said_in_dockers_words() {
        let check = |net: &str, range: Option<&str>, gateway: Option<&str>, expect: &[&str]| {
            let aux: Vec<_> = gateway
                .map(|g| ("DefaultGatewayIPv4".to_owned(), ip(g)))
                .into_iter()
                .collect();
            let range = range.map(subnet);
            let got = validate(&subnet(net), range.as_ref(), gateway.map(ip), &aux);
            let Err(Error::Description { reasons }) = got else {
                panic!("{net} is wrong");
            };
            assert_eq!(reasons, expect);
        };
        check(
            "10.10.10.0/8",
            None,
            None,
            &["invalid subnet 10.10.10.0/8: it should be 10.0.0.0/8"],
        );
        check(
            "10.0.0.0/8",
            Some("192.168.0.1/24"),
            Some("192.168.0.1"),
            &[
                "invalid ip-range 192.168.0.1/24: it should be 192.168.0.0/24",
                "invalid ip-range 192.168.0.1/24: parent subnet 10.0.0.0/8 doesn't contain ip-range",
                "invalid gateway 192.168.0.1: parent subnet 10.0.0.0/8 doesn't contain this address",
                "invalid auxiliary address DefaultGatewayIPv4: parent subnet 10.0.0.0/8 doesn't contain this address",
            ],
        );
        check(
            "10.10.10.0/24",
            Some("2001:db8::/32"),
            Some("2001:db8::1"),
            &[
                "invalid ip-range 2001:db8::/32: parent subnet is an IPv4 block",
                "invalid gateway 2001:db8::1: parent subnet is an IPv4 block",
                "invalid auxiliary address DefaultGatewayIPv4: parent subnet is an IPv4 block",
            ],
        );
        check(
            "10.10.10.0/24",
            Some("10.0.0.0/8"),
            None,
            &[
                "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.10.10.0/24",
            ],
        );
    }
}
