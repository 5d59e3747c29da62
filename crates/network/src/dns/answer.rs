//! What we know ourselves: a query and a view in, records out. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{Query, Record, kind};
use super::{View, Zone};
use crate::ports::Protocol;

/// Services by name, for SRV; the ports that containers commonly offer. See the IANA's registry of service names.
const SERVICES: [(&str, u16); 20] = [
    ("amqp", 5672),
    ("domain", 53),
    ("etcd-client", 2379),
    ("ftp", 21),
    ("http", 80),
    ("http-alt", 8080),
    ("https", 443),
    ("imap", 143),
    ("kerberos", 88),
    ("ldap", 389),
    ("memcache", 11211),
    ("mongodb", 27017),
    ("mqtt", 1883),
    ("mysql", 3306),
    ("nfs", 2049),
    ("postgresql", 5432),
    ("redis", 6379),
    ("smtp", 25),
    ("ssh", 22),
    ("xmpp-client", 5222),
];

/// The records for a query about a name of ours; none when the name is not ours. An empty list says that there is such a
/// name, but nothing of the type that was asked for.
pub(super) fn records(view: &View, query: &Query) -> Option<Vec<Record>> {
    let name = query.name.as_deref().filter(|name| !name.is_empty())?;
    match query.kind {
        kind::PTR => pointers(view, name),
        kind::SRV => services(view, name).or_else(|| addresses(view, name).map(|_| Vec::new())),
        wanted => addresses(view, name).map(|all| {
            let of_kind = all.into_iter().filter(|address| match wanted {
                kind::A => address.is_ipv4(),
                kind::AAAA => address.is_ipv6(),
                other => other == kind::ANY,
            });
            of_kind.map(Record::Address).collect()
        }),
    }
}

/// The addresses of a name: as it stands in one of the networks, or as `name.network`.
fn addresses(view: &View, name: &str) -> Option<Vec<IpAddr>> {
    find(view, name, |zone, name| zone.addresses(name))
}

/// Looks a name up in all networks, then each part before a dot in the networks that are called as the part behind it.
fn find<T>(view: &View, name: &str, look: impl Fn(&Zone, &str) -> Option<T>) -> Option<T> {
    let link = |(alias, target): (&String, &String)| {
        (alias.to_lowercase() == name).then(|| target.to_lowercase())
    };
    let linked = view.links.iter().find_map(link);
    let name = linked.as_deref().unwrap_or(name);
    let whole = view.zones.iter().find_map(|zone| look(zone, name));
    whole.or_else(|| {
        name.rmatch_indices('.').find_map(|(at, _)| {
            let (host, network) = (&name[..at], &name[at + 1..]);
            let called = |zone: &&std::sync::Arc<Zone>| zone.network().to_lowercase() == network;
            let mut zones = view.zones.iter().filter(called);
            zones.find_map(|zone| look(zone, host))
        })
    })
}

fn pointers(view: &View, name: &str) -> Option<Vec<Record>> {
    let address = parse_reverse(name)?;
    let found = view.zones.iter().find_map(|zone| zone.name_of(address));
    found.map(|name| vec![Record::Pointer(name)])
}

/// `_port._protocol.name`, the port by number or by a service's name: the endpoints of the name that offer it.
fn services(view: &View, name: &str) -> Option<Vec<Record>> {
    let mut parts = name.splitn(3, '.');
    let service = parts.next()?.strip_prefix('_')?;
    let protocol: Protocol = parts.next()?.strip_prefix('_')?.parse().ok()?;
    let host = parts.next()?;
    let port = service.parse().ok().or_else(|| {
        let known = SERVICES.iter().find(|(known, _)| *known == service)?;
        Some(known.1)
    });
    find(view, host, |zone, host| {
        zone.addresses(host)?;
        let Some(port) = port else {
            return Some(Vec::new());
        };
        let offers = zone.offering(host, protocol, port);
        let records = offers.into_iter().filter_map(|entry| {
            let target = format!("{}.{}", entry.names.first()?, zone.network());
            let addresses = entry.addresses;
            Some(Record::Service {
                port,
                target,
                addresses,
            })
        });
        Some(records.collect())
    })
}

