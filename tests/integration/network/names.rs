//! Names of containers, asked of the embedded resolver with packets of the story's own.

use std::collections::HashSet;

use testkit::Engine;
use testkit::dns::{Data, RESOLVER, kind, question};

use super::support::{idle, web};

#[test]
fn a_container_is_known_by_name_id_and_alias_and_its_address_backwards() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let one = web(
        &engine,
        "one",
        "--network net --network-alias first --network-alias uno --hostname box",
    );
    let asker = idle(&engine, "--network net").place();
    let id = &one.container.id()[..12];
    for name in ["one", "first", "uno", id, "ONE", "one.net", "one."] {
        assert_eq!(asker.a(name), [one.ip()], "{name}");
    }
    assert_eq!(asker.ptr(one.ip()), ["one.net"]);
    let reply = asker.lookup("one", kind::A);
    assert_eq!((reply.code, reply.recurses, reply.is_cut), (0, true, false));
    assert!(reply.ttl <= 600, "{}", reply.ttl);
    let over_tcp = asker
        .dns_tcp(RESOLVER, "one", kind::A)
        .expect("TCP is served too");
    assert_eq!(over_tcp.addresses(), [one.ip()]);
    if !Engine::is_peer() {
        assert_eq!(asker.aaaa("one"), [one.place.v6("eth0")]);
        assert_eq!(asker.ptr(one.place.v6("eth0")), ["one.net"]);
        assert_eq!(
            asker.a("box"),
            [one.ip()],
            "its own host name too, as its peers know it"
        );
    }
    // The program's own resolver, by its own way through resolv.conf.
    assert!(
        engine
            .ok("run --rm --network net busybox ping -c 1 -W 2 one")
            .contains("1 packets received")
    );
}

#[test]
fn other_types_of_a_known_name_have_no_data_and_unknown_names_do_not_exist() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    drop(web(&engine, "one", "--network net"));
    let asker = idle(&engine, "--network net").place();
    if !Engine::is_peer() {
        let reply = asker.lookup("one", kind::TXT);
        assert_eq!((reply.code, reply.answers), (0, Vec::new()));
    }
    // There is no server to ask further.
    let reply = asker.lookup("nobody", kind::A);
    assert!(reply.code != 0 && reply.answers.is_empty(), "{reply:?}");
}

#[test]
fn an_alias_of_several_goes_around() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let all: Vec<_> = (0..4)
        .map(|n| {
            web(
                &engine,
                &format!("w{n}"),
                "--network net --network-alias web",
            )
        })
        .collect();
    let asker = idle(&engine, "--network net").place();
    let mut expected: Vec<_> = all.iter().map(super::support::Web::ip).collect();
    expected.sort();
    assert_eq!(asker.a("web"), expected);
    let firsts: HashSet<_> = (0..60)
        .map(|_| asker.lookup("web", kind::A).in_order()[0])
        .collect();
    assert!(firsts.len() > 1, "always the same one first");
    engine.ok("stop -t 0 w0 w1");
    expected.retain(|ip| *ip == all[2].ip() || *ip == all[3].ip());
    assert_eq!(asker.a("web"), expected, "who has stopped is no more");
}

#[test]
fn names_come_and_go_with_their_containers() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let asker = idle(&engine, "--network net").place();
    assert!(asker.a("late").is_empty());
    let late = web(&engine, "late", "--network net");
    assert_eq!(asker.a("late"), [late.ip()]);
    let address = late.ip();
    engine.ok("rename late renamed");
    assert_eq!(asker.a("renamed"), [address]);
    assert!(asker.a("late").is_empty());
    drop(late);
    engine.ok("rm -f renamed");
    assert!(asker.a("renamed").is_empty());
    assert_eq!(asker.ptr(address), Vec::<String>::new());
}

#[test]
fn each_network_has_its_own_names() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create aa");
    engine.ok("network create bb");
    let on_aa = web(&engine, "one", "--network aa --network-alias shared");
    let on_bb = web(&engine, "two", "--network bb --network-alias shared");
    let asker = idle(&engine, "--name asker --network aa").place();
    assert!(asker.a("two").is_empty());
    assert_eq!(asker.a("shared"), [on_aa.ip()]);
    assert_eq!(asker.ptr(on_bb.ip()), Vec::<String>::new());
    engine.ok("network connect bb asker");
    assert_eq!(asker.a("two"), [on_bb.ip()]);
    let mut both = vec![on_aa.ip(), on_bb.ip()];
    both.sort();
    let shared = asker.a("shared");
    assert!(
        shared == both || shared == [on_aa.ip()] || shared == [on_bb.ip()],
        "{shared:?}"
    );
}

#[test]
fn on_the_default_bridge_names_are_not_known() {
    let lan = testkit::lan();
    let engine = lan.engine();
    drop(web(&engine, "one", ""));
    let text = engine.cli("run --rm busybox nslookup one").run();
    assert_ne!(text.code, 0, "{}", text.text());
}

#[test]
fn a_container_may_serve_names_itself() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let own = web(&engine, "own", "--network net");
    let server = testkit::dns::Server::start(&own.place, ([0, 0, 0, 0], 53).into(), |_, _| {
        Some(vec![testkit::dns::v4("192.0.2.1")])
    });
    let asker = idle(&engine, "--network net").place();
    let at = super::support::at(own.ip(), 53);
    let reply = asker
        .dns(at, "any.test", kind::A)
        .expect("the container's own server answers");
    assert_eq!(reply.answers, [testkit::dns::v4("192.0.2.1")]);
    assert!(server.was_asked("any.test"));
    assert_eq!(
        own.place.a("own"),
        [own.ip()],
        "and the embedded one beside it"
    );
}

#[test]
fn broken_packets_kill_nothing() {
    let lan = testkit::lan();
    let engine = lan.engine();
    engine.ok("network create net");
    let one = web(&engine, "one", "--network net");
    let good = question("one", kind::A);
    let mut bad: Vec<Vec<u8>> = (0..good.len()).map(|len| good[..len].to_vec()).collect();
    // Many questions, none, a name that points at itself, one that never ends, an answer instead of a question.
    bad.push([&good[..4], &[0xff, 0xff], &good[6..]].concat());
    bad.push([&good[..4], &[0, 0], &good[6..]].concat());
    bad.push([&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat());
    bad.push([&good[..12], &[63; 400][..]].concat());
    bad.push([&good[..2], &[0x81, 0x80], &good[4..]].concat());
    bad.push(vec![0xff; 4096]);
    let socket = one
        .place
        .within(|| std::net::UdpSocket::bind("0.0.0.0:0"))
        .expect("a socket");
    for packet in &bad {
        drop(socket.send_to(packet, RESOLVER));
    }
    // A stream that promises more than it sends, and one that stays silent.
    use std::io::Write;
    let mut open = Vec::new();
    for bytes in [&[0xff, 0xff, 1][..], &[][..]] {
        let mut stream = one
            .place
            .within(|| std::net::TcpStream::connect(RESOLVER))
            .expect("TCP");
        stream.write_all(bytes).expect("bytes go");
        open.push(stream);
    }
    for _ in 0..3 {
        assert_eq!(one.place.a("one"), [one.ip()]);
    }
    let tcp = one
        .place
        .dns_tcp(RESOLVER, "one", kind::A)
        .expect("others are served meanwhile");
    assert_eq!(tcp.answers, [Data::Address(one.ip())]);
    assert_eq!(engine.ok("ps -q").lines().count(), 1, "the daemon answers");
}
