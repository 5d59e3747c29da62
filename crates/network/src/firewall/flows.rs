//! Flows of UDP that know nothing of a port's coming or going.
//!
//! A client that sends again and again keeps its flow alive, and a flow keeps the translation that it began with: none when
//! the port was published later, a container that is gone when it was published anew. So whenever a port of UDP comes
//! or goes, the kernel forgets the flows that lead there otherwise than they should. Connections of TCP end by themselves.

use std::collections::HashMap;

use netlink::conntrack::{Flow, forget as forget_flows};
use netlink::socket::Socket;

use crate::firewall::Port;
use crate::ports::Protocol;

/// The ports of UDP of each endpoint.
#[derive(Debug, Default)]
pub(super) struct Flows {
    ports: HashMap<String, Vec<Port>>,
}

/// A port and whether it leads somewhere now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Led {
    port: Port,
    is_there: bool,
}

impl Flows {
    /// An endpoint has these ports from now on. Tells which came and which went.
    pub(super) fn lead(&mut self, host_name: &str, ports: &[Port]) -> Vec<Led> {
        let udp = |port: &&Port| port.proto == Protocol::Udp;
        let new: Vec<Port> = ports.iter().filter(udp).cloned().collect();
        let old = self.ports.remove(host_name).unwrap_or_default();
        let gone = old.iter().filter(|port| !new.contains(port));
        let come = new.iter().filter(|port| !old.contains(port));
        let led = |is_there| {
            move |port: &Port| Led {
                port: port.clone(),
                is_there,
            }
        };
        let changed = gone.map(led(false)).chain(come.map(led(true))).collect();
        if !new.is_empty() {
            self.ports.insert(host_name.to_owned(), new);
        }
        changed
    }
}

/// Has the kernel forget what leads elsewhere. Costs a look at all flows, so only where there is something to forget.
pub(super) fn forget(socket: &Socket, led: &[Led]) {
    if led.is_empty() {
        return;
    }
    if let Err(error) = forget_flows(socket, |flow| led.iter().any(|one| one.is_astray(flow))) {
        // The ports are right for every new flow all the same.
        let error = fault::chain(&error);
        tracing::warn!(%error, "flows that began before a port came or went go on as they began");
    }
}

impl Led {
    fn is_astray(&self, flow: &Flow) -> bool {
        let port = &self.port;
        let is_for_it = flow.protocol == Protocol::Udp.number()
            && flow.destination.port() == port.host_port
            && flow.destination.is_ipv4() == port.target.is_ipv4()
            && port
                .host
                .is_none_or(|host| host.is_unspecified() || host == flow.destination.ip());
        if !is_for_it {
            return false;
        }
        let leads_here = flow.answers == port.target;
        // A container's own call to that port of someone outside: only its source is translated.
        let is_passing = flow.answers == flow.destination && flow.answered != flow.source;
        if self.is_there {
            !leads_here && !is_passing
        } else {
            leads_here
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host: Option<&str>) -> Port {
        Port {
            host: host.map(|host| host.parse().expect("address")),
            proto: Protocol::Udp,
            host_port: 53,
            target: "172.17.0.2:5353".parse().expect("address"),
        }
    }

    fn flow(destination: &str, answers: &str, answered: &str) -> Flow {
        let parse = |text: &str| text.parse().expect("address");
        Flow {
            protocol: 17,
            source: parse("10.0.0.9:4000"),
            destination: parse(destination),
            answers: parse(answers),
            answered: parse(answered),
        }
    }

    #[test]
    fn only_flows_that_lead_elsewhere_are_astray() {
        let check = |host, is_there, flow: &Flow, expect| {
            let led = Led {
                port: port(host),
                is_there,
            };
            assert_eq!(led.is_astray(flow), expect, "{flow:?}");
        };
        let right = flow("10.0.0.1:53", "172.17.0.2:5353", "10.0.0.9:4000");
        let before = flow("10.0.0.1:53", "10.0.0.1:53", "10.0.0.9:4000");
        let elsewhere = flow("10.0.0.1:53", "172.17.0.7:5353", "10.0.0.9:4000");
        let passing = flow("8.8.8.8:53", "8.8.8.8:53", "10.0.0.1:4000");
        let other = flow("10.0.0.1:54", "10.0.0.1:54", "10.0.0.9:4000");
        for (flow, comes, goes) in [
            (&right, false, true),
            (&before, true, false),
            (&elsewhere, true, false),
            (&passing, false, false),
            (&other, false, false),
        ] {
            check(None, true, flow, comes);
            check(None, false, flow, goes);
        }
        check(Some("10.0.0.2"), true, &before, false);
    }

    #[test]
    fn ports_come_and_go_once() {
        let mut flows = Flows::default();
        assert_eq!(flows.lead("a", &[port(None)]).len(), 1);
        assert_eq!(flows.lead("a", &[port(None)]), []);
        assert_eq!(flows.lead("a", &[]).len(), 1);
        assert_eq!(flows.lead("a", &[]), []);
    }
}