/// `2.0.0.10.in-addr.arpa`, or the same with 32 digits below `ip6.arpa`. RFC 1035, section 3.5; RFC 3596, section 2.5.
fn parse_reverse(name: &str) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0; 4];
        let mut labels = labels.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = labels.next()?.parse().ok()?;
        }
        return labels
            .next()
            .is_none()
            .then(|| Ipv4Addr::from(octets).into());
    }
    let mut labels = name.strip_suffix(".ip6.arpa")?.split('.');
    let mut bits = 0u128;
    for digit in 0..32 {
        let label = labels.next().filter(|label| label.len() == 1)?;
        bits |= u128::from(u8::from_str_radix(label, 16).ok()?) << (4 * digit);
    }
    labels
        .next()
        .is_none()
        .then(|| Ipv6Addr::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::message::tests::query;
    use super::super::{Entry, Servers};
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn zone(network: &str, entries: &[(&[&str], &[&str])]) -> Arc<Zone> {
        let zone = Zone::new(network);
        for (names, addresses) in entries {
            let entry = Entry {
                names: names.iter().map(|n| (*n).to_owned()).collect(),
                addresses: addresses.iter().map(|a| ip(a)).collect(),
                ports: vec![(Protocol::Tcp, 80), (Protocol::Udp, 9999)],
            };
            zone.insert(names[0], entry);
        }
        Arc::new(zone)
    }

    fn view() -> View {
        let front = zone(
            "front.net",
            &[
                (&["Web", "www", "my.app"], &["10.0.0.2", "fd00::2"]),
                (&["plain"], &["10.0.0.3"]),
            ],
        );
        let back = zone(
            "Back",
            &[(&["db"], &["10.0.1.2"]), (&["web"], &["10.0.1.9"])],
        );
        View {
            zones: vec![front, back],
            links: [("Store".to_owned(), "DB".to_owned())].into(),
            servers: Servers::None,
        }
    }

    fn ask(name: &str, kind: u16) -> Option<Vec<Record>> {
        let packet = query(name, kind, None);
        records(&view(), &Query::parse(&packet).expect("a query"))
    }

    #[test]
    fn names_are_found_in_every_form() {
        let check = |name: &str, expect: Option<&str>| {
            let expect = expect.map(|address| vec![Record::Address(ip(address))]);
            assert_eq!(ask(name, kind::A), expect, "{name}");
        };
        check("web", Some("10.0.0.2")); // the first network's
        check("WEB", Some("10.0.0.2"));
        check("web.back", Some("10.0.1.9"));
        check("web.front.net", Some("10.0.0.2"));
        check("my.app", Some("10.0.0.2"));
        check("my.app.front.net", Some("10.0.0.2"));
        check("db", Some("10.0.1.2"));
        check("store", Some("10.0.1.2"));
        check("db.front.net", None);
        check("web.example.com", None);
        check("nobody", None);
        check("front.net", None);
    }

    #[test]
    fn a_name_without_such_an_address_is_there_all_the_same() {
        assert_eq!(
            ask("web", kind::AAAA),
            Some(vec![Record::Address(ip("fd00::2"))])
        );
        assert_eq!(ask("plain", kind::AAAA), Some(vec![]));
        assert_eq!(ask("plain", 15), Some(vec![])); // MX
        assert_eq!(ask("web", kind::ANY).map(|all| all.len()), Some(2));
        assert_eq!(ask("nobody", kind::AAAA), None);
    }

    #[test]
    fn addresses_have_names() {
        let name = |text: &str| Some(vec![Record::Pointer(text.to_owned())]);
        assert_eq!(
            ask("2.0.0.10.in-addr.arpa", kind::PTR),
            name("Web.front.net")
        );
        assert_eq!(ask("2.1.0.10.in-addr.arpa", kind::PTR), name("db.Back"));
        let reverse = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.D.F.ip6.arpa";
        assert_eq!(ask(reverse, kind::PTR), name("Web.front.net"));
        for unknown in [
            "9.0.0.10.in-addr.arpa",
            "0.0.10.in-addr.arpa",
            "1.2.0.0.10.in-addr.arpa",
            "x.0.0.10.in-addr.arpa",
            "2.0.ip6.arpa",
            "web",
        ] {
            assert_eq!(ask(unknown, kind::PTR), None, "{unknown}");
        }
    }

    #[test]
    fn services_are_found_by_number_and_by_name() {
        let ports = |name: &str| -> Option<Vec<(u16, String)>> {
            let records = ask(name, kind::SRV)?;
            let service = |record| match record {
                Record::Service { port, target, .. } => (port, target),
                other => panic!("{other:?}"),
            };
            Some(records.into_iter().map(service).collect())
        };
        let web = |port| Some(vec![(port, "Web.front.net".to_owned())]);
        assert_eq!(ports("_80._tcp.web"), web(80));
        assert_eq!(ports("_http._tcp.web.front.net"), web(80));
        assert_eq!(ports("_9999._udp.www"), web(9999));
        assert_eq!(ports("_https._tcp.web"), Some(vec![])); // not offered
        assert_eq!(ports("_nonsense._tcp.web"), Some(vec![]));
        assert_eq!(ports("_http._tcp.example.com"), None);
        assert_eq!(ports("web"), Some(vec![]));
    }
}
