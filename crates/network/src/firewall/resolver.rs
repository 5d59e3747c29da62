//! Inside a container's namespace: port 53 of 127.0.0.11 leads to wherever the resolver's sockets are, so that a
//! container may have a name server of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use netlink::nft::{Base, Chain, ChainKind, Change, Family, Hook, Policy, Rule, commit, tables};
use netlink::socket::Socket;

use crate::firewall::error::Error;
use crate::firewall::words::{DESTINATION_PORT, destination_of, is, rule, translate_to, transport};
use crate::namespace::within;

/// Where containers look for names.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const TABLE: &str = "estiva_resolver";
const CHAIN: &str = "output";
const NAMES: [u8; 2] = 53u16.to_be_bytes();
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Leads 127.0.0.11:53 in a network namespace to these ports of 127.0.0.11, instead of to those of an earlier call.
///
/// # Errors
/// [`Error::Enter`] or [`Error::Resolver`]; nothing has changed then.
pub fn redirect(namespace: BorrowedFd<'_>, udp: u16, tcp: u16) -> Result<(), Error> {
    let socket = within(namespace, Socket::netfilter)
        .map_err(|source| Error::Enter { source })?
        .map_err(|source| Error::Resolver { source })?;
    // Deleting costs: a socket that closes behind a deletion waits until every CPU has let go of what was deleted.
    let is_there = tables(&socket)
        .map_err(|source| Error::Resolver { source })?
        .contains(&(Family::Ip, TABLE.to_owned()));
    let mut changes = Vec::new();
    if is_there {
        // Made first, should the container have deleted it meanwhile: deleting what is not there would fail.
        changes.push(Change::AddTable(Family::Ip, TABLE.to_owned()));
        changes.push(Change::DeleteTable(Family::Ip, TABLE.to_owned()));
    }
    changes.extend(plan(udp, tcp));
    commit(&socket, &changes).map_err(|source| Error::Resolver { source })
}

fn plan(udp: u16, tcp: u16) -> Vec<Change> {
    let table = || TABLE.to_owned();
    let lead = |protocol, port| {
        Change::AddRule(Rule {
            family: Family::Ip,
            table: table(),
            chain: CHAIN.into(),
            expressions: rule([
                is(destination_of(Family::Ip), &RESOLVER.octets()),
                transport(protocol),
                is(DESTINATION_PORT, &NAMES),
                translate_to(Family::Ip, IpAddr::V4(RESOLVER), port),
            ]),
            comment: None,
        })
    };
    vec![
        Change::AddTable(Family::Ip, table()),
        Change::AddChain(Chain {
            family: Family::Ip,
            table: table(),
            name: CHAIN.into(),
            base: Some(Base {
                kind: ChainKind::Nat,
                hook: Hook::Output,
                priority: -100,
                policy: Policy::Accept,
            }),
        }),
        lead(UDP, udp),
        lead(TCP, tcp),
    ]
}
