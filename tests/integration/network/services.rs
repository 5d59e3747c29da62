//! SRV: where a service is, by its number or its name.

use testkit::Engine;
use testkit::dns::{RESOLVER, kind};

use super::support::{idle, web};

#[test]
fn a_service_is_found_at_those_who_offer_it() {
    if Engine::is_peer() {
        return testkit::skip("the peer answers for the services of a swarm alone");
    }
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let shared = "--network net --network-alias www --expose 80";
    drop(web(&engine, "one", &format!("{shared} --expose 5000/udp")));
    drop(web(&engine, "two", &format!("{shared} -p 8443:443")));
    let asker = idle(&engine, "--name asker --network net").place();
    let at = |port: u16, names: &[&str]| -> Vec<(u16, String)> {
        names
            .iter()
            .map(|name| (port, format!("{name}.net")))
            .collect()
    };
    for (name, expect) in [
        ("_http._tcp.one", at(80, &["one"])),
        ("_80._tcp.one", at(80, &["one"])),
        ("_HTTP._TCP.ONE", at(80, &["one"])),
        ("_5000._udp.one", at(5000, &["one"])),
        // What is published is offered as well, by the container's own port.
        ("_https._tcp.two.net", at(443, &["two"])),
        ("_http._tcp.www", at(80, &["one", "two"])),
        // Known, but not offered: no data.
        ("_5000._tcp.one", Vec::new()),
        ("_ssh._tcp.one", Vec::new()),
        ("one", Vec::new()),
    ] {
        let reply = asker.lookup(name, kind::SRV);
        assert_eq!(reply.code, 0, "{name}");
        assert_eq!(asker.srv(name), expect, "{name}");
    }
    let over_tcp = asker.dns_tcp(RESOLVER, "_http._tcp.www", kind::SRV);
    assert_eq!(over_tcp.expect("TCP is served too").answers.len(), 2);
    let reply = asker.lookup("_http._tcp.nobody", kind::SRV);
    assert!(reply.code != 0 && reply.answers.is_empty(), "{reply:?}");
    engine.ok("stop -t 0 one");
    assert_eq!(asker.srv("_http._tcp.www"), at(80, &["two"]));
}
