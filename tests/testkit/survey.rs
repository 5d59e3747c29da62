//! Everything of a host's network that an engine could leave behind, as sorted lines to be compared before and after.

use crate::lan::Host;

/// Links, addresses, routes, rules, open ports: what the kernel shows of a host's network now.
#[track_caller]
#[must_use]
pub fn of(host: &Host) -> Vec<String> {
    let mut lines = Vec::new();
    for link in host.ip("link show") {
        lines.push(format!("link {}", text(&link["ifname"])));
    }
    for link in host.ip("addr show") {
        for address in link["addr_info"].as_array().into_iter().flatten() {
            let (link, address) = (text(&link["ifname"]), text(&address["local"]));
            lines.push(format!("address {address} of {link}"));
        }
    }
    for what in ["-4 route show table all", "-6 route show table all"] {
        for route in host.ip(what) {
            // The kernel makes these itself, with an address or with forwarding.
            if matches!(
                text(&route["type"]),
                "local" | "broadcast" | "anycast" | "multicast"
            ) {
                continue;
            }
            let (to, link) = (text(&route["dst"]), text(&route["dev"]));
            lines.push(format!("route to {to} by {link}"));
        }
    }
    let rules = host.sh("nft list ruleset");
    lines.extend(
        rules
            .lines()
            .map(|rule| format!("rule {}", uncounted(rule))),
    );
    for (file, open) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        for socket in host.proc_net(file).lines().skip(1) {
            let fields: Vec<&str> = socket.split_whitespace().collect();
            if fields.get(3) == Some(&open) {
                lines.push(format!("{file} socket {}", port(fields[1])));
            }
        }
    }
    lines.sort();
    lines
}

/// Whether a TCP or UDP port is bound on the host, whoever holds it.
#[track_caller]
#[must_use]
pub fn is_bound(host: &Host, protocol: &str, wanted: u16) -> bool {
    let line = format!(":{wanted}");
    let files = [protocol.to_owned(), format!("{protocol}6")];
    files.iter().any(|file| {
        let table = host.proc_net(file);
        let mut sockets = table.lines().skip(1);
        sockets.any(|socket| {
            let fields: Vec<&str> = socket.split_whitespace().collect();
            let is_open = matches!(fields.get(3), Some(&"0A" | &"07"));
            is_open && port(fields[1]).ends_with(&line)
        })
    })
}

/// What is in `after` and was not in `before`.
#[must_use]
pub fn added(before: &[String], after: &[String]) -> Vec<String> {
    let mut rest = before.to_vec();
    let mut added = Vec::new();
    for line in after {
        match rest.iter().position(|other| other == line) {
            Some(at) => drop(rest.remove(at)),
            None => added.push(line.clone()),
        }
    }
    added
}

/// What an engine has left on a host: all that is new, but for what an administrator may have done meanwhile, which is
/// addresses and routes of links that were there before, and rules that are not of an engine.
#[must_use]
pub fn left(before: &[String], after: &[String]) -> Vec<String> {
    let is_old = |link: &str| before.contains(&format!("link {link}"));
    let is_ours = |line: &String| match line.split_once(' ') {
        Some(("address" | "route", rest)) => !rest.rsplit(' ').next().is_some_and(is_old),
        Some(("rule", rule)) => ["estiva", "\"est", "\"br-"]
            .iter()
            .any(|own| rule.contains(own)),
        _ => true,
    };
    added(before, after).into_iter().filter(is_ours).collect()
}

/// `0100007F:1F90` with its port in decimal.
fn port(local: &str) -> String {
    let (address, port) = local.split_once(':').unwrap_or((local, "0"));
    let port = u16::from_str_radix(port, 16).unwrap_or(0);
    format!("{address}:{port}")
}

/// A rule without what its counter has counted.
fn uncounted(rule: &str) -> String {
    let mut words = Vec::new();
    let mut rest = rule.split_whitespace().peekable();
    while let Some(word) = rest.next() {
        words.push(word);
        if matches!(word, "packets" | "bytes")
            && rest.peek().is_some_and(|n| n.parse::<u64>().is_ok())
        {
            rest.next();
        }
    }
    words.join(" ")
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told_and_twice_when_it_came_twice() {
        let lines = |list: &[&str]| list.iter().map(|&l| l.to_owned()).collect::<Vec<_>>();
        let (before, after) = (lines(&["a", "b"]), lines(&["a", "c", "b", "c"]));
        assert_eq!(added(&before, &after), ["c", "c"]);
        assert_eq!(added(&after, &before), Vec::<String>::new());
    }

    #[test]
    fn what_an_administrator_does_is_not_left_by_an_engine() {
        let lines = |list: &[&str]| list.iter().map(|&l| l.to_owned()).collect::<Vec<_>>();
        let before = lines(&["link eth0"]);
        let after = lines(&[
            "link eth0",
            "link br-12",
            "address 192.0.2.1 of eth0",
            "address 192.0.2.2 of br-12",
            "route to 10.0.0.0/8 by eth0",
            "rule table inet filter {",
            "rule table ip estiva {",
            "rule iifname \"br-12\" accept",
        ]);
        let expected = [1, 3, 6, 7].map(|at: usize| after[at].clone());
        assert_eq!(left(&before, &after), expected);
    }

    #[test]
    fn counters_and_hexadecimal_ports_are_read_away() {
        assert_eq!(
            uncounted("\tcounter packets 3 bytes 99 accept"),
            "counter packets bytes accept"
        );
        assert_eq!(port("00000000:1F90"), "00000000:8080");
    }
}
